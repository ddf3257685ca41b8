//! Refreshes, by which the provider confirms or ends a session and its role.

use crate::config::Config;
use crate::foundation::secret::Secret;
use crate::foundation::time::UnixTime;
use crate::login::id_token;
use crate::login::role::{is_open, role};
use crate::provider::token_endpoint::{NoTokens, Tokens};
use crate::session::model::Session;
use crate::wire::jose::claims::Mismatch;
use crate::wire::jose::verify::{Unverified, Verifier};

/// The result of a refresh.
#[derive(Debug)]
pub(crate) enum Refreshed {
    /// The provider confirmed the session. Its role is read again and a rotated refresh token
    /// replaces the old one.
    Confirmed(Box<Session>),
    /// The provider has ended the session; holds the reason for logs.
    Ended(String),
    /// The provider gave no verdict, so that `session.grace` applies.
    Unavailable {
        /// What was seen, for logs.
        seen: String,
        /// The refresh token that replaces the old one, if the provider rotated it.
        rotated: Option<Secret>,
        /// Whether the reason is an unknown key, so that fetching the keys may help.
        unknown_key: bool,
        /// Whether the provider did not answer at all. Other requests then do not ask it for a
        /// moment.
        silent: bool,
    },
}

/// What the token endpoint's answer to a refresh leads to.
#[derive(Debug)]
pub(crate) enum RefreshReply {
    /// The refresh is complete.
    Done(Refreshed),
    /// The session is confirmed, and userinfo must be asked for its role with this access token.
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

/// Interprets the token endpoint's answer to the refresh of a session.
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

/// Returns the confirmed session and the access token that came with it.
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
        // A wrong client secret is an operator's mistake, so it must not end sessions.
        Err(
            NoTokens::InvalidClient(seen) | NoTokens::OurFault(seen) | NoTokens::Unavailable(seen),
        ) => return Err(Refreshed::unavailable(seen, false)),
        Err(NoTokens::NoAnswer(seen)) => return Err(Refreshed::unavailable(seen, true)),
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
        // A wrong clock on our side may cause a mismatch of times, which must not end sessions.
        Err(Unverified::Mismatch(mismatch)) if matches!(mismatch.claim, "exp" | "iat" | "nbf") => {
            return Err(Refreshed::unverified(seen(&mismatch), &tokens, false));
        }
        Err(Unverified::Mismatch(mismatch)) => return Err(Refreshed::Ended(seen(&mismatch))),
    };
    if id.subject != session.subject {
        return Err(Refreshed::Ended("another subject in the refreshed ID token".to_owned()));
    }
    // A refresh must not change auth_time, if it is present (OpenID Connect Core §12.2).
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
