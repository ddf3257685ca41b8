//! ID tokens, verified in the order of OpenID Connect Core §3.1.3.7.
//!
//! The signature is always checked. TLS to the token endpoint does not replace the check.

use core::time::Duration;

use serde_json::{Map, Value};

use crate::config::Config;
use crate::foundation::crypto::to_base64url;
use crate::foundation::limits::{FRESH_LOGIN, LEEWAY, PROVIDER_TOKEN};
use crate::foundation::time::UnixTime;
use crate::wire::jose::Algorithm;
use crate::wire::jose::claims;
use crate::wire::jose::claims::Mismatch;
use crate::wire::jose::compact::Compact;
use crate::wire::jose::verify::{Unverified, Verifier};

/// A verified ID token.
#[derive(Clone, Debug)]
pub(crate) struct IdToken {
    /// All claims.
    pub(crate) claims: Map<String, Value>,
    /// The claim `sub`, which identifies the person.
    pub(crate) subject: String,
    algorithm: Algorithm,
}

impl IdToken {
    /// Checks that `at_hash`, if it is present, belongs to the access token.
    ///
    /// Its value is the left half of the access token's hash, by the hash function of the ID
    /// token's signature algorithm (OpenID Connect Core §3.1.3.8).
    ///
    /// # Errors
    /// When the value differs.
    pub(crate) fn check_at_hash(&self, access: &[u8]) -> Result<(), Mismatch> {
        let Some(value) = self.claims.get("at_hash") else { return Ok(()) };
        let hash = self.algorithm.hash().digest(access);
        let half = hash.get(..hash.len() / 2).unwrap_or_default();
        if value.as_str() == Some(&to_base64url(half)) {
            return Ok(());
        }
        Err(Mismatch::new("at_hash", None, "the hash of the access token"))
    }

    /// Checks that the person authenticated at the provider in the last 5 minutes.
    ///
    /// A request with `max_age` demands this check (OpenID Connect Core §3.1.3.7, step 13).
    ///
    /// # Errors
    /// When `auth_time` is missing or too old.
    pub(crate) fn check_auth_time(&self, now: UnixTime) -> Result<(), Mismatch> {
        let value = self.claims.get("auth_time");
        if is_fresh(value.and_then(claims::numeric_date), now) {
            return Ok(());
        }
        Err(Mismatch::new("auth_time", value, "a login of the last 5 minutes"))
    }
}

/// Checks `acr`, how the person authenticated, against `idp.require_acr`.
///
/// A request for `acr_values` is voluntary, so a provider may answer with less (OpenID Connect Core
/// §3.1.2.1).
///
/// # Errors
/// When the value is not one of the accepted ones.
pub(crate) fn check_acr(members: &Map<String, Value>, config: &Config) -> Result<(), Mismatch> {
    let accepted = &config.idp.require_acr;
    let acr = members.get("acr");
    let fits = |acr: &str| accepted.iter().any(|accepted| accepted == acr);
    if accepted.is_empty() || acr.and_then(Value::as_str).is_some_and(fits) {
        return Ok(());
    }
    Err(Mismatch::new("acr", acr, accepted.join(" or ")))
}

/// Returns whether `auth_time`, in Unix seconds, lies within [`FRESH_LOGIN`] plus the leeway.
#[must_use]
pub(crate) fn is_fresh(auth_time: Option<u64>, now: UnixTime) -> bool {
    let allowed = FRESH_LOGIN.saturating_add(Duration::from_secs(LEEWAY));
    auth_time.is_some_and(|at| !now.is_over(UnixTime::from_secs(at), allowed))
}

/// Verifies a token's form, algorithm, signature and, if it is present, header type. `most` limits
/// its length in bytes.
pub(crate) fn verify_signature<'a>(
    token: &'a [u8],
    most: usize,
    verifier: Verifier<'_>,
    types: &[&str],
) -> Result<Compact<'a>, Unverified> {
    let compact = Compact::parse(token, most).map_err(|why| Mismatch::unreadable(why.0))?;
    verifier.check(&compact.jws)?;
    let token_type = compact.jws.token_type.as_deref();
    if token_type.is_some_and(|token_type| !types.contains(&token_type)) {
        let seen = token_type.map(Value::from);
        return Err(Mismatch::new("header typ", seen.as_ref(), types.join(" or ")).into());
    }
    Ok(compact)
}

/// Verifies an ID token.
///
/// `nonce` is the login attempt's nonce. It is `None` for a refresh, where providers may leave the
/// claim out (OpenID Connect Core §12.2).
pub(crate) fn verify(
    token: &[u8],
    nonce: Option<&str>,
    verifier: Verifier<'_>,
    config: &Config,
    now: UnixTime,
) -> Result<IdToken, Unverified> {
    let Compact { jws, claims } = verify_signature(token, PROVIDER_TOKEN, verifier, &["jwt"])?;
    claims::issuer(&claims, &config.issuer)?;
    audience(&claims, config)?;
    claims::times(&claims, now, true)?;
    // Keycloak writes the purpose of a token into its payload. A token for another purpose must
    // never log anyone in.
    if claims.get("typ").is_some_and(|kind| kind != "ID") {
        return Err(Mismatch::new("typ", claims.get("typ"), "ID").into());
    }
    claims::not_an_event(&claims)?;
    if let Some(nonce) = nonce
        && claims::text(&claims, "nonce") != Some(nonce)
    {
        // The nonce is a secret of the attempt and must not appear in logs.
        return Err(Mismatch::new("nonce", None, "the nonce of this attempt").into());
    }
    let subject = claims::subject(&claims)?.to_owned();
    Ok(IdToken { claims, subject, algorithm: jws.algorithm })
}

/// Checks `aud` and `azp` (OpenID Connect Core §3.1.3.7, steps 3 to 5).
///
/// `aud` must contain our client id and only trusted audiences; `azp`, if present, must be our
/// client id.
fn audience(members: &Map<String, Value>, config: &Config) -> Result<(), Mismatch> {
    let client = core::slice::from_ref(&config.client_id);
    claims::audience(members, client)?;
    let trusted = || client.iter().chain(config.audiences()).chain(&config.idp.trusted_audiences);
    let is_trusted = |one: &Value| trusted().any(|known| one.as_str() == Some(known));
    if let Some(Value::Array(many)) = members.get("aud")
        && !many.iter().all(is_trusted)
    {
        let wanted = format!("{} alone, or also those of idp.trusted_audiences", config.client_id);
        return Err(Mismatch::new("aud", members.get("aud"), wanted));
    }
    match members.get("azp") {
        None => Ok(()),
        Some(Value::String(azp)) if *azp == config.client_id => Ok(()),
        azp => Err(Mismatch::new("azp", azp, config.client_id.as_str())),
    }
}
