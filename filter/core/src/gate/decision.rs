//! The core's decisions, as plain data. The shell applies them and decides nothing.

use core::fmt;

use crate::answer::reply::Reply;
use crate::policy::authorize::Permit;
use crate::provider::callout::Callout;
use crate::wire::http::edit::HeaderEdit;

/// The decision on one event of a request.
#[must_use]
#[derive(Debug)]
pub enum Decision {
    /// Forward the request to Prefect after the edits.
    Forward {
        /// The proof that the request is authorized.
        permit: Permit,
        /// The edits of the request headers.
        edit: HeaderEdit,
    },
    /// Answer the request here.
    Reply(Reply),
    /// Keep the request paused and send this callout, which belongs to this request alone.
    Await(Callout),
    /// Keep the request paused. The site works for several requests and wakes this one.
    AwaitSite,
    /// Read the body for one of Lictor's own endpoints.
    ///
    /// The edited headers continue to Envoy's buffer filter behind Lictor, which holds them until
    /// the body is complete (`prefect.buffered_routes`). They never go further, because Lictor
    /// answers the request. The edits still remove everything from the client that could claim an
    /// identity.
    ReadBody(HeaderEdit),
    /// Forward the request only if its body is authorized as well.
    ///
    /// Envoy's buffer filter holds the headers meanwhile (`prefect.buffered_routes`).
    ForwardWithBody {
        /// The proof that the request is authorized as far as its headers say.
        permit: Permit,
        /// The edits of the request headers.
        edit: HeaderEdit,
    },
}

/// The decision on body bytes that the host holds.
#[must_use]
#[derive(PartialEq, Eq)]
pub enum DataStep {
    /// Pass the bytes on unchanged.
    Pass,
    /// Keep holding the bytes; more may come.
    Hold,
    /// Pass these bytes on in place of the held ones.
    Replace(Vec<u8>),
    /// End the stream without an answer. Clients of sockets see close code 1006 and connect again.
    Reset,
    /// Answer the request here.
    Answer(Reply),
}

/// Shows the number of bytes in place of the bytes, which contain a socket's credential.
impl fmt::Debug for DataStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => f.write_str("Pass"),
            Self::Hold => f.write_str("Hold"),
            Self::Replace(bytes) => f.debug_tuple("Replace").field(&bytes.len()).finish(),
            Self::Reset => f.write_str("Reset"),
            Self::Answer(reply) => f.debug_tuple("Answer").field(reply).finish(),
        }
    }
}

/// The decision on Prefect's response headers.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub enum ResponseStep {
    /// Pass the response on after these edits.
    Edit(HeaderEdit),
    /// Send this reply in place of Prefect's response.
    Replace(Reply),
}
