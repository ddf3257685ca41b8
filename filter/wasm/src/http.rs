//! One request: Envoy's callbacks to the gate's events.

use std::rc::Rc;

use lictor_core::Gate;
use lictor_core::decision::DataStep;
use lictor_core::http::request::{RequestView, ResponseView};
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
        let decision = self.shared.event(self.id, |gate, cx| gate.on_request(request, cx));
        apply::now(&self.shared, self.id, decision, end)
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        // Bytes of a request that nobody knows go nowhere.
        let Some(wanted) = self.shared.ask(self.id, Gate::request_data) else {
            return Action::Pause;
        };
        match wanted {
            lictor_core::gate::Interest::None => Action::Continue,
            interest => {
                let held = if interest.wants_bytes() {
                    host::buffer(BufferType::HttpRequestBody, size)
                } else {
                    Vec::new()
                };
                let step =
                    self.shared.event(self.id, |gate, cx| gate.on_request_data(&held, end, cx));
                apply::data(BufferType::HttpRequestBody, size, step.unwrap_or(DataStep::Reset))
            }
        }
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        match self.shared.event(self.id, |gate, cx| gate.on_request_trailers(cx)) {
            Some(DataStep::Pass) => Action::Continue,
            Some(DataStep::Answer(reply)) => {
                host::answer(&reply);
                Action::Pause
            }
            Some(DataStep::Reset) => apply::reset(),
            _ => Action::Pause,
        }
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if self.shared.ask(self.id, Gate::is_forwarded) != Some(true) {
            return Action::Continue;
        }
        let headers = host::headers(MapType::HttpResponseHeaders);
        let response = ResponseView { headers: &headers };
        match self.shared.event(self.id, |gate, cx| gate.on_response(response, cx)) {
            Some(edit) => apply::response(&edit),
            None => apply::reset(),
        }
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        let wanted = self.shared.ask(self.id, Gate::response_data);
        match wanted.unwrap_or_default() {
            lictor_core::gate::Interest::None => Action::Continue,
            interest => {
                let held = if interest.wants_bytes() {
                    host::buffer(BufferType::HttpResponseBody, size)
                } else {
                    Vec::new()
                };
                let step =
                    self.shared.event(self.id, |gate, cx| gate.on_response_data(&held, end, cx));
                apply::data(BufferType::HttpResponseBody, size, step.unwrap_or(DataStep::Reset))
            }
        }
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        match self.shared.ask(self.id, Gate::response_trailers) {
            Some(DataStep::Reset) => apply::reset(),
            _ => Action::Continue,
        }
    }
}
