//! Asking the provider again: is this session still good, and with which role?

use crate::config::Config;
use crate::idp::token::{NoTokens, Tokens};
use crate::jose::claims::Mismatch;
use crate::jose::verify::{Unverified, Verifier};
use crate::login::id_token;
use crate::login::role::role;
use crate::secret::Secret;
use crate::session::model::Session;
use crate::time::UnixTime;

/// What a refresh gave.
#[derive(Debug)]
pub enum Refreshed {
    /// The session, confirmed; roles re-read, refresh token replaced if it was rotated. The access
    /// token is for userinfo, if that is to be asked.
    Confirmed(Box<Session>, Secret),
    /// The provider has ended it.
    Ended(String),
    /// No verdict: grace applies.
    Unavailable {
        /// What was seen.
        seen: String,
        /// The refresh token that has taken the old one's place, if there is one.
        rotated: Option<Secret>,
        /// The key that is not known, if that is why.
        unknown_key: bool,
    },
}

impl Refreshed {
    fn unavailable(seen: impl Into<String>) -> Self {
        Self::Unavailable { seen: seen.into(), rotated: None, unknown_key: false }
    }

    fn unverified(seen: impl Into<String>, tokens: &Tokens, unknown_key: bool) -> Self {
        Self::Unavailable { seen: seen.into(), rotated: tokens.refresh.clone(), unknown_key }
    }
}

/// Judges the token endpoint's answer for a session.
#[must_use]
pub fn judge(
    session: &Session,
    answer: Result<Tokens, NoTokens>,
    verifier: Option<Verifier<'_>>,
    config: &Config,
    now: UnixTime,
) -> Refreshed {
    let tokens = match answer {
        Ok(tokens) => tokens,
        Err(NoTokens::InvalidGrant) => return Refreshed::Ended("invalid_grant".to_owned()),
        // A wrong client secret is our fault, not the person's: sessions stay.
        Err(NoTokens::OurFault(what) | NoTokens::Unavailable(what)) => {
            return Refreshed::unavailable(what);
        }
    };
    let Some(verifier) = verifier else {
        return Refreshed::unverified("no keys", &tokens, true);
    };
    let Some(token) = &tokens.id else {
        return Refreshed::unverified("no id_token in the refresh answer", &tokens, false);
    };
    let id = match id_token::verify(token.expose(), None, verifier, config, now) {
        Ok(id) => id,
        Err(Unverified::UnknownKey(kid)) => {
            return Refreshed::unverified(format!("unknown key {kid}"), &tokens, true);
        }
        // Times may be off because of our own clock: no reason to end anything.
        Err(Unverified::Mismatch(mismatch)) if matches!(mismatch.claim, "exp" | "iat" | "nbf") => {
            return Refreshed::unverified(seen(&mismatch), &tokens, false);
        }
        Err(Unverified::Mismatch(mismatch)) => return Refreshed::Ended(seen(&mismatch)),
    };
    if id.subject != session.subject {
        return Refreshed::Ended("another subject in the refreshed ID token".to_owned());
    }
    // §12.2: auth_time, if present, stays that of the login.
    let auth_time = id.claims.get("auth_time").and_then(serde_json::Value::as_u64);
    if auth_time.is_some() && auth_time != session.auth_time {
        return Refreshed::Ended("another auth_time in the refreshed ID token".to_owned());
    }
    let confirmed = Session {
        role: role(&id, &tokens, verifier, config, now),
        checked: now,
        used: now,
        refresh_token: tokens.refresh.or_else(|| session.refresh_token.clone()),
        ..session.clone()
    };
    Refreshed::Confirmed(Box::new(confirmed), tokens.access)
}

fn seen(mismatch: &Mismatch) -> String {
    format!("refreshed ID token {} {}", mismatch.claim, mismatch.seen)
}
