//! Asking the provider again: is this session still good, and with which role?

use crate::config::Config;
use crate::foundation::secret::Secret;
use crate::foundation::time::UnixTime;
use crate::login::id_token;
use crate::login::role::{is_open, role};
use crate::provider::token_endpoint::{NoTokens, Tokens};
use crate::session::model::Session;
use crate::wire::jose::claims::Mismatch;
use crate::wire::jose::verify::{Unverified, Verifier};

/// What a refresh gave.
#[derive(Debug)]
pub(crate) enum Refreshed {
    /// The session, confirmed; roles re-read, refresh token replaced if it was rotated.
    Confirmed(Box<Session>),
    /// The provider has ended it.
    Ended(String),
    /// No verdict: grace applies.
    Unavailable {
        /// What was seen.
        seen: String,
        /// The refresh token that has taken the old one's place, if there is one.
        rotated: Option<Secret>,
        /// Whether a key is not known, and that is why.
        unknown_key: bool,
        /// Whether there was no answer at all: then nobody else need ask for a moment.
        silent: bool,
    },
}

/// How far the token endpoint's answer leads.
#[derive(Debug)]
pub(crate) enum RefreshReply {
    /// To a result.
    Done(Refreshed),
    /// To a confirmed session whose role userinfo must say; to be asked with this access token.
    RoleOpen(Box<Session>, Secret),
}

impl Refreshed {
    fn unavailable(seen: String, silent: bool) -> Self {
        Self::Unavailable { seen, rotated: None, unknown_key: false, silent }
    }

    fn unverified(seen: impl Into<String>, tokens: &Tokens, unknown_key: bool) -> Self {
        let rotated = tokens.refresh.clone();
        Self::Unavailable { seen: seen.into(), rotated, unknown_key, silent: false }
    }
}

/// Judges the token endpoint's answer for a session.
#[must_use]
pub(crate) fn read_reply(
    session: &Session,
    answer: Result<Tokens, NoTokens>,
    verifier: Option<Verifier<'_>>,
    config: &Config,
    now: UnixTime,
) -> RefreshReply {
    match confirm(session, answer, verifier, config, now) {
        Err(refreshed) => RefreshReply::Done(refreshed),
        Ok((session, access)) if is_open(session.role, config) => {
            RefreshReply::RoleOpen(Box::new(session), access)
        }
        Ok((session, _)) => RefreshReply::Done(Refreshed::Confirmed(Box::new(session))),
    }
}

/// The confirmed session and the access token that came with it.
fn confirm(
    session: &Session,
    answer: Result<Tokens, NoTokens>,
    verifier: Option<Verifier<'_>>,
    config: &Config,
    now: UnixTime,
) -> Result<(Session, Secret), Refreshed> {
    let tokens = match answer {
        Ok(tokens) => tokens,
        Err(NoTokens::InvalidGrant) => return Err(Refreshed::Ended("invalid_grant".to_owned())),
        // A wrong client secret is our fault, not the person's: sessions stay.
        Err(
            NoTokens::InvalidClient(what) | NoTokens::OurFault(what) | NoTokens::Unavailable(what),
        ) => return Err(Refreshed::unavailable(what, false)),
        Err(NoTokens::NoAnswer(what)) => return Err(Refreshed::unavailable(what, true)),
    };
    let Some(verifier) = verifier else {
        return Err(Refreshed::unverified("no keys", &tokens, true));
    };
    let Some(token) = &tokens.id else {
        return Err(Refreshed::unverified("no id_token in the refresh answer", &tokens, false));
    };
    let id = match id_token::verify(token.expose(), None, verifier, config, now) {
        Ok(id) => id,
        Err(Unverified::UnknownKey(kid)) => {
            return Err(Refreshed::unverified(format!("unknown key {kid}"), &tokens, true));
        }
        // Times may be off because of our own clock: no reason to end anything.
        Err(Unverified::Mismatch(mismatch)) if matches!(mismatch.claim, "exp" | "iat" | "nbf") => {
            return Err(Refreshed::unverified(seen(&mismatch), &tokens, false));
        }
        Err(Unverified::Mismatch(mismatch)) => return Err(Refreshed::Ended(seen(&mismatch))),
    };
    if id.subject != session.subject {
        return Err(Refreshed::Ended("another subject in the refreshed ID token".to_owned()));
    }
    // §12.2: auth_time, if present, stays that of the login.
    let auth_time = id.claims.get("auth_time").and_then(serde_json::Value::as_u64);
    if auth_time.is_some() && auth_time != session.auth_time {
        return Err(Refreshed::Ended("another auth_time in the refreshed ID token".to_owned()));
    }
    let confirmed = Session {
        role: role(&id, &tokens, verifier, config, now),
        checked: now,
        used: now,
        refresh_token: tokens.refresh.or_else(|| session.refresh_token.clone()),
        ..session.clone()
    };
    Ok((confirmed, tokens.access))
}

fn seen(mismatch: &Mismatch) -> String {
    format!("refreshed ID token {} {}", mismatch.claim, mismatch.seen)
}
