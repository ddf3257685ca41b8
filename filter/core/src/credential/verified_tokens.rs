//! A cache of verified access tokens.
//!
//! The same token is not verified again as long as the keys that verified it are current.

use core::time::Duration;

use crate::foundation::cache::TextCache;
use crate::foundation::id::IssuerId;
use crate::foundation::limits::{LEEWAY, VERIFIED};
use crate::foundation::time::UnixTime;
use crate::identity::principal::Identity;
use crate::provider::keys::Keys;

/// Verified access tokens of one worker, by their text.
pub(crate) struct Verified(TextCache<Entry>);

impl Default for Verified {
    fn default() -> Self {
        Self(TextCache::new(VERIFIED))
    }
}

/// The result of verifying a token.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The identity that the token proves.
    pub(crate) identity: Identity,
    /// Index of the token's issuer in the configuration.
    pub(crate) issuer: IssuerId,
    /// Generation of the key set that verified the token.
    pub(crate) keys: u64,
    /// Start of the token's validity, the later of `nbf` and `iat`. It is checked again in case the
    /// clock is set back.
    pub(crate) from: UnixTime,
}

impl Verified {
    /// Returns the identity that a token proves, if the current keys verified it and it is valid
    /// now.
    #[must_use]
    pub(crate) fn find(&self, token: &[u8], keys: &Keys, now: UnixTime) -> Option<Identity> {
        let entry = self.0.find(token)?;
        let in_time = entry.identity.until.is_some_and(|until| now < until)
            && entry.from <= now.plus(Duration::from_secs(LEEWAY));
        let trusted = keys.generation(entry.issuer, now) == Some(entry.keys);
        (in_time && trusted).then(|| entry.identity.clone())
    }

    /// Stores the result of verifying a token.
    pub(crate) fn keep(&mut self, token: &[u8], entry: Entry) {
        self.0.keep(token, entry);
    }
}
