//! The issuer's keys: last good set, when to fetch again, and how an unknown `kid` is handled
//! without letting an outsider drive fetches (docs/threats.md T-D1).

use core::time::Duration;

use crate::jose::jwk::{KeySet, Unusable};
use crate::time::UnixTime;

/// A key gone from the set stops counting after at most this long.
const REFRESH: Duration = Duration::from_secs(300);
/// While fetching fails, the last good set serves so long (invariant I8).
const STALE: Duration = Duration::from_secs(24 * 3600);
/// An unknown `kid` causes at most one fetch in this time.
const FORCED: Duration = Duration::from_secs(10);
/// Pause after a failed fetch.
const RETRY: Duration = Duration::from_secs(1);

/// The keys of one issuer.
#[derive(Default)]
pub struct KeyStore {
    set: Option<KeySet>,
    loaded: UnixTime,
    due: UnixTime,
    fetching: bool,
    forced: Option<UnixTime>,
}

/// What an unknown `kid` leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnknown {
    /// A fetch is on its way (or now due): wait for it.
    Wait,
    /// The last fetch is too recent for another one.
    TooSoon,
}

impl KeyStore {
    /// The keys, unless they are too old to be believed.
    #[must_use]
    pub fn current(&self, now: UnixTime) -> Option<&KeySet> {
        self.set.as_ref().filter(|_| !now.is_over(self.loaded, STALE))
    }

    /// Whether a fetch should begin now.
    #[must_use]
    pub fn is_due(&self, now: UnixTime) -> bool {
        // A due time far in the future means that the clock went back: fetch.
        !self.fetching && (now >= self.due || self.due.since(now) > REFRESH)
    }

    /// Whether a set has been loaded at or after a time.
    #[must_use]
    pub fn loaded_since(&self, since: UnixTime) -> bool {
        self.set.is_some() && self.loaded >= since
    }

    /// When the next fetch is due.
    #[must_use]
    pub const fn due(&self) -> UnixTime {
        self.due
    }

    /// A fetch has begun.
    pub const fn begin(&mut self) {
        self.fetching = true;
    }

    /// A token names a key that is not in the set.
    pub fn on_unknown(&mut self, now: UnixTime) -> OnUnknown {
        if self.fetching {
            return OnUnknown::Wait;
        }
        if self.forced.is_some_and(|last| !now.is_over(last, FORCED)) {
            return OnUnknown::TooSoon;
        }
        self.forced = Some(now);
        self.due = now;
        OnUnknown::Wait
    }

    /// A fetch has ended. A failed one leaves the last good set as it is.
    ///
    /// # Errors
    /// Why the answer is no usable set.
    pub fn finish(
        &mut self,
        body: Option<&[u8]>,
        now: UnixTime,
    ) -> Result<Vec<&'static str>, Unusable> {
        self.fetching = false;
        let set = body.ok_or(Unusable("no answer")).and_then(KeySet::parse);
        match set {
            Ok(mut set) => {
                let skipped = core::mem::take(&mut set.skipped);
                self.set = Some(set);
                self.loaded = now;
                self.due = now.plus(REFRESH);
                Ok(skipped)
            }
            Err(why) => {
                self.due = now.plus(RETRY);
                Err(why)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const JWKS: &[u8] = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","alg":"EdDSA","use":"sig","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},{"kty":"RSA","use":"enc","n":"x","e":"AQAB"}]}"#;

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    #[test]
    fn a_failed_fetch_keeps_the_last_good_set_for_a_day() {
        let mut keys = KeyStore::default();
        assert!(keys.is_due(at(0)));
        assert_eq!(keys.finish(Some(JWKS), at(100)), Ok(vec!["not for signatures"]));
        assert!(!keys.is_due(at(399)) && keys.is_due(at(400)));
        for bad in [None, Some(b"<html>".as_slice()), Some(b"{\"keys\":[]}")] {
            assert!(keys.finish(bad, at(400)).is_err());
            assert!(keys.current(at(401)).is_some());
            assert!(!keys.is_due(at(400)) && keys.is_due(at(401)), "tries again after a second");
        }
        assert!(keys.current(at(100 + 24 * 3600 - 1)).is_some());
        assert!(keys.current(at(100 + 24 * 3600)).is_none());
    }

    #[test]
    fn unknown_kids_cause_one_fetch_in_ten_seconds() {
        let mut keys = KeyStore::default();
        keys.finish(Some(JWKS), at(100)).unwrap();
        assert_eq!(keys.on_unknown(at(101)), OnUnknown::Wait);
        keys.begin();
        assert_eq!(keys.on_unknown(at(102)), OnUnknown::Wait);
        keys.finish(Some(JWKS), at(102)).unwrap();
        for second in 102..111 {
            assert_eq!(keys.on_unknown(at(second)), OnUnknown::TooSoon);
        }
        assert_eq!(keys.on_unknown(at(111)), OnUnknown::Wait);
    }
}
