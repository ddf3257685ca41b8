//! A token whose key is not known waits for the next fetch of its issuer's keys, once.

use super::{Cx, Gate, WaitFor, Waited};
use crate::foundation::id::IssuerId;
use crate::provider::keys::Awaited;

/// Why there is nothing to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoKey {
    /// A set that was fetched meanwhile does not have it either: that is a verdict.
    Unknown,
    /// No newer set could be fetched, or the last one is too recent for another fetch.
    NotFetched,
    /// Too many wait already.
    Busy,
}

impl Gate {
    /// Has the site wake this request when the keys of an issuer have been fetched.
    pub(super) fn await_key(&mut self, issuer: IssuerId, cx: &mut Cx<'_>) -> Result<(), NoKey> {
        if let Some(waited) = self.waited {
            let known = cx.site.keys.loaded_since(issuer, waited.since);
            return Err(if known { NoKey::Unknown } else { NoKey::NotFetched });
        }
        match cx.site.keys.wait(issuer, self.stream, cx.now) {
            Awaited::Yes => {
                self.waited = Some(Waited { since: cx.now, reason: WaitFor::Keys });
                Ok(())
            }
            Awaited::TooSoon => Err(NoKey::NotFetched),
            Awaited::Busy => Err(NoKey::Busy),
        }
    }
}
