//! Logout tokens, by which the provider ends sessions (OpenID Connect Back-Channel Logout §2.4,
//! §2.6).

use core::time::Duration;

use serde_json::{Map, Value};

use crate::config::Config;
use crate::foundation::limits::{LEEWAY, TOKEN};
use crate::foundation::time::UnixTime;
use crate::login::id_token::verify_signature;
use crate::wire::http::query::only;
use crate::wire::jose::claims;
use crate::wire::jose::claims::Mismatch;
use crate::wire::jose::verify::{Unverified, Verifier};

/// Name of the event that a logout token must contain.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// Maximum age of an accepted token, whatever its `exp`: providers send it immediately.
const AGE: Duration = Duration::from_secs(600);
/// How long a `jti` is remembered, which is longer than its token is accepted.
pub(crate) const JTI_LIFETIME: Duration = AGE.saturating_add(Duration::from_secs(2 * LEEWAY));

/// The sessions that a verified logout token ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Logout {
    /// The claim `sid`, which identifies the provider's session.
    pub(crate) sid: Option<String>,
    /// The claim `sub`, which identifies the person.
    pub(crate) subject: Option<String>,
    /// The token's identifier. A token is accepted only once.
    pub(crate) jti: String,
}

/// Returns the token from a form that contains exactly one (OpenID Connect Back-Channel Logout
/// §2.5).
#[must_use]
pub(crate) fn token(form: &str) -> Option<String> {
    let token = only(form, "logout_token").ok()??;
    Some(token.into_owned()).filter(|token| !token.is_empty())
}

/// Verifies a logout token.
pub(crate) fn verify(
    token: &str,
    verifier: Verifier<'_>,
    config: &Config,
    now: UnixTime,
) -> Result<Logout, Unverified> {
    // Keycloak 24 writes the header type of any JWT; later versions write the one of §2.4.
    let claims =
        verify_signature(token.as_bytes(), TOKEN, verifier, &["logout+jwt", "jwt"])?.claims;
    claims::issuer(&claims, &config.issuer)?;
    claims::audience(&claims, core::slice::from_ref(&config.client_id))?;
    claims::times(&claims, now, true)?;
    if now.is_over(claims::not_before(&claims), AGE) {
        return Err(Mismatch::new("iat", claims.get("iat"), "one of the last ten minutes").into());
    }
    if claims.get("typ").is_some_and(|kind| kind != "Logout") {
        return Err(Mismatch::new("typ", claims.get("typ"), "Logout").into());
    }
    event(&claims)?;
    if claims.contains_key("nonce") {
        return Err(Mismatch::new("nonce", None, "none (this is an ID token)").into());
    }
    let jti = text(&claims, "jti")?;
    let (sid, subject) = (text(&claims, "sid")?, text(&claims, "sub")?);
    if sid.is_none() && subject.is_none() {
        return Err(Mismatch::new("sid", None, "sid or sub").into());
    }
    let jti = jti.ok_or_else(|| Mismatch::new("jti", None, "one"))?;
    Ok(Logout { sid, subject, jti })
}

/// Checks that `events` contains the back-channel logout event.
fn event(members: &Map<String, Value>) -> Result<(), Mismatch> {
    let event = members.get("events").and_then(|events| events.as_object()?.get(EVENT));
    if event.is_some_and(Value::is_object) {
        return Ok(());
    }
    Err(Mismatch::new("events", None, "the back-channel logout event, an object"))
}

/// Returns an optional claim, which must be a string of 1 to 255 bytes if it is present.
fn text(members: &Map<String, Value>, name: &'static str) -> Result<Option<String>, Mismatch> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if (1..=255).contains(&text.len()) => Ok(Some(text.clone())),
        other => Err(Mismatch::new(name, other, "1 to 255 characters")),
    }
}
