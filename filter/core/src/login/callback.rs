//! The callback of a login: reads the provider's answer from the query, interprets the token
//! endpoint's answer and creates a session from the tokens.

use serde_json::Value;

use crate::config::Config;
use crate::foundation::crypto::{Entropy, random};
use crate::foundation::id::{Id, SessionId};
use crate::foundation::time::UnixTime;
use crate::login::id_token;
use crate::login::role::role;
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
    /// The authorization code, or the provider's error code.
    pub(crate) result: Result<String, String>,
    iss: Option<String>,
}

/// Reads the query of a callback.
///
/// # Errors
/// When a parameter is missing, empty, longer than 2048 bytes or repeated.
pub(crate) fn read(query: Option<&str>) -> Result<Answer, Refusal> {
    let query = query.unwrap_or_default();
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
        (None, Some(error)) => Err(error),
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

/// Returns the refusal for an error code in the provider's answer.
#[must_use]
pub(crate) fn provider_error(error: &str) -> Refusal {
    let reason = match error {
        "temporarily_unavailable" | "server_error" => Reason::ProviderUnreachable,
        _ => Reason::ProviderRefused,
    };
    Refusal::new(reason).seen(format!("error {error}")).wanted("a code")
}

/// Returns the refusal for a token endpoint's answer without tokens.
#[must_use]
pub(crate) fn no_tokens(why: &NoTokens) -> Refusal {
    match why {
        NoTokens::InvalidGrant => Refusal::new(Reason::UnknownAttempt)
            .seen("invalid_grant for the code")
            .wanted("a code that is used once and in time"),
        NoTokens::InvalidClient(seen) | NoTokens::OurFault(seen) => {
            Refusal::new(Reason::ProviderUnreachable)
                .seen(seen)
                .wanted("tokens (check client_id, LICTOR_CLIENT_SECRET and idp.client_auth)")
        }
        NoTokens::Unavailable(seen) | NoTokens::NoAnswer(seen) => {
            Refusal::new(Reason::ProviderUnreachable).seen(seen).wanted("tokens")
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
    Refusal::new(Reason::ProviderAnswer)
        .seen(format!("ID token {} {}", mismatch.claim, mismatch.seen))
        .wanted(&mismatch.wanted)
}

/// Verifies the tokens of a login and creates a session from them.
pub(crate) fn session(
    tokens: &Tokens,
    ticket: &Ticket,
    verifier: Verifier<'_>,
    config: &Config,
    now: UnixTime,
    entropy: &mut dyn Entropy,
) -> Result<Session, NoSession> {
    let Some(token) = &tokens.id else {
        let refusal = Refusal::new(Reason::ProviderAnswer)
            .seen("no id_token")
            .wanted("an ID token (scope openid)");
        return Err(NoSession::Refused(refusal));
    };
    let id = id_token::verify(token.expose(), Some(&ticket.nonce), verifier, config, now)?;
    if ticket.fresh {
        id.check_auth_time(now).map_err(|m| NoSession::Refused(from_mismatch(&m)))?;
    }
    id.check_at_hash(tokens.access.expose()).map_err(|m| NoSession::Refused(from_mismatch(&m)))?;
    let text = |name: &str| claims::text(&id.claims, name);
    let name = text("preferred_username").or(text("email")).or(text("name")).unwrap_or(&id.subject);
    let verified = id.claims.get("email_verified") == Some(&Value::Bool(true));
    let session_id = random(entropy).map_err(|e| NoSession::Refused(e.into()))?;
    Ok(Session {
        id: SessionId::from_bytes(session_id),
        name: name.chars().filter(|c| !c.is_control()).take(128).collect(),
        email: text("email").filter(|e| verified && e.len() <= 254).map(str::to_owned),
        role: role(&id, tokens, verifier, config, now),
        sid: text("sid").filter(|sid| sid.len() <= 255).map(str::to_owned),
        auth_time: id.claims.get("auth_time").and_then(Value::as_u64),
        started: now,
        used: now,
        checked: now,
        refresh_token: tokens.refresh.clone(),
        subject: id.subject,
    })
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn callbacks_with_missing_empty_or_double_parameters_are_refused() {
        assert_eq!(read(Some("state=a.b&code=c&session_state=x")).unwrap().result, Ok("c".into()));
        assert_eq!(
            read(Some("error=access_denied&state=a.b")).unwrap().result,
            Err("access_denied".into())
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
            assert_eq!(read(Some(query)).unwrap_err().reason, Reason::Callback, "{query}");
        }
        assert!(read(None).is_err());
        assert!(read(Some(&format!("state=a.b&code={}", "x".repeat(2049)))).is_err());
    }
}
