//! HTTP calls of the module to clusters, which the test answers.

use core::time::Duration;

use crate::headers::Headers;

/// The number of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(pub(crate) u32);

/// A call that waits for its answer.
#[derive(Clone, Debug)]
pub struct HttpCall {
    /// Its number.
    pub token: Token,
    /// The context that sent it: with it the call ends unanswered.
    pub(crate) context: u32,
    /// The cluster that it goes to.
    pub cluster: String,
    /// Its header lines.
    pub headers: Headers,
    /// Its body.
    pub body: Vec<u8>,
    /// How long Envoy would wait.
    pub timeout: Duration,
}

/// An answer while it is delivered.
pub(crate) struct CallAnswer {
    pub headers: Headers,
    pub body: Vec<u8>,
}
