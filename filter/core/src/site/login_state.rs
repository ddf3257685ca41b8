//! The state of logins: contact with the provider, the number of code exchanges, and used states.

use core::time::Duration;

use super::Site;
use crate::foundation::limits::{LOGINS_IN_FLIGHT, PUSHES_IN_FLIGHT, WAITING_REQUESTS};
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::provider::callout::CalloutReply;
use crate::workers::document::Fresher;
use crate::workers::tombstones::{Added, tombstone_of};

/// How long an answer shows that the provider is available.
const CONTACT: Duration = Duration::from_secs(30);

impl Site {
    /// Marks a callback's state as used, once across all workers. A code that is redeemed twice
    /// makes Keycloak end the session.
    pub(crate) fn use_state(&mut self, state: &str, now: UnixTime) -> Added {
        self.used_states.add(tombstone_of(state.as_bytes()), now)
    }

    /// Returns whether the provider has answered recently. A browser is not sent to a provider that
    /// is down.
    ///
    /// Metadata that another worker fetched is such an answer. It is taken over here, so that a
    /// later wait is for a newer answer.
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

    /// Records contact with the provider, if it has answered without an error of its own.
    ///
    /// A browser that is sent to a provider that answers 500 would see that page.
    pub(crate) const fn contacted(&mut self, reply: CalloutReply<'_>, now: UnixTime) {
        if matches!(reply, CalloutReply::Answer { status: 200..=499, .. }) {
            self.contact = now;
        }
    }

    /// Lets a request wait for contact with the provider.
    ///
    /// Returns `false` if too many requests wait, or if the provider was tried too recently.
    pub(crate) fn await_provider(&mut self, stream: StreamId, now: UnixTime) -> bool {
        let waits = self.waiting_for_provider.len() < WAITING_REQUESTS
            && self.metadata.want_fresher(now) == Fresher::Wait;
        if waits {
            self.waiting_for_provider.push(stream);
        }
        waits
    }

    /// Takes a slot for a code exchange or a sign-out. Returns `false` if none is left.
    pub(crate) const fn take_login_slot(&mut self) -> bool {
        if self.logins >= LOGINS_IN_FLIGHT {
            return false;
        }
        self.logins = self.logins.saturating_add(1);
        true
    }

    /// Gives back a slot that [`Self::take_login_slot`] took.
    pub(crate) const fn release_login_slot(&mut self) {
        self.logins = self.logins.saturating_sub(1);
    }

    /// Takes a slot for a login that pushes its parameters. Returns `false` if none is left, or if
    /// the network at this address has begun too many.
    ///
    /// Anybody can begin a login, and each push is a request of Lictor's own client.
    pub(crate) fn take_push_slot(&mut self, address: &[u8], now: UnixTime) -> bool {
        let may = self.pushes < PUSHES_IN_FLIGHT && self.pushes_by_network.may(None, address, now);
        self.pushes = self.pushes.saturating_add(usize::from(may));
        may
    }

    /// Gives back a slot that [`Self::take_push_slot`] took.
    pub(crate) const fn release_push_slot(&mut self) {
        self.pushes = self.pushes.saturating_sub(1);
    }
}
