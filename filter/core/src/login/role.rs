//! The role that a login or a refresh gives to a session.

use serde_json::{Map, Value};

use crate::config::Config;
use crate::foundation::time::UnixTime;
use crate::identity::claims_to_role::role_of;
use crate::identity::role::Role;
use crate::login::id_token;
use crate::login::id_token::IdToken;
use crate::provider::token_endpoint::Tokens;
use crate::wire::jose::claims;
use crate::wire::jose::verify::Verifier;

/// Returns the role from the ID token, else from the access token, else the default role.
///
/// The access token is used only if it verifies and has the same issuer, subject and authorized
/// party. With `idp.userinfo` the default role is not applied here, because userinfo must be asked
/// first; see [`is_open`].
#[must_use]
pub(crate) fn role(
    id: &IdToken,
    tokens: &Tokens,
    verifier: Verifier<'_>,
    config: &Config,
    now: UnixTime,
) -> Option<Role> {
    let from_id = role_of(&id.claims, &config.roles);
    let from_access = || {
        let types = ["jwt", "at+jwt"];
        let access = tokens.access.expose();
        let claims = id_token::verify_signature(access, verifier, &types).ok()?.claims;
        if !is_access_token(&claims) {
            return None;
        }
        claims::issuer(&claims, &config.issuer).ok()?;
        claims::times(&claims, now, true).ok()?;
        let same = claims::text(&claims, "sub") == Some(&id.subject)
            && claims::text(&claims, "azp") == Some(&config.client_id);
        same.then(|| role_of(&claims, &config.roles)).flatten()
    };
    let found = from_id.or_else(from_access);
    if config.idp.userinfo { found } else { found.or(config.roles.default) }
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
