//! Access tokens of the issuer as bearer tokens (RFC 6750, RFC 9068, Keycloak's own kind).

use serde_json::{Map, Value};

use crate::config::Config;
use crate::jose::claims::{self, Mismatch};
use crate::jose::compact::Compact;
use crate::jose::verify::{Unverified, Verifier};
use crate::limits;
use crate::policy::claims_to_role::role_of;
use crate::policy::principal::{Identity, Method, Principal};
use crate::refusal::{Reason, Refusal};
use crate::time::UnixTime;

const LEEWAY: core::time::Duration = core::time::Duration::from_secs(limits::LEEWAY);

/// Why a token proves nobody.
#[derive(Debug)]
pub enum NotProved {
    /// Its issuer is ours and its key is not known.
    UnknownKey(String),
    /// Refused.
    Refused(Refusal),
}

impl From<Mismatch> for NotProved {
    fn from(mismatch: Mismatch) -> Self {
        Self::Refused(
            Refusal::new(Reason::InvalidToken)
                .seen(format!("{} {}", mismatch.claim, mismatch.seen))
                .wanted(&mismatch.wanted),
        )
    }
}

/// Judges a token.
///
/// # Errors
/// See [`NotProved`].
pub fn judge(
    token: &[u8],
    verifier: Verifier<'_>,
    config: &Config,
    now: UnixTime,
) -> Result<Identity, NotProved> {
    let compact = Compact::parse(token)
        .map_err(|why| Mismatch::new("token", None, format!("a signed token, not {}", why.0)))?;
    // Before any key is looked for: a token of another issuer causes no fetch.
    claims::issuer(&compact.claims, &config.issuer)?;
    verifier.check(&compact.jws).map_err(|why| match why {
        Unverified::UnknownKey(kid) => NotProved::UnknownKey(kid),
        Unverified::Mismatch(mismatch) => mismatch.into(),
    })?;
    let claims = &compact.claims;
    // As long as the token is accepted, so long lives what it opened.
    let until = claims::times(claims, now, true)?.plus(LEEWAY);
    kind(&compact)?;
    claims::audience(claims, &config.audiences)?;
    party(claims, config)?;
    let principal = principal(claims)?;
    Ok(Identity {
        principal,
        role: role_of(&Value::Object(compact.claims.clone()), &config.roles),
        until: Some(until),
    })
}

/// Only access tokens: an ID token has the same audience, and refresh, offline and logout tokens
/// the same issuer (docs/threats.md T-S2).
fn kind(token: &Compact<'_>) -> Result<(), Mismatch> {
    let own = token.jws.token_type.as_deref();
    if !matches!(own, None | Some("jwt" | "at+jwt")) {
        let seen = own.map(Value::from);
        return Err(Mismatch::new("header typ", seen.as_ref(), "JWT or at+jwt"));
    }
    let claims = &token.claims;
    if claims::text(claims, "typ") != Some("Bearer") {
        return Err(Mismatch::new("typ", claims.get("typ"), "Bearer (an access token)"));
    }
    claims::not_an_event(claims)?;
    if claims.contains_key("cnf") {
        return Err(Mismatch::new("cnf", None, "no cnf: a bound token needs its proof"));
    }
    Ok(())
}

fn party(members: &Map<String, Value>, config: &Config) -> Result<(), Mismatch> {
    let allowed = &config.authorized_parties;
    let azp = claims::text(members, "azp").filter(|azp| !azp.is_empty());
    if azp.is_none() && members.contains_key("azp") {
        return Err(Mismatch::new("azp", members.get("azp"), "the name of a client"));
    }
    if allowed.is_empty() || azp.is_some_and(|azp| allowed.iter().any(|party| party == azp)) {
        return Ok(());
    }
    Err(Mismatch::new("azp", members.get("azp"), allowed.join(" or ")))
}

/// A client's own token (Keycloak: service account, no session) is a client's; any other is a
/// person's. The kinds stay apart (RFC 9700 §4.15).
fn principal(members: &Map<String, Value>) -> Result<Principal, Mismatch> {
    let subject = claims::subject(members)?;
    let username = claims::text(members, "preferred_username");
    let client = claims::text(members, "azp").filter(|azp| {
        username.and_then(|name| name.strip_prefix("service-account-")) == Some(azp)
            && !members.contains_key("sid")
            && !members.contains_key("auth_time")
    });
    let (id, name) = match client {
        Some(client) => (format!("client:{client}"), client),
        None => (format!("user:{subject}"), username.unwrap_or(subject)),
    };
    let name = name.chars().filter(|c| !c.is_control()).take(128).collect();
    Ok(Principal { id, name, email: None, method: Method::Bearer })
}
