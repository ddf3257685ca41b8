//! The signature check. `jwt-simple` does the mathematics; what may be checked with what was
//! decided before (`compact`, `jwk`), and what the claims mean is decided after (`claims`).

use jwt_simple::algorithms::{
    ECDSAP256PublicKeyLike as _, ECDSAP384PublicKeyLike as _, EdDSAPublicKeyLike as _,
    RSAPublicKeyLike as _,
};
use jwt_simple::claims::NoCustomClaims;
use jwt_simple::common::VerificationOptions;
use jwt_simple::prelude::Duration;

use crate::jose::Algorithm;
use crate::jose::claims::Mismatch;
use crate::jose::compact::Compact;
use crate::jose::jwk::{KeySet, Verifier};
use crate::limits::TOKEN;

/// Why a token is not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unverified {
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

/// Verifies a token's signature with the issuer's keys, by an algorithm of the allow-list.
///
/// # Errors
/// See [`Unverified`]. Only a `kid` that nobody has leads to a fetch of keys: a token without one, or
/// with an algorithm that its key is not for, is refused at once.
pub fn signature(
    token: &Compact<'_>,
    keys: &KeySet,
    allowed: &[Algorithm],
) -> Result<(), Unverified> {
    let alg = serde_json::Value::from(token.algorithm.name());
    if !allowed.contains(&token.algorithm) {
        return Err(Mismatch::new("alg", Some(&alg), "an algorithm of idp.algorithms").into());
    }
    let key_id = token.key_id.as_deref();
    let Some(verifier) = keys.select(key_id, token.algorithm) else {
        return Err(match key_id {
            None => Mismatch::new("kid", None, "a kid, or a set with one fitting key").into(),
            Some(kid) if keys.has(kid) => {
                Mismatch::new("alg", Some(&alg), "the algorithm of the key with this kid").into()
            }
            Some(kid) => Unverified::UnknownKey(crate::refusal::shown(kid)),
        });
    };
    if signature_is_valid(token, &verifier) {
        return Ok(());
    }
    Err(Mismatch::new("signature", None, "the issuer's signature").into())
}

/// Whether the token's signature is that of the key.
fn signature_is_valid(token: &Compact<'_>, verifier: &Verifier<'_>) -> bool {
    let text = token.text;
    macro_rules! verify {
        ($key:expr) => {
            $key.verify_token::<NoCustomClaims>(text, Some(signature_only())).is_ok()
        };
    }
    match verifier {
        Verifier::Rs256(key) => verify!(key),
        Verifier::Rs384(key) => verify!(key),
        Verifier::Rs512(key) => verify!(key),
        Verifier::Ps256(key) => verify!(key),
        Verifier::Ps384(key) => verify!(key),
        Verifier::Ps512(key) => verify!(key),
        Verifier::Es256(key) => verify!(key),
        Verifier::Es384(key) => verify!(key),
        Verifier::EdDsa(key) => verify!(key),
    }
}

/// The library would also check times against the host's clock; `claims` does that with the time
/// that is passed in, so here time stands at zero and everything lies in an accepted future.
fn signature_only() -> VerificationOptions {
    VerificationOptions {
        accept_future: true,
        time_tolerance: Some(Duration::from_secs(0)),
        artificial_time: Some(Duration::from_secs(0)),
        max_token_length: Some(TOKEN),
        max_header_length: Some(TOKEN),
        ..VerificationOptions::default()
    }
}
