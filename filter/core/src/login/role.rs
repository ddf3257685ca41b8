//! Which role a login or a refresh gives.

use serde_json::Value;

use crate::config::Config;
use crate::idp::token::Tokens;
use crate::jose::claims;
use crate::jose::jwk::KeySet;
use crate::login::id_token::{self, IdToken};
use crate::policy::claims_to_role::role_of;
use crate::policy::role::Role;
use crate::time::UnixTime;

/// The role from the ID token, else from the access token if that is a verified token of the same
/// issuer, subject and party, else the default.
#[must_use]
pub fn role(
    id: &IdToken,
    tokens: &Tokens,
    keys: &KeySet,
    config: &Config,
    now: UnixTime,
) -> Option<Role> {
    let from_id = role_of(&Value::Object(id.claims.clone()), &config.roles);
    let from_access = || {
        let claims =
            id_token::verify_signature(tokens.access.expose(), keys, config, &["jwt", "at+jwt"])
                .ok()?;
        claims::issuer(&claims, &config.issuer).ok()?;
        claims::times(&claims, now, true).ok()?;
        let same = claims::text(&claims, "sub") == Some(&id.subject)
            && claims::text(&claims, "azp") == Some(&config.client_id);
        same.then(|| role_of(&Value::Object(claims), &config.roles)).flatten()
    };
    from_id.or_else(from_access).or(config.roles.default)
}
