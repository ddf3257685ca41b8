//! A call to an identity provider and its reply, as data. The host makes the call.

use core::fmt;
use core::time::Duration;

/// One HTTP call to an identity provider, for the host to make.
#[derive(Clone)]
pub struct Callout {
    /// The Envoy cluster to call.
    pub cluster: String,
    /// Pseudo headers and headers of the request.
    pub headers: Vec<(&'static str, String)>,
    /// Body of the request; empty for `GET`.
    pub body: Vec<u8>,
    /// Timeout of the call.
    pub timeout: Duration,
}

/// Shows the cluster and the path only. Headers and body contain secrets, tokens and codes.
impl fmt::Debug for Callout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.headers.iter().find(|(name, _)| *name == ":path");
        f.debug_struct("Callout")
            .field("cluster", &self.cluster)
            .field("path", &path.map(|(_, path)| path))
            .finish_non_exhaustive()
    }
}

/// The reply to a [`Callout`].
#[derive(Clone, Copy)]
pub enum CalloutReply<'a> {
    /// A response. Envoy reports a refused connection as 503 and a timeout as 504.
    Answer {
        /// HTTP status.
        status: u16,
        /// Whether the body has a `content-encoding`, which Lictor never requests.
        encoded: bool,
        /// Body of the response.
        body: &'a [u8],
    },
    /// There is no answer that can be read. Most often the call could not be sent, because the
    /// cluster does not exist or has no host.
    NoAnswer,
}

/// Shows the status only. The body contains tokens.
impl fmt::Debug for CalloutReply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer { status, .. } => {
                f.debug_struct("Answer").field("status", status).finish_non_exhaustive()
            }
            Self::NoAnswer => f.write_str("NoAnswer"),
        }
    }
}

impl<'a> CalloutReply<'a> {
    /// Returns whether the provider itself has responded.
    ///
    /// Status 502, 503 and 504 mean that it has not. Envoy reports a refused connection as 503 and
    /// a timeout as 504, and a proxy in front of the provider sends 502.
    pub(crate) const fn reached(self) -> bool {
        match self {
            Self::NoAnswer => false,
            Self::Answer { status, .. } => !matches!(status, 502..=504),
        }
    }

    /// Returns status and body of a response with a body of at most `most` bytes.
    ///
    /// # Errors
    /// A text that says what came instead.
    pub(crate) fn body(self, most: usize) -> Result<(u16, &'a [u8]), String> {
        match self {
            Self::NoAnswer => {
                Err("the call could not be sent (is the cluster there, with a host?)".to_owned())
            }
            Self::Answer { encoded: true, .. } => Err("a compressed answer".to_owned()),
            Self::Answer { body, .. } if body.len() > most => {
                Err(format!("an answer above {most} bytes"))
            }
            Self::Answer { status, body, .. } => Ok((status, body)),
        }
    }

    /// Returns the body of a response with status 200 and at most `most` bytes.
    ///
    /// # Errors
    /// A text that says what came instead.
    pub(crate) fn ok_body(self, most: usize) -> Result<&'a [u8], String> {
        match self {
            Self::Answer { status, .. } if status != 200 => Err(format!("status {status}")),
            reply => reply.body(most).map(|(_, body)| body),
        }
    }
}
