//! Access tokens that have been verified: the same bytes need not be verified again while the keys
//! that verified them stand.

use core::time::Duration;

use crate::foundation::cache::TextCache;
use crate::foundation::id::IssuerId;
use crate::foundation::limits::{LEEWAY, VERIFIED};
use crate::foundation::time::UnixTime;
use crate::identity::principal::Identity;
use crate::provider::keys::Keys;

/// See the module.
pub(crate) struct Verified(TextCache<Entry>);

impl Default for Verified {
    fn default() -> Self {
        Self(TextCache::new(VERIFIED))
    }
}

/// What was found out about a token.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Whom it proves.
    pub(crate) identity: Identity,
    /// Place of its issuer in the configuration.
    pub(crate) issuer: IssuerId,
    /// Which set of keys verified it.
    pub(crate) keys: u64,
    /// Not before (the later of `nbf` and `iat`): a clock that goes back gives nothing back.
    pub(crate) from: UnixTime,
}

impl Verified {
    /// The identity that a token proves, if it was verified by the keys that stand now and is in
    /// time.
    #[must_use]
    pub(crate) fn find(&self, token: &[u8], keys: &Keys, now: UnixTime) -> Option<Identity> {
        let entry = self.0.find(token)?;
        let in_time = entry.identity.until.is_some_and(|until| now < until)
            && entry.from <= now.plus(Duration::from_secs(LEEWAY));
        let trusted = keys.generation(entry.issuer, now) == Some(entry.keys);
        (in_time && trusted).then(|| entry.identity.clone())
    }

    /// Keeps what was found out.
    pub(crate) fn keep(&mut self, token: &[u8], entry: Entry) {
        self.0.keep(token, entry);
    }
}
