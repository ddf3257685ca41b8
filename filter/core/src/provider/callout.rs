//! One call to the provider, and its reply: data for the host to carry out.

use core::time::Duration;

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
