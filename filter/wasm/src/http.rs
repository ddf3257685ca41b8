//! One request: Envoy's callbacks to the gate's events.

use std::rc::Rc;

use lictor_core::{Cx, DataStep, Gate, Interest, RequestView, ResponseView};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, BufferType, MapType};

use crate::shared::Shared;
use crate::{apply, host};

pub struct Http {
    id: u32,
    shared: Rc<Shared>,
}

impl Http {
    pub const fn new(id: u32, shared: Rc<Shared>) -> Self {
        Self { id, shared }
    }
}

impl Context for Http {
    fn on_http_call_response(&mut self, token: u32, _: usize, body_size: usize, _: usize) {
        self.shared.on_call(token, body_size);
    }

    fn on_done(&mut self) -> bool {
        self.shared.finish(self.id);
        true
    }
}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _: usize, end: bool) -> Action {
        self.shared.begin(self.id);
        let headers = host::headers(MapType::HttpRequestHeaders);
        let request = RequestView { headers: &headers };
        let decision = self.shared.event(self.id, |gate, cx| gate.on_request(request, end, cx));
        apply::now(&self.shared, self.id, decision)
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        let kind = BufferType::HttpRequestBody;
        let interest = self.shared.ask(self.id, Gate::request_data);
        let step =
            self.body(kind, size, interest, |gate, held, cx| gate.on_request_data(held, end, cx));
        apply::data(kind, size, step)
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        let step = self.shared.event(self.id, |gate, cx| gate.on_request_trailers(cx));
        apply::data(BufferType::HttpRequestBody, 0, step)
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        // Answers of our own, and of Envoy itself, are as they are.
        if self.shared.ask(self.id, Gate::is_forwarded) != Some(true) {
            return Action::Continue;
        }
        let headers = host::headers(MapType::HttpResponseHeaders);
        let response = ResponseView { headers: &headers };
        apply::response(self.shared.event(self.id, |gate, cx| gate.on_response(response, cx)))
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        let kind = BufferType::HttpResponseBody;
        let interest = self.shared.ask(self.id, Gate::response_data).unwrap_or_default();
        let step = self.body(kind, size, Some(interest), |gate, held, cx| {
            gate.on_response_data(held, end, cx)
        });
        apply::data(kind, size, step)
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        let step = self.shared.ask(self.id, Gate::response_trailers);
        apply::data(BufferType::HttpResponseBody, 0, step.or(Some(DataStep::Pass)))
    }
}

impl Http {
    /// The verdict on body bytes, of which the gate gets as much as it wants; `None` for a request that
    /// nobody knows, and where the host does not give the bytes.
    fn body(
        &self,
        kind: BufferType,
        size: usize,
        interest: Option<Interest>,
        judge: impl FnOnce(&mut Gate, &[u8], &mut Cx<'_>) -> DataStep,
    ) -> Option<DataStep> {
        let held = match interest? {
            Interest::None => return Some(DataStep::Pass),
            Interest::Time => Vec::new(),
            Interest::Bytes => host::buffer(kind, size)?,
        };
        self.shared.event(self.id, |gate, cx| judge(gate, &held, cx))
    }
}
