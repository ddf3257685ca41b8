//! What the core wants done: data only. The shell applies it and decides nothing.

use crate::answer::reply::Reply;
use crate::policy::authorize::Permit;
use crate::provider::callout::Callout;
use crate::wire::http::edit::HeaderEdit;

/// The outcome of one event of a request.
#[must_use]
#[derive(Debug)]
pub enum Decision {
    /// To Prefect, after these edits.
    Forward {
        /// Proof that it may.
        permit: Permit,
        /// What to change first.
        edit: HeaderEdit,
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
    ReadBody(HeaderEdit),
    /// As [`Decision::Forward`], but only with a body that has been judged as well. Meanwhile the head is
    /// held by the filter behind, as the operator says.
    ForwardWithBody {
        /// Proof that it may, as far as its head says.
        permit: Permit,
        /// What to change first.
        edit: HeaderEdit,
    },
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

/// What becomes of an answer of Prefect's.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub enum ResponseStep {
    /// It goes on after these edits.
    Edit(HeaderEdit),
    /// The client gets this instead.
    Replace(Reply),
}
