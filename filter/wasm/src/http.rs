//! The HTTP context, which turns Envoy's callbacks for one request into the gate's events.

use std::rc::Rc;

use lictor_core::{Body, DataStep, Gate, Interest, RequestView, ResponseView, StreamId};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, BufferType, MapType};

use crate::shared::Shared;
use crate::{apply, host, work};

/// The context of one HTTP request.
pub struct Http {
    id: StreamId,
    shared: Rc<Shared>,
    /// The bodies so far, if the gate must see them as a whole.
    kept_request: Vec<u8>,
    kept_response: Vec<u8>,
}

impl Http {
    pub const fn new(id: StreamId, shared: Rc<Shared>) -> Self {
        Self { id, shared, kept_request: Vec::new(), kept_response: Vec::new() }
    }
}

impl Context for Http {
    fn on_http_call_response(&mut self, token: u32, _: usize, body_size: usize, _: usize) {
        work::on_call(&self.shared, token, body_size);
    }

    fn on_done(&mut self) -> bool {
        self.shared.finish(self.id);
        true
    }
}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _: usize, end: bool) -> Action {
        self.shared.begin(self.id);
        // A request without headers is refused.
        let headers = host::headers(MapType::HttpRequestHeaders).unwrap_or_default();
        let request = RequestView { headers: &headers };
        let decision = self.shared.event(self.id, |gate, cx| gate.on_request(request, end, cx));
        apply::now(&self.shared, self.id, decision)
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        self.body(Body::Request, size, end)
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        self.trailers(Body::Request)
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        // Lictor's own answers, and Envoy's, pass unchanged.
        if self.shared.ask(self.id, Gate::is_forwarded) != Some(true) {
            return Action::Continue;
        }
        let step = host::headers(MapType::HttpResponseHeaders).and_then(|headers| {
            let response = ResponseView { headers: &headers };
            self.shared.event(self.id, |gate, cx| gate.on_response(response, cx))
        });
        apply::response(step)
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        self.body(Body::Response, size, end)
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        self.trailers(Body::Response)
    }
}

impl Http {
    /// Passes body bytes to the gate, as far as it must see them.
    ///
    /// Bytes that the host does not return, or of an unknown request, reset the stream.
    fn body(&mut self, body: Body, size: usize, end: bool) -> Action {
        let held = match self.shared.ask(self.id, |gate| gate.interest(body)) {
            Some(Interest::None) => return Action::Continue,
            Some(Interest::Whole) => return self.keep(body, size, end),
            Some(Interest::Time) => Some(Vec::new()),
            Some(Interest::Bytes) => host::buffer(buffer_of(body), size),
            None => None,
        };
        let step = held.and_then(|held| {
            self.shared.event(self.id, |gate, cx| gate.on_data(body, &held, end, cx))
        });
        apply::data(buffer_of(body), size, step)
    }

    /// Takes the bytes of a body out of Envoy's buffer, and passes all of them so far to the gate.
    ///
    /// Envoy itself would hold no more than a stream's window of a response, and would hand over
    /// all that it holds with every piece. Until the gate lets them pass, what continues is empty
    /// and does not end.
    fn keep(&mut self, body: Body, size: usize, end: bool) -> Action {
        let kept = match body {
            Body::Request => &mut self.kept_request,
            Body::Response => &mut self.kept_response,
        };
        let kind = buffer_of(body);
        let taken = host::buffer(kind, size)
            .filter(|_| size == 0 || host::replace_buffer(kind, size, &[]).is_ok());
        let step = taken.and_then(|bytes| {
            kept.extend(bytes);
            self.shared.event(self.id, |gate, cx| gate.on_data(body, kept, end, cx))
        });
        match step {
            // Even an empty last piece would end the body for the filters behind.
            Some(DataStep::Hold) if end => Action::Pause,
            Some(DataStep::Hold) => Action::Continue,
            Some(DataStep::Pass) => {
                let whole = core::mem::take(kept);
                apply::data(kind, 0, Some(DataStep::Replace(whole)))
            }
            step => {
                kept.clear();
                apply::data(kind, 0, step)
            }
        }
    }

    fn trailers(&self, body: Body) -> Action {
        let kept = match body {
            Body::Request => &self.kept_request,
            Body::Response => &self.kept_response,
        };
        let step = self.shared.event(self.id, |gate, cx| gate.on_trailers(body, cx));
        // Behind its trailers a body can't be given back to Envoy.
        let lost = step == Some(DataStep::Pass) && !kept.is_empty();
        apply::data(buffer_of(body), 0, step.filter(|_| !lost))
    }
}

const fn buffer_of(body: Body) -> BufferType {
    match body {
        Body::Request => BufferType::HttpRequestBody,
        Body::Response => BufferType::HttpResponseBody,
    }
}
