//! Prefect's websockets. An upgrade request for any other path is refused.

use crate::prefect::operations::{self, Operation};
use crate::prefect::place::{Area, Place};
use crate::refusal::Reason;

/// A websocket that Prefect is known to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownSocket {
    path: String,
}

impl KnownSocket {
    /// Returns the known socket at a place, if there is one.
    #[must_use]
    pub(crate) fn at(place: &Place<'_>) -> Option<Self> {
        let Area::Api(path) = place.area() else { return None };
        operations::is_socket(path).then(|| Self { path: path.to_owned() })
    }

    /// Returns whether clients send events to this socket.
    #[must_use]
    pub(crate) fn is_events_in(&self) -> bool {
        self.path == "/events/in"
    }

    /// Returns the reason in the close frame for its client.
    ///
    /// Clients print the reason, so it is a sentence. The worker channel defines words of its own.
    #[must_use]
    pub(crate) fn close_reason(&self, reason: Reason) -> &'static str {
        let meaning = reason.meaning();
        match meaning.status {
            401 if self.is_worker_channel() => "authentication_failed",
            403 if self.is_worker_channel() => "authorization_failed",
            _ => meaning.text,
        }
    }

    fn is_worker_channel(&self) -> bool {
        self.path.ends_with("/workers/connect")
    }

    /// Returns the operation of opening the socket, for which roles are checked.
    #[must_use]
    pub(crate) fn operation(&self) -> Operation<'_> {
        Operation::socket(&self.path)
    }
}
