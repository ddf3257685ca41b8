//! The filter chain around the module: which callback comes when, and what its verdict does. See
//! [`crate::stream`] for the rules.

use crate::exports::narrow;
use crate::headers::Headers;
use crate::host::Deferred;
use crate::stream::{Answer, By, Direction, Phase, Stream, StreamId};
use crate::vm::Vm;

const CONTINUE: u32 = 0;

/// What the module says in a callback.
enum Verdict {
    Continue,
    Pause,
    /// It has trapped, now or before.
    Dead,
}

impl Vm {
    /// A request over HTTP/1 whose head comes in now; `end` says that it has no body.
    pub fn request(&mut self, headers: Headers, end: bool) -> StreamId {
        let properties: [(&str, &[u8]); 3] = [
            ("source.address", b"192.0.2.1:40000"),
            ("request.protocol", b"HTTP/1.1"),
            ("response.code_details", b"via_upstream"),
        ];
        self.request_with(headers, end, &properties, false)
    }

    /// A request with properties of its own (Envoy's attributes, with dots), and with or without
    /// the buffer filter behind the module.
    pub fn request_with(
        &mut self,
        headers: Headers,
        end: bool,
        properties: &[(&str, &[u8])],
        buffered: bool,
    ) -> StreamId {
        let id = self.next_context();
        let root = self.host().roots.last_key_value().map_or(0, |(root, _)| *root);
        let owned = |(name, value): &(&str, &[u8])| ((*name).to_owned(), value.to_vec());
        let properties = properties.iter().map(owned).collect();
        self.begin(id, Stream { root, buffered, properties, ..Stream::default() }, headers, end);
        StreamId(id)
    }

    fn begin(&mut self, id: u32, mut stream: Stream, headers: Headers, end: bool) {
        let (root, lines) = (stream.root, narrow(headers.len()));
        stream.request =
            Direction { phase: Phase::Head, headers, readable: true, ended: end, ..stream.request };
        self.host().streams.insert(id, stream);
        self.enter("proxy_on_context_create", id, &[id, root]);
        match self.ask("proxy_on_request_headers", &[id, lines, end.into()]) {
            Verdict::Continue => self.let_head_go(id),
            Verdict::Pause => {}
            Verdict::Dead => self.fail_stream(id),
        }
        self.settle();
    }

    /// Bytes of the request's body; `end` says that no more come.
    pub fn body(&mut self, id: StreamId, bytes: &[u8], end: bool) {
        let Some(stream) = self.open(id.0) else { return };
        stream.request.kept.extend_from_slice(bytes);
        stream.request.ended |= end;
        if matches!(stream.request.phase, Phase::Body | Phase::Kept) {
            self.show_body(id.0);
        }
        self.settle();
    }

    /// The request's trailers: they end it.
    pub fn trailers(&mut self, id: StreamId, headers: Headers) {
        let Some(stream) = self.open(id.0) else { return };
        let lines = narrow(headers.len());
        stream.trailers = Some(headers);
        match self.ask("proxy_on_request_trailers", &[id.0, lines]) {
            Verdict::Continue => {
                if let Some(stream) = self.open(id.0) {
                    stream.request.ended = true;
                    stream.pass_body(true);
                }
            }
            Verdict::Pause => {}
            Verdict::Dead => self.fail_stream(id.0),
        }
        self.settle();
    }

    /// The head of the upstream's answer; `end` says that it has no body.
    pub fn respond(&mut self, id: StreamId, headers: Headers, end: bool) {
        let Some(stream) = self.open(id.0) else { return };
        let lines = narrow(headers.len());
        stream.response = Direction {
            phase: Phase::Head,
            headers,
            readable: true,
            ended: end,
            ..Direction::default()
        };
        match self.ask("proxy_on_response_headers", &[id.0, lines, end.into()]) {
            Verdict::Continue => {
                if let Some(stream) = self.open(id.0) {
                    stream.answer_head();
                }
                if end {
                    self.finish(id.0);
                }
            }
            Verdict::Pause => {}
            Verdict::Dead => self.fail_stream(id.0),
        }
        self.settle();
    }

    /// Bytes of the upstream's answer; `end` says that no more come.
    pub fn response_body(&mut self, id: StreamId, bytes: &[u8], end: bool) {
        let Some(stream) = self.open(id.0) else { return };
        stream.response.kept.extend_from_slice(bytes);
        stream.response.buffer_readable = true;
        let length = narrow(stream.response.kept.len());
        let verdict = self.ask("proxy_on_response_body", &[id.0, length, end.into()]);
        if let Some(stream) = self.open(id.0) {
            stream.response.buffer_readable = false;
            match verdict {
                Verdict::Continue => {
                    stream.answer_body();
                    if end {
                        self.finish(id.0);
                    }
                }
                Verdict::Pause => stream.response.phase = Phase::Kept,
                Verdict::Dead => self.fail_stream(id.0),
            }
        }
        self.settle();
    }

    /// The trailers of the upstream's answer: they end it.
    pub fn response_trailers(&mut self, id: StreamId, headers: &Headers) {
        if self.open(id.0).is_none() {
            return;
        }
        match self.ask("proxy_on_response_trailers", &[id.0, narrow(headers.len())]) {
            Verdict::Continue => {
                if let Some(stream) = self.open(id.0) {
                    stream.answer_body();
                }
                self.finish(id.0);
            }
            Verdict::Pause => {}
            Verdict::Dead => self.fail_stream(id.0),
        }
        self.settle();
    }

    /// The client has gone.
    pub fn close(&mut self, id: StreamId) {
        self.finish(id.0);
        self.settle();
    }

    /// A callback of a request; the first argument is its context.
    fn ask(&mut self, name: &'static str, arguments: &[u32]) -> Verdict {
        let context = arguments.first().copied().unwrap_or(0);
        match self.enter(name, context, arguments) {
            Some(CONTINUE) if !self.host().stopped => Verdict::Continue,
            Some(_) => Verdict::Pause,
            None => Verdict::Dead,
        }
    }

    /// A request of which something may still come.
    fn open(&mut self, id: u32) -> Option<&mut Stream> {
        self.host().streams.get_mut(&id).filter(|stream| stream.is_open())
    }

    /// The head goes on, and what has come behind it is shown to the module.
    fn let_head_go(&mut self, id: u32) {
        let Some(stream) = self.open(id) else { return };
        stream.pass_head();
        if stream.request.ended && stream.request.kept.is_empty() {
            stream.pass_body(true);
        } else if !stream.request.kept.is_empty() {
            self.show_body(id);
        }
    }

    fn show_body(&mut self, id: u32) {
        let Some(stream) = self.open(id) else { return };
        stream.request.buffer_readable = true;
        let (length, ended) = (narrow(stream.request.kept.len()), stream.request.ended);
        let verdict = self.ask("proxy_on_request_body", &[id, length, ended.into()]);
        let Some(stream) = self.open(id) else { return };
        stream.request.buffer_readable = false;
        match verdict {
            Verdict::Continue => stream.pass_body(ended),
            Verdict::Pause => stream.request.phase = Phase::Kept,
            Verdict::Dead => self.fail_stream(id),
        }
    }

    /// What the callback has begun happens now. Envoy does it even if the module has trapped since.
    pub(crate) fn settle(&mut self) {
        loop {
            let deferred = core::mem::take(&mut self.host().deferred);
            if deferred.is_empty() {
                return;
            }
            for action in deferred {
                match action {
                    Deferred::Continue(id) => self.resume(id),
                    Deferred::Reset(id) => self.reset(id),
                    Deferred::Answer(id, answer) => self.answer_locally(id, answer),
                }
            }
        }
    }

    fn resume(&mut self, id: u32) {
        let Some(stream) = self.open(id) else { return };
        match stream.request.phase {
            Phase::Head => self.let_head_go(id),
            Phase::Kept => {
                let ended = stream.request.ended;
                stream.pass_body(ended);
            }
            Phase::New | Phase::Body => {}
        }
    }

    fn reset(&mut self, id: u32) {
        let Some(stream) = self.open(id) else { return };
        stream.set_reset();
        self.finish(id);
    }

    fn answer_locally(&mut self, id: u32, answer: Answer) {
        let Some(stream) = self.open(id) else { return };
        if stream.answer().is_some() {
            // The head has gone to the client already.
            return self.reset(id);
        }
        let replaces = stream.response.phase == Phase::Head;
        if !replaces {
            let headers = answer.headers.clone();
            stream.response = Direction { headers, readable: true, ..Direction::default() };
            let (lines, end) = (narrow(answer.headers.len()), answer.body.is_empty());
            self.enter("proxy_on_response_headers", id, &[id, lines, end.into()]);
            if !end {
                let length = narrow(answer.body.len());
                self.enter("proxy_on_response_body", id, &[id, length, 1]);
            }
        }
        if let Some(stream) = self.open(id) {
            stream.set_answer(answer);
        }
        self.finish(id);
    }

    /// The module has trapped in the request's callback, or before.
    fn fail_stream(&mut self, id: u32) {
        let Some(stream) = self.open(id) else { return };
        if stream.answer().is_some() {
            return self.reset(id);
        }
        let headers = crate::headers::from_text(&[(":status", "503")]);
        stream.set_answer(Answer { by: By::Host, headers, body: Vec::new() });
        self.finish(id);
    }

    /// The request is over: the module hears of it last.
    fn finish(&mut self, id: u32) {
        if self.host().streams.get(&id).is_none_or(Stream::is_gone) {
            return;
        }
        self.host().calls.retain(|call| call.context != id);
        for callback in ["proxy_on_log", "proxy_on_done", "proxy_on_delete"] {
            self.enter(callback, id, &[id]);
        }
        if let Some(stream) = self.host().streams.get_mut(&id) {
            stream.set_gone();
        }
    }
}
