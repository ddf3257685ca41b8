//! The signature check. `jwt-simple` does the mathematics; what may be checked with what was
//! decided before (`compact`, `jwk`), and what the claims mean is decided after (`claims`).

use jwt_simple::algorithms::{
    ECDSAP256PublicKeyLike as _, ECDSAP384PublicKeyLike as _, EdDSAPublicKeyLike as _,
    RSAPublicKeyLike as _,
};
use jwt_simple::claims::NoCustomClaims;
use jwt_simple::common::VerificationOptions;
use jwt_simple::prelude::Duration;

use crate::jose::compact::Compact;
use crate::jose::jwk::Verifier;
use crate::limits::TOKEN;

/// Whether the token's signature is that of the key.
#[must_use]
pub fn signature_is_valid(token: &Compact<'_>, verifier: &Verifier<'_>) -> bool {
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
