//! The role that a login or a refresh gives to a session.

use serde_json::{Map, Value};

use crate::config::{Config, LOGIN};
use crate::foundation::limits::PROVIDER_TOKEN;
use crate::foundation::time::UnixTime;
use crate::identity::claims_to_role::{has_source, kept_elsewhere, role_of};
use crate::identity::role::Role;
use crate::login::id_token;
use crate::login::id_token::IdToken;
use crate::wire::jose::claims;
use crate::wire::jose::claims::Mismatch;
use crate::wire::jose::compact::looks_like_token;
use crate::wire::jose::verify::{Unverified, Verifier};

/// The role that tokens name.
#[derive(Debug)]
pub(crate) struct Named {
    /// The role; `None` if the tokens name none.
    pub(crate) role: Option<Role>,
    /// Why the access token could not be used, if it was needed.
    pub(crate) unusable: Option<Unverified>,
    /// Whether a token has one of the claims that grant roles, whatever it grants.
    pub(crate) has_claim: bool,
}

/// Returns why a person has no role, if the ID token only refers to the claim that grants it: a
/// text for the log.
#[must_use]
pub(crate) fn missing(id: &IdToken, config: &Config) -> Option<String> {
    let claim = kept_elsewhere(&id.claims, &config.roles)?;
    Some(format!(
        "the ID token has too many entries for {claim} and only refers to them (_claim_names): \
         use app roles, or let the token list only what is assigned to the application",
    ))
}

/// Returns the role that the ID token names, else the one that the access token names.
///
/// The access token is used only if it verifies and has the same issuer, subject and authorized
/// party. One that is no JWT is not for us to read (RFC 6749 §1.4), and names no role.
#[must_use]
pub(crate) fn named(
    id: Option<&IdToken>,
    subject: &str,
    access: &[u8],
    verifier: Verifier<'_>,
    config: &Config,
    now: UnixTime,
) -> Named {
    let of = |claims: &Map<String, Value>| Named {
        role: role_of(claims, &config.roles),
        unusable: None,
        has_claim: has_source(claims, &config.roles),
    };
    let from_id = id.map(|id| of(&id.claims));
    let in_id = from_id.as_ref().is_some_and(|named| named.has_claim);
    match from_id {
        Some(named) if named.role.is_some() => named,
        _ if !looks_like_token(access) => Named { role: None, unusable: None, has_claim: in_id },
        _ => match access_claims(access, subject, verifier, config, now) {
            Ok(claims) => {
                let named = of(&claims);
                Named { has_claim: in_id || named.has_claim, ..named }
            }
            Err(unusable) => Named { role: None, unusable: Some(unusable), has_claim: in_id },
        },
    }
}

/// Verifies an access token that the provider gave to us for this person, and returns its claims.
fn access_claims(
    access: &[u8],
    subject: &str,
    verifier: Verifier<'_>,
    config: &Config,
    now: UnixTime,
) -> Result<Map<String, Value>, Unverified> {
    // The last one is Okta's.
    let types = ["jwt", "at+jwt", "okta-internal-at+jwt"];
    let claims = id_token::verify_signature(access, PROVIDER_TOKEN, verifier, &types)?.claims;
    if !is_access_token(&claims) {
        return Err(Mismatch::new("typ", claims.get("typ"), "an access token").into());
    }
    claims::issuer(&claims, &config.issuer)?;
    claims::times(&claims, now, true)?;
    if claims::text(&claims, "sub") != Some(subject) {
        return Err(Mismatch::new("sub", claims.get("sub"), subject).into());
    }
    let names = config.issuer(LOGIN).map_or(["azp"].as_slice(), |own| own.profile.client_claims());
    if claims::client(&claims, names)? != Some(config.client_id.as_str()) {
        return Err(Mismatch::new("azp", claims.get("azp"), config.client_id.as_str()).into());
    }
    Ok(claims)
}

/// Returns the role of a person whose tokens name this one. The default role is not for a person of
/// whom userinfo must still tell; see [`is_open`].
#[must_use]
pub(crate) fn or_default(named: Option<Role>, config: &Config) -> Option<Role> {
    if config.idp.userinfo { named } else { named.or(config.roles.default) }
}

/// Returns whether userinfo must be asked for the role.
#[must_use]
pub(crate) fn is_open(role: Option<Role>, config: &Config) -> bool {
    role.is_none() && config.idp.userinfo
}

/// Returns the role from userinfo's claims, else the default role.
#[must_use]
pub(crate) fn by_userinfo(claims: Option<&Value>, config: &Config) -> Option<Role> {
    claims.and_then(|claims| role_of(claims.as_object()?, &config.roles)).or(config.roles.default)
}

/// Returns whether claims are those of an access token (RFC 8725 §3.12).
///
/// Keycloak states the kind in `typ`. Without `typ`, no claim of another kind of token may be
/// present.
fn is_access_token(members: &Map<String, Value>) -> bool {
    match members.get("typ") {
        Some(typ) => typ == "Bearer",
        None => !["nonce", "at_hash", "c_hash", "events"].iter().any(|n| members.contains_key(*n)),
    }
}
