//! Whether a token is signed by the issuer: which key, which algorithm, and why not. What may be
//! checked with what is decided by `jwk`, the mathematics are in `signature`, and what the claims
//! mean is decided after, in `claims`.

use crate::wire::jose::Algorithm;
use crate::wire::jose::claims::Mismatch;
use crate::wire::jose::compact::Jws;
use crate::wire::jose::jwk::KeySet;
use crate::wire::jose::signature::HostVerifier;

/// Why a token is not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unverified {
    /// No key of that `kid` is known: fetch the keys and look again.
    UnknownKey(String),
    /// It is refused.
    Mismatch(Mismatch),
}

impl From<Mismatch> for Unverified {
    fn from(mismatch: Mismatch) -> Self {
        Self::Mismatch(mismatch)
    }
}

/// What one issuer's signatures are checked with.
#[derive(Clone, Copy)]
pub(crate) struct Verifier<'a> {
    /// The issuer's keys.
    pub(crate) keys: &'a KeySet,
    /// The allow-list of algorithms (RFC 8725 §3.1).
    pub(crate) allowed: &'a [Algorithm],
    /// Who does the mathematics.
    pub(crate) host: &'a dyn HostVerifier,
}

impl Verifier<'_> {
    /// Verifies a signature.
    ///
    /// # Errors
    /// See [`Unverified`]. Only a `kid` that nobody has leads to a fetch of keys: a token without
    /// one, or with an algorithm that its key is not for, is refused at once.
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
                    let wanted = "the algorithm of the key with this kid";
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
