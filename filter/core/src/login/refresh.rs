//! Asking the provider again: is this session still good, and with which role?

use crate::config::Config;
use crate::idp::token::{NoTokens, Tokens};
use crate::jose::claims::Mismatch;
use crate::jose::jwk::KeySet;
use crate::login::id_token::{self, Refused};
use crate::login::role::role;
use crate::session::model::Session;
use crate::time::UnixTime;

/// What a refresh gave.
#[derive(Debug)]
pub enum Refreshed {
    /// The session, confirmed; roles re-read, refresh token replaced if it was rotated.
    Confirmed(Box<Session>),
    /// The provider has ended it.
    Ended(String),
    /// No verdict: grace applies. Says what was seen.
    Unavailable(String),
}

/// Judges the token endpoint's answer for a session.
#[must_use]
pub fn judge(
    session: &Session,
    answer: Result<Tokens, NoTokens>,
    keys: Option<&KeySet>,
    config: &Config,
    now: UnixTime,
) -> Refreshed {
    let tokens = match answer {
        Ok(tokens) => tokens,
        Err(NoTokens::InvalidGrant) => return Refreshed::Ended("invalid_grant".to_owned()),
        // A wrong client secret is our fault, not the person's: sessions stay.
        Err(NoTokens::OurFault(what) | NoTokens::Unavailable(what)) => {
            return Refreshed::Unavailable(what);
        }
    };
    let Some(keys) = keys else { return Refreshed::Unavailable("no keys".to_owned()) };
    let Some(token) = &tokens.id else {
        return Refreshed::Ended("no id_token in the refresh answer".to_owned());
    };
    let id = match id_token::verify(token.expose(), None, keys, config, now) {
        Ok(id) => id,
        Err(Refused::UnknownKey(kid)) => {
            return Refreshed::Unavailable(format!("unknown key {kid}"));
        }
        Err(Refused::Mismatch(mismatch)) => return ended(&mismatch),
    };
    if id.subject != session.subject {
        return Refreshed::Ended("another subject in the refreshed ID token".to_owned());
    }
    // §12.2: auth_time, if present, stays that of the login.
    let auth_time = id.claims.get("auth_time").and_then(serde_json::Value::as_u64);
    if auth_time.is_some() && auth_time != session.auth_time {
        return Refreshed::Ended("another auth_time in the refreshed ID token".to_owned());
    }
    Refreshed::Confirmed(Box::new(Session {
        role: role(&id, &tokens, keys, config, now),
        checked: now,
        used: now,
        refresh_token: tokens.refresh.or_else(|| session.refresh_token.clone()),
        ..session.clone()
    }))
}

fn ended(mismatch: &Mismatch) -> Refreshed {
    Refreshed::Ended(format!("refreshed ID token {} {}", mismatch.claim, mismatch.seen))
}
