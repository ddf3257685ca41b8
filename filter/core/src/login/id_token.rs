//! The ID token, verified in the order of OpenID Connect Core §3.1.3.7. The signature is always
//! checked: TLS to the token endpoint does not stand in for it.

use serde_json::{Map, Value};

use crate::config::Config;
use crate::jose::claims::{self, Mismatch};
use crate::jose::compact::Compact;
use crate::jose::jwk::KeySet;
use crate::jose::verify::signature_is_valid;
use crate::time::UnixTime;

/// Who logged in, from a verified token.
#[derive(Clone, Debug)]
pub struct IdToken {
    /// All claims.
    pub claims: Map<String, Value>,
    /// `sub`.
    pub subject: String,
}

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No key of that `kid` and algorithm is known: fetch the keys and look again.
    UnknownKey(String),
    /// It does not say what it should.
    Mismatch(Mismatch),
}

impl From<Mismatch> for Refused {
    fn from(mismatch: Mismatch) -> Self {
        Self::Mismatch(mismatch)
    }
}

/// Verifies a token's form, algorithm, signature and, if it has one, header type; gives its claims.
///
/// # Errors
/// See [`Refused`].
pub fn verify_signature(
    token: &[u8],
    keys: &KeySet,
    config: &Config,
    types: &[&str],
) -> Result<Map<String, Value>, Refused> {
    let compact = Compact::parse(token)
        .map_err(|why| Mismatch::new("token", None, format!("a signed token, not {}", why.0)))?;
    if !config.idp.algorithms.contains(&compact.algorithm) {
        let seen = Value::from(compact.algorithm.name());
        return Err(Mismatch::new("alg", Some(&seen), "an algorithm of idp.algorithms").into());
    }
    let Some(verifier) = keys.select(compact.key_id.as_deref(), compact.algorithm) else {
        return Err(Refused::UnknownKey(crate::refusal::shown(
            compact.key_id.as_deref().unwrap_or("no kid"),
        )));
    };
    if !signature_is_valid(&compact, &verifier) {
        return Err(Mismatch::new("signature", None, "the issuer's signature").into());
    }
    if compact.token_type.as_deref().is_some_and(|own| !types.contains(&own)) {
        let seen = compact.token_type.map(Value::from);
        return Err(Mismatch::new("header typ", seen.as_ref(), types.join(" or ")).into());
    }
    Ok(compact.claims)
}

/// Verifies an ID token. `nonce` is the attempt's; on a refresh it is `None`, since providers may
/// leave it out there (§12.2).
///
/// # Errors
/// See [`Refused`].
pub fn verify(
    token: &[u8],
    nonce: Option<&str>,
    keys: &KeySet,
    config: &Config,
    now: UnixTime,
) -> Result<IdToken, Refused> {
    let claims = verify_signature(token, keys, config, &["jwt"])?;
    claims::issuer(&claims, &config.issuer)?;
    audience(&claims, config)?;
    claims::times(&claims, now, true)?;
    // Keycloak says in the payload what a token is for; another kind must never log anybody in.
    if claims.get("typ").is_some_and(|kind| kind != "ID") {
        return Err(Mismatch::new("typ", claims.get("typ"), "ID").into());
    }
    if let Some(nonce) = nonce
        && claims::text(&claims, "nonce") != Some(nonce)
    {
        // The value is a secret of the attempt: it is not shown.
        return Err(Mismatch::new("nonce", None, "the nonce of this attempt").into());
    }
    let subject = claims::subject(&claims)?.to_owned();
    Ok(IdToken { claims, subject })
}

/// §3.1.3.7 steps 3 to 5: ours is in it, nobody that we do not trust is, `azp` is us.
fn audience(members: &Map<String, Value>, config: &Config) -> Result<(), Mismatch> {
    let own = core::slice::from_ref(&config.client_id);
    claims::audience(members, own)?;
    if let Some(Value::Array(many)) = members.get("aud") {
        let trusted = [own, &config.audiences].concat();
        for one in many {
            claims::audience(&Map::from_iter([("aud".to_owned(), one.clone())]), &trusted)?;
        }
    }
    match members.get("azp") {
        None => Ok(()),
        Some(Value::String(azp)) if *azp == config.client_id => Ok(()),
        azp => Err(Mismatch::new("azp", azp, config.client_id.as_str())),
    }
}
