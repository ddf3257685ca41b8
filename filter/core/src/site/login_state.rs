//! Logins under way: whether the provider is there, how many codes are redeemed at once, and each code
//! once.

use core::time::Duration;

use super::Site;
use crate::foundation::limits::{LOGINS_IN_FLIGHT, WAITING_REQUESTS};
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::provider::callout::CalloutReply;
use crate::workers::document::Fresher;
use crate::workers::tombstones::{Added, tombstone_of};

/// An answer of the provider's says that it is there for so long.
const CONTACT: Duration = Duration::from_secs(30);

impl Site {
    /// Tombstones a callback's state as used, once for all workers: the code must not be redeemed twice,
    /// or Keycloak ends the session.
    pub(crate) fn use_state(&mut self, state: &str, now: UnixTime) -> Added {
        self.used_states.add(tombstone_of(state.as_bytes()), now)
    }

    /// Whether the provider has answered a moment ago: nobody is sent to one that is gone. What
    /// another worker has heard counts, and is taken over here: a later wait is for a new answer.
    pub(crate) fn has_contact(&mut self, now: UnixTime) -> bool {
        let recent = |at| !now.is_over(at, CONTACT);
        if recent(self.contact) || recent(self.metadata.loaded()) {
            return true;
        }
        if let Some(body) = self.metadata.take(now) {
            self.take_over_metadata(&body, now);
        }
        recent(self.metadata.loaded())
    }

    /// A call has a reply. One that reached the provider shows that it is there.
    pub(crate) const fn contacted(&mut self, reply: CalloutReply<'_>, now: UnixTime) {
        if reply.reached() {
            self.contact = now;
        }
    }

    /// A request wants to know whether the provider is there; false when it was not, just now.
    pub(crate) fn await_provider(&mut self, stream: StreamId, now: UnixTime) -> bool {
        let asked = self.waiting_for_provider.len() < WAITING_REQUESTS
            && self.metadata.want_fresher(now) == Fresher::Wait;
        if asked {
            self.waiting_for_provider.push(stream);
        }
        asked
    }

    /// A place for a code exchange, if there is one left.
    pub(crate) const fn begin_login(&mut self) -> bool {
        if self.logins >= LOGINS_IN_FLIGHT {
            return false;
        }
        self.logins = self.logins.saturating_add(1);
        true
    }

    /// Gives the place back.
    pub(crate) const fn end_login(&mut self) {
        self.logins = self.logins.saturating_sub(1);
    }
}
