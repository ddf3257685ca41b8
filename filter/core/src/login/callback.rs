//! The callback of a login: reads the provider's answer from the query, interprets the token
//! endpoint's answer and creates a session from the tokens.

use crate::config::Config;
use crate::foundation::crypto::{Entropy, random};
use crate::foundation::id::{Id, SessionId};
use crate::foundation::log_text::{described, shown};
use crate::foundation::time::UnixTime;
use crate::login::id_token;
use crate::login::role;
use crate::login::ticket::Ticket;
use crate::provider::metadata::Provider;
use crate::provider::token_endpoint::{NoTokens, Tokens};
use crate::refusal::{Reason, Refusal};
use crate::session::model::Session;
use crate::wire::http::query::only;
use crate::wire::jose::claims;
use crate::wire::jose::claims::Mismatch;
use crate::wire::jose::verify::{Unverified, Verifier};

/// The provider's answer in the query of a callback.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The parameter `state`.
    pub(crate) state: String,
    /// The authorization code, or the provider's error.
    pub(crate) result: Result<String, ProviderError>,
    iss: Option<String>,
}

/// An error that the provider sends to the callback (RFC 6749 §4.1.2.1, OpenID Connect Core
/// §3.1.2.6).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ProviderError {
    code: String,
    description: String,
}

/// Why a login failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) refusal: Refusal,
    /// Whether a new login may succeed without the person.
    pub(crate) try_again: bool,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, try_again: false }
    }
}

impl Failure {
    /// Returns the failure after which Lictor starts another login by itself.
    pub(crate) const fn again(refusal: Refusal) -> Self {
        Self { refusal, try_again: true }
    }
}

/// Reads the query of a callback.
///
/// # Errors
/// When a parameter is missing, empty, longer than 2048 bytes or repeated.
pub(crate) fn read(query: &str) -> Result<Answer, Refusal> {
    let refuse = |seen: &str| {
        Refusal::new(Reason::Callback).seen(seen).wanted("state, and code or error, each once")
    };
    let one = |name: &str| match only(query, name) {
        Ok(value) => Ok(value.filter(|v| !v.is_empty() && v.len() <= 2048).map(|v| v.into_owned())),
        Err(_) => Err(refuse("a parameter twice")),
    };
    let (state, code, error, iss) = (one("state")?, one("code")?, one("error")?, one("iss")?);
    let result = match (code, error) {
        (Some(code), None) => Ok(code),
        (None, Some(code)) => {
            let description = only(query, "error_description").ok().flatten().unwrap_or_default();
            Err(ProviderError { code, description: described(&description) })
        }
        (Some(_), Some(_)) => return Err(refuse("code and error")),
        (None, None) => return Err(refuse("neither code nor error")),
    };
    let state = state.ok_or_else(|| refuse("no state"))?;
    Ok(Answer { state, result, iss })
}

impl Answer {
    /// Checks that the answer, which may be an error, comes from the configured provider
    /// (RFC 9207 §2.4).
    ///
    /// # Errors
    /// When `iss` differs from the configured issuer, or is missing although the provider's
    /// metadata announces it.
    pub(crate) fn check_issuer(&self, config: &Config, provider: &Provider) -> Result<(), Refusal> {
        match &self.iss {
            Some(iss) if *iss == config.issuer => Ok(()),
            None if !provider.iss_in_callback => Ok(()),
            other => Err(Refusal::new(Reason::Callback)
                .seen(format!("iss {}", other.as_deref().unwrap_or("missing")))
                .wanted(format!("iss {}", config.issuer))),
        }
    }
}

/// Returns what an error in the provider's answer means.
#[must_use]
pub(crate) fn provider_error(error: &ProviderError) -> Failure {
    let ProviderError { code, description } = error;
    let refusal = |reason| {
        let colon = if description.is_empty() { "" } else { ": " };
        let code = described(code);
        Refusal::new(reason).seen(format!("error {code}{colon}{description}")).wanted("a code")
    };
    match (code.as_str(), description.as_str()) {
        // Keycloak's answer to a login page that was left open for too long.
        ("temporarily_unavailable", "authentication_expired") => {
            Failure::again(refusal(Reason::UnknownAttempt))
        }
        ("temporarily_unavailable" | "server_error", _) => {
            refusal(Reason::ProviderUnreachable).into()
        }
        // The provider would have to ask the person, which it does in a new login.
        (
            "login_required"
            | "interaction_required"
            | "account_selection_required"
            | "consent_required",
            _,
        ) => Failure::again(refusal(Reason::ProviderRefused)),
        _ => refusal(Reason::ProviderRefused).into(),
    }
}

/// Returns what a token endpoint's answer without tokens means.
#[must_use]
pub(crate) fn no_tokens(why: &NoTokens) -> Failure {
    match why {
        NoTokens::InvalidGrant(seen) => Failure::again(
            Refusal::new(Reason::UnknownAttempt)
                .seen(format!("{seen} for the code"))
                .wanted("a code that is used once and in time"),
        ),
        NoTokens::InvalidClient(seen) | NoTokens::OurFault(seen) => {
            Refusal::new(Reason::ProviderRejectsClient)
                .seen(seen)
                .wanted("tokens (check client_id, its secret or key, and idp.client_auth)")
                .into()
        }
        NoTokens::Unavailable(seen) | NoTokens::NoAnswer(seen) => {
            Refusal::new(Reason::ProviderUnreachable).seen(seen).wanted("tokens").into()
        }
    }
}

/// Why tokens do not result in a session.
#[derive(Debug)]
pub(crate) enum NoSession {
    /// No key with the ID token's `kid` is known. The caller fetches the keys and tries again.
    UnknownKey(String),
    /// The tokens are refused.
    Refused(Refusal),
}

impl From<Unverified> for NoSession {
    fn from(unverified: Unverified) -> Self {
        match unverified {
            Unverified::UnknownKey(kid) => Self::UnknownKey(kid),
            Unverified::Mismatch(mismatch) => Self::Refused(from_mismatch(&mismatch)),
        }
    }
}

/// Returns the refusal for an ID token that fails a check.
#[must_use]
pub(crate) fn from_mismatch(mismatch: &Mismatch) -> Refusal {
    Refusal::new(Reason::ProviderAnswer).seen(mismatch.of("ID token")).wanted(&mismatch.wanted)
}

/// A session that a login has created.
#[derive(Debug)]
pub(crate) struct LoggedIn {
    pub(crate) session: Session,
    /// Why the access token could not tell the role, if the session has none: a line for the log.
    pub(crate) notice: Option<String>,
}

/// Verifies the tokens of a login and creates a session from them.
///
/// `last_try` says that the keys have been fetched for them already.
pub(crate) fn session(
    tokens: &Tokens,
    ticket: &Ticket,
    verifier: Verifier<'_>,
    config: &Config,
    last_try: bool,
    now: UnixTime,
    entropy: &mut dyn Entropy,
) -> Result<LoggedIn, NoSession> {
    let Some(token) = &tokens.id else {
        let refusal = Refusal::new(Reason::ProviderAnswer)
            .seen("no id_token")
            .wanted("an ID token (scope openid)");
        return Err(NoSession::Refused(refusal));
    };
    let id = id_token::verify(token.expose(), Some(&ticket.nonce), verifier, config, now)?;
    id_token::check_acr(&id.claims, config).map_err(|m| NoSession::Refused(from_mismatch(&m)))?;
    if ticket.fresh {
        id.check_auth_time(now).map_err(|m| NoSession::Refused(from_mismatch(&m)))?;
    }
    id.check_at_hash(tokens.access.expose()).map_err(|m| NoSession::Refused(from_mismatch(&m)))?;
    let email = config.users.email(&id.claims);
    if !config.users.admits(&id.subject, email) {
        let user = format!("user:{}", id.subject);
        return Err(NoSession::Refused(Refusal::not_allowed(&user, email)));
    }
    let text = |name: &str| claims::text(&id.claims, name);
    let name = text("preferred_username").or(text("email")).or(text("name")).unwrap_or(&id.subject);
    let access = tokens.access.expose();
    let named = role::named(Some(&id), &id.subject, access, verifier, config, now);
    let role = role::or_default(named.role, config);
    let notice = match named.unusable {
        Some(Unverified::UnknownKey(kid)) if !last_try => return Err(NoSession::UnknownKey(kid)),
        unusable if role.is_none() => role::missing(&id, config).or_else(|| {
            let unusable = unusable?.described("access token");
            Some(format!("the ID token names none, and the access token can't be used: {unusable}"))
        }),
        _ => None,
    };
    let subject = shown(&id.subject);
    let notice = notice.map(|why| format!("a login of {subject} without a role: {why}"));
    let session_id = random(entropy).map_err(|e| NoSession::Refused(e.into()))?;
    let session = Session {
        id: SessionId::from_bytes(session_id),
        name: name.chars().filter(|c| !c.is_control()).take(128).collect(),
        email: email.map(str::to_owned),
        role,
        sid: text("sid").filter(|sid| sid.len() <= 255).map(str::to_owned),
        auth_time: id.claims.get("auth_time").and_then(claims::numeric_date),
        started: now,
        used: now,
        checked: now,
        refresh_token: tokens.refresh.clone(),
        subject: id.subject,
    };
    Ok(LoggedIn { session, notice })
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn callbacks_with_missing_empty_or_double_parameters_are_refused() {
        assert_eq!(read("state=a.b&code=c&session_state=x").unwrap().result, Ok("c".into()));
        assert_eq!(
            read("error=access_denied&state=a.b").unwrap().result,
            Err(ProviderError { code: "access_denied".into(), description: String::new() })
        );
        for query in [
            "",
            "code=c",
            "state=a.b",
            "state=&code=c",
            "state=a.b&code=",
            "state=a.b&code=c&code=d",
            "state=a.b&state=a.b&code=c",
            "state=a.b&code=c&error=x",
            "state=a.b&code=c&iss=a&iss=a",
        ] {
            assert_eq!(read(query).unwrap_err().reason, Reason::Callback, "{query}");
        }
        assert!(read(&format!("state=a.b&code={}", "x".repeat(2049))).is_err());
    }
}
