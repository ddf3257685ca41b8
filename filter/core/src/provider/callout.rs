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

impl<'a> CalloutReply<'a> {
    /// Whether the provider has answered, with whatever status. Envoy makes refused connections a 503 and
    /// time-outs a 504, and a proxy in front of the provider says 502: these three are silence.
    pub(crate) const fn reached(self) -> bool {
        match self {
            Self::NotSent => false,
            Self::Answer { status, .. } => !matches!(status, 502..=504),
        }
    }

    /// The body of an answer, of at most `most` bytes, with its status.
    ///
    /// # Errors
    /// What was seen instead.
    pub(crate) fn body(self, most: usize) -> Result<(u16, &'a [u8]), String> {
        match self {
            Self::NotSent => {
                Err("the call could not be sent (is the cluster there, with a host?)".to_owned())
            }
            Self::Answer { encoded: true, .. } => Err("a compressed answer".to_owned()),
            Self::Answer { body, .. } if body.len() > most => {
                Err(format!("an answer above {most} bytes"))
            }
            Self::Answer { status, body, .. } => Ok((status, body)),
        }
    }

    /// The body of a 200 answer, of at most `most` bytes.
    ///
    /// # Errors
    /// What was seen instead.
    pub(crate) fn ok_body(self, most: usize) -> Result<&'a [u8], String> {
        match self {
            Self::Answer { status, .. } if status != 200 => Err(format!("status {status}")),
            reply => reply.body(most).map(|(_, body)| body),
        }
    }
}
