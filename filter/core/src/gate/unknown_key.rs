//! Tokens with an unknown key, which wait once for the next fetch of their issuer's keys.

use super::{Cx, Gate, WaitFor, Waited};
use crate::foundation::id::IssuerId;
use crate::provider::keys::Awaited;

/// The reason why a request can't wait for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoKey {
    /// A key set that was fetched meanwhile lacks the key, which is a verdict.
    Unknown,
    /// No newer key set could be fetched, or the last fetch is too recent for another one.
    NotFetched,
    /// Too many requests already wait.
    Busy,
}

impl Gate {
    /// Makes the site wake this request when the keys of an issuer have been fetched.
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
