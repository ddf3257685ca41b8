//! Refreshes, by which the provider confirms or ends a session and its role.

use crate::config::Config;
use crate::foundation::secret::Secret;
use crate::foundation::time::UnixTime;
use crate::login::id_token;
use crate::login::id_token::IdToken;
use crate::login::role;
use crate::login::role::is_open;
use crate::provider::token_endpoint::{NoTokens, Tokens};
use crate::session::model::Session;
use crate::wire::jose::claims;
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
        Err(NoTokens::InvalidGrant(seen)) => return Err(Refreshed::Ended(seen)),
        // A wrong client secret is an operator's mistake, so it must not end sessions.
        Err(
            NoTokens::InvalidClient(seen) | NoTokens::OurFault(seen) | NoTokens::Unavailable(seen),
        ) => return Err(Refreshed::unavailable(seen, false)),
        Err(NoTokens::NoAnswer(seen)) => return Err(Refreshed::unavailable(seen, true)),
    };
    let Some(verifier) = verifier else {
        return Err(Refreshed::unverified("no keys", &tokens, true));
    };
    // The answer need not contain an ID token (OpenID Connect Core §12.2).
    let id = match &tokens.id {
        None => None,
        Some(token) => match id_token::verify(token.expose(), None, verifier, config, now) {
            Ok(id) => Some(id),
            Err(unverified) if is_a_verdict(&unverified) => {
                return Err(Refreshed::Ended(unverified.described(ID_TOKEN)));
            }
            Err(unverified) => return Err(no_verdict(&unverified, ID_TOKEN, &tokens)),
        },
    };
    if let Some(id) = &id {
        same_login(id, session, config).map_err(Refreshed::Ended)?;
    }
    let access = tokens.access.expose();
    let named = role::named(id.as_ref(), &session.subject, access, verifier, config, now);
    let role = match (named.role, named.unusable) {
        (Some(role), _) => Some(role),
        // A token that can't be used says nothing about the person.
        (None, Some(unusable)) if session.role > config.roles.default => {
            return Err(no_verdict(&unusable, "refreshed access token", &tokens));
        }
        // The login's ID token named the role, perhaps. A role that can't be read again must not
        // outlive the recheck, and a new login reads it.
        (None, None)
            if id.is_none()
                && !named.has_claim
                && !config.idp.userinfo
                && session.role > config.roles.default =>
        {
            return Err(Refreshed::Ended("a refresh without a claim for the role".to_owned()));
        }
        (None, _) => role::or_default(None, config),
    };
    // An ID token without these claims says nothing about the address.
    let says =
        |id: &IdToken| ["email", "email_verified"].iter().any(|n| id.claims.contains_key(*n));
    let email = match &id {
        Some(id) if says(id) => config.users.email(&id.claims).map(str::to_owned),
        _ => session.email.clone(),
    };
    if !config.users.admits(&session.subject, email.as_deref()) {
        return Err(Refreshed::Ended("the person is no longer in users.allow".to_owned()));
    }
    let confirmed = Session {
        email,
        role,
        checked: now,
        used: now,
        refresh_token: tokens.refresh.or_else(|| session.refresh_token.clone()),
        ..session.clone()
    };
    Ok((confirmed, tokens.access))
}

const ID_TOKEN: &str = "refreshed ID token";

/// Returns whether an ID token that does not verify ends the session.
///
/// An unknown key may be a new one. A wrong clock on our side may cause a mismatch of times.
fn is_a_verdict(unverified: &Unverified) -> bool {
    match unverified {
        Unverified::UnknownKey(_) => false,
        Unverified::Mismatch(mismatch) => !matches!(mismatch.claim, "exp" | "iat" | "nbf"),
    }
}

fn no_verdict(unverified: &Unverified, kind: &str, tokens: &Tokens) -> Refreshed {
    let unknown_key = matches!(unverified, Unverified::UnknownKey(_));
    Refreshed::unverified(unverified.described(kind), tokens, unknown_key)
}

/// Checks that a refreshed ID token is of the same person and session.
///
/// The provider moves `auth_time` when the person authenticates again in the same session, for
/// another application perhaps. An earlier one is another login's (OpenID Connect Core §12.2). A
/// later one is not kept: a copy of the cookie proves no new authentication.
fn same_login(id: &IdToken, session: &Session, config: &Config) -> Result<(), String> {
    if id.subject != session.subject {
        return Err("another subject in the refreshed ID token".to_owned());
    }
    let sid = claims::text(&id.claims, "sid");
    if sid.zip(session.sid.as_deref()).is_some_and(|(sid, known)| sid != known) {
        return Err("another sid in the refreshed ID token".to_owned());
    }
    let auth_time = id.claims.get("auth_time").and_then(claims::numeric_date);
    if auth_time.zip(session.auth_time).is_some_and(|(at, known)| at < known) {
        return Err("an earlier auth_time in the refreshed ID token".to_owned());
    }
    if id.claims.contains_key("acr") {
        id_token::check_acr(&id.claims, config).map_err(|mismatch| mismatch.of(ID_TOKEN))?;
    }
    Ok(())
}
