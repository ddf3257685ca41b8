//! What the core wants done: data only. The shell applies it and decides nothing.

use core::time::Duration;
use std::borrow::Cow;

use crate::policy::authorize::Permit;
use crate::reply::Reply;

/// The outcome of one event of a request.
#[must_use]
#[derive(Debug)]
pub enum Decision {
    /// To Prefect, after these edits.
    Forward {
        /// Proof that it may.
        permit: Permit,
        /// What to change first.
        edit: RequestEdit,
    },
    /// Answered here.
    Reply(Reply),
    /// Nothing yet: a callout of this request's own.
    Await(Callout),
    /// Nothing yet: the site works for several requests and wakes this one.
    AwaitSite,
    /// Nothing yet: what is asked stands in the body, for an endpoint of our own. The head goes on to
    /// the filter behind, which the operator says holds it until the body is whole; it never goes
    /// further, since the answer is ours. Nothing of the client's that could pose as somebody is in it
    /// all the same.
    ReadBody(RequestEdit),
    /// As [`Decision::Forward`], but only with a body that has been judged as well. Meanwhile the head is
    /// held by the filter behind, as the operator says.
    ForwardWithBody {
        /// Proof that it may, as far as its head says.
        permit: Permit,
        /// What to change first.
        edit: RequestEdit,
    },
}

/// Changes to a request's headers. Removals come first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RequestEdit {
    /// Header names to take away.
    pub remove: Vec<String>,
    /// Headers to set, replacing every line of that name.
    pub set: Vec<(&'static str, Vec<u8>)>,
}

/// One call to the identity provider.
#[derive(Clone, Debug)]
pub struct Callout {
    /// Envoy cluster.
    pub cluster: String,
    /// Pseudo headers and headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body, empty for `GET`.
    pub body: Vec<u8>,
    /// How long it may take.
    pub timeout: Duration,
}

/// What came back from a [`Callout`].
#[derive(Clone, Copy, Debug)]
pub enum CalloutReply<'a> {
    /// An answer. Envoy makes refused connections a 503 and time-outs a 504.
    Answer {
        /// HTTP status.
        status: u16,
        /// `content-encoding`, which Lictor never asks for.
        encoded: bool,
        /// The body.
        body: &'a [u8],
    },
    /// The call could not even be made (no such cluster, no host in it).
    NotSent,
}

/// What becomes of body bytes that are held.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub enum DataStep {
    /// Let them go as they are.
    Pass,
    /// Keep them; more may come.
    Hold,
    /// Send these instead.
    Replace(Vec<u8>),
    /// End the stream without a word (clients of sockets see 1006 and come back).
    Reset,
    /// The request is answered here.
    Answer(Reply),
}

/// Changes to an answer of Prefect's.
#[derive(Debug, Default)]
pub struct ResponseEdit {
    /// Header names to take away.
    pub remove: Vec<&'static str>,
    /// Headers to set.
    pub set: Vec<(&'static str, Cow<'static, str>)>,
    /// Headers to add beside others of that name.
    pub add: Vec<(&'static str, Cow<'static, str>)>,
    /// Answer with this instead.
    pub replace: Option<Reply>,
}
