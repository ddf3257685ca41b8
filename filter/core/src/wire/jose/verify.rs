//! Verification of a token's signature with the keys of its issuer.
//!
//! `jwk` decides which key is for which algorithm, and `signature` checks signatures. `claims`
//! checks the content of a token afterwards.

use crate::foundation::log_text::shown;
use crate::wire::jose::Algorithm;
use crate::wire::jose::claims::Mismatch;
use crate::wire::jose::compact::Jws;
use crate::wire::jose::jwk::KeySet;
use crate::wire::jose::signature::HostVerifier;

/// Why the signature of a token is not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unverified {
    /// No key with this `kid` is known. A fresh key set may contain it.
    UnknownKey(String),
    /// The token is refused.
    Mismatch(Mismatch),
}

impl Unverified {
    /// Returns what was seen of a token of this kind and what was expected, for a log line.
    #[must_use]
    pub(crate) fn described(&self, kind: &str) -> String {
        match self {
            Self::UnknownKey(kid) => {
                format!("{kind} with kid {}, wanted a key of the issuer", shown(kid))
            }
            Self::Mismatch(mismatch) => {
                format!("{}, wanted {}", mismatch.of(kind), mismatch.wanted)
            }
        }
    }
}

impl From<Mismatch> for Unverified {
    fn from(mismatch: Mismatch) -> Self {
        Self::Mismatch(mismatch)
    }
}

/// Keys and rules for the signatures of one issuer.
#[derive(Clone, Copy)]
pub(crate) struct Verifier<'a> {
    /// The issuer's keys.
    pub(crate) keys: &'a KeySet,
    /// The allow-list of algorithms (RFC 8725 §3.1).
    pub(crate) allowed: &'a [Algorithm],
    /// Verification by the host, where it offers that.
    pub(crate) host: &'a dyn HostVerifier,
}

impl Verifier<'_> {
    /// Verifies the signature of a signed text.
    ///
    /// # Errors
    /// [`Unverified::UnknownKey`] for an unknown `kid`, after which keys may be fetched. Any other
    /// failure is a [`Mismatch`]: no fetch can mend a missing `kid` or a wrong algorithm.
    pub(crate) fn check(self, jws: &Jws<'_>) -> Result<(), Unverified> {
        let Self { keys, allowed, host } = self;
        let alg = serde_json::Value::from(jws.algorithm.name());
        if !allowed.contains(&jws.algorithm) {
            return Err(Mismatch::new("alg", Some(&alg), "an algorithm of idp.algorithms").into());
        }
        let key_id = jws.key_id.as_deref();
        let Some(key) = keys.select(key_id, jws.algorithm) else {
            return Err(match key_id {
                None => Mismatch::new("kid", None, "a kid, or a set with one fitting key").into(),
                Some(kid) if keys.has(kid) => {
                    let wanted = "an algorithm for which exactly one key has this kid";
                    Mismatch::new("alg", Some(&alg), wanted).into()
                }
                Some(kid) => Unverified::UnknownKey(crate::foundation::log_text::shown(kid)),
            });
        };
        if key.has_signed(jws, host) {
            return Ok(());
        }
        Err(Mismatch::new("signature", None, "the issuer's signature").into())
    }
}
