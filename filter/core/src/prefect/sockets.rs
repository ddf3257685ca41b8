//! Prefect's websockets. Only these are opened; any other upgrade is refused.

use crate::prefect::operations::{self, Operation};
use crate::prefect::place::{Area, Place};
use crate::refusal::Reason;

/// A socket that Prefect is known to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownSocket {
    path: String,
}

impl KnownSocket {
    /// The known socket at a place, if it is one.
    #[must_use]
    pub(crate) fn at(place: &Place<'_>) -> Option<Self> {
        let Area::Api(path) = place.area() else { return None };
        operations::is_socket(path).then(|| Self { path: path.to_owned() })
    }

    /// Whether it is the one that clients send events to.
    #[must_use]
    pub(crate) fn is_events_in(&self) -> bool {
        self.path == "/events/in"
    }

    /// What its client is told when it is closed. CacheBounds print it, so it is a sentence; the workers' one
    /// knows words of its own.
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

    /// What opening it means for the policy.
    #[must_use]
    pub(crate) fn operation(&self) -> Operation<'_> {
        Operation::socket(&self.path)
    }
}
