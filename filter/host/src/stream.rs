//! One request, as Envoy keeps it between client, module and upstream.
//!
//! The rules, of Envoy 1.40 without `allow_on_headers_stop_iteration`:
//!
//! - A head on which the module pauses stays here with everything behind it. Once the module lets it
//!   go, the body that has come meanwhile is shown to the module in one piece.
//! - A body on which the module pauses is kept. The next callback sees all that is kept.
//! - The head that has been let go can no longer be read or changed.
//! - A request without the buffer filter behind the module reaches the upstream piece by piece: a
//!   head that has been let go is there, whatever is decided of its body. With the filter nothing
//!   reaches the upstream before the request is complete.
//! - An answer of the module's is shown to the module's own response callbacks, and ends the
//!   request. An answer that comes while the upstream's head is in its callback replaces it. After
//!   the head has gone to the client, an answer is a reset.
//! - A module that traps serves nothing any more. The request in whose callback it does, and every
//!   request that comes after, is answered 503 by the host; those that wait go on waiting.

use std::collections::BTreeMap;

use crate::headers::{Headers, text};

/// A request of a [`crate::Vm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(pub(crate) u32);

/// Who made an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The module.
    Module,
    /// The host, because the module has trapped.
    Host,
    /// The upstream, through the module.
    Upstream,
}

/// What the client got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whose answer it is.
    pub by: By,
    /// Its head, `:status` included.
    pub headers: Headers,
    /// So much of its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Its status; 0 for one that has none.
    #[must_use]
    pub fn status(&self) -> u16 {
        text(&self.headers, ":status").and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// The first line of a name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        text(&self.headers, name)
    }
}

/// What the upstream got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upstream {
    /// The head.
    pub headers: Headers,
    /// So much of the body.
    pub body: Vec<u8>,
    /// Whether that is all.
    pub complete: bool,
}

/// Where one direction of a stream stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No head yet.
    #[default]
    New,
    /// The module keeps the head, and everything behind it.
    Head,
    /// The head has gone.
    Body,
    /// The module keeps what has come of the body.
    Kept,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    pub(crate) root: u32,
    pub(crate) buffered: bool,
    pub(crate) properties: BTreeMap<String, Vec<u8>>,
    pub(crate) shown: BTreeMap<String, Vec<u8>>,
    pub(crate) request: Direction,
    pub(crate) response: Direction,
    pub(crate) trailers: Option<Headers>,
    pub(crate) passed: Option<Upstream>,
    pub(crate) answer: Option<Answer>,
    pub(crate) reset: bool,
    pub(crate) gone: bool,
}

/// The request or the response.
#[derive(Clone, Debug, Default)]
pub(crate) struct Direction {
    pub phase: Phase,
    pub headers: Headers,
    /// Whether the head is in its callback, or kept.
    pub readable: bool,
    pub kept: Vec<u8>,
    /// Whether the body is in its callback, or kept by it.
    pub buffer_readable: bool,
    /// Whether no more comes.
    pub ended: bool,
}

impl Stream {
    /// What the upstream got; `None` if nothing.
    #[must_use]
    pub fn upstream(&self) -> Option<&Upstream> {
        self.passed.as_ref().filter(|passed| !self.buffered || passed.complete)
    }

    /// What the client got so far; `None` if nothing.
    #[must_use]
    pub const fn answer(&self) -> Option<&Answer> {
        self.answer.as_ref()
    }

    /// Whether the stream was ended without a word.
    #[must_use]
    pub const fn is_reset(&self) -> bool {
        self.reset
    }

    /// Whether the module has been told that the stream is over.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        self.gone
    }

    /// Whether neither upstream nor client got anything yet, and still may.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.upstream().is_none() && self.answer.is_none() && self.is_open()
    }

    /// What the module has shown to the access log.
    #[must_use]
    pub const fn shown(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.shown
    }

    pub(crate) fn request_map(&mut self) -> Option<&mut Headers> {
        self.request.readable.then_some(&mut self.request.headers)
    }

    pub(crate) fn response_map(&mut self) -> Option<&mut Headers> {
        self.response.readable.then_some(&mut self.response.headers)
    }

    pub(crate) fn request_buffer(&mut self) -> Option<&mut Vec<u8>> {
        let request = &mut self.request;
        (request.buffer_readable || request.phase == Phase::Kept).then_some(&mut request.kept)
    }

    pub(crate) fn response_buffer(&mut self) -> Option<&mut Vec<u8>> {
        self.response.buffer_readable.then_some(&mut self.response.kept)
    }

    /// The module lets the request go or ends it: its head can no longer be read.
    pub(crate) fn end_of_reading(&mut self) {
        self.request.readable = false;
    }

    /// The request's head goes on.
    pub(crate) fn pass_head(&mut self) {
        self.request.readable = false;
        self.request.phase = Phase::Body;
        let headers = self.request.headers.clone();
        self.passed = Some(Upstream { headers, ..Upstream::default() });
    }

    /// What is kept of the request's body goes on.
    pub(crate) fn pass_body(&mut self, complete: bool) {
        self.request.phase = Phase::Body;
        let kept = core::mem::take(&mut self.request.kept);
        if let Some(passed) = &mut self.passed {
            passed.body.extend(kept);
            passed.complete |= complete;
        }
    }

    /// The response's head goes to the client.
    pub(crate) fn answer_head(&mut self) {
        self.response.readable = false;
        self.response.phase = Phase::Body;
        let headers = self.response.headers.clone();
        self.answer = Some(Answer { by: By::Upstream, headers, body: Vec::new() });
    }

    /// What is kept of the response's body goes to the client.
    pub(crate) fn answer_body(&mut self) {
        self.response.phase = Phase::Body;
        let kept = core::mem::take(&mut self.response.kept);
        if let Some(answer) = &mut self.answer {
            answer.body.extend(kept);
        }
    }

    /// The client is answered with this, once.
    pub(crate) fn set_answer(&mut self, answer: Answer) {
        if self.answer.is_none() && !self.reset {
            self.answer = Some(answer);
        }
    }

    pub(crate) const fn set_reset(&mut self) {
        self.reset = true;
    }

    pub(crate) const fn set_gone(&mut self) {
        self.gone = true;
    }

    /// Whether something may still come of it.
    pub(crate) const fn is_open(&self) -> bool {
        !self.gone && !self.reset
    }
}
