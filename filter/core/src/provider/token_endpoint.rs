//! The token endpoint: requests with client authentication, and what the answers mean
//! (RFC 6749 §2.3.1, §3.2, §4.1.3, §5, §6).

use serde_json::Value;

use crate::config::{ClientAuth, Config};
use crate::foundation::crypto::to_base64;
use crate::foundation::limits::IDP_ANSWER;
use crate::foundation::secret::Secret;
use crate::provider::call::call;
use crate::provider::callout::{Callout, CalloutReply};
use crate::provider::metadata::Provider;
use crate::wire::http::query::{encode, encode_value};

/// A form that the client sends in its own name.
fn client_call<'a>(config: &'a Config, path: &str, mut form: Vec<(&'a str, &'a str)>) -> Callout {
    let secret = config.secrets.client.as_ref().map(Secret::expose_str).unwrap_or_default();
    let mut authorization = None;
    match config.idp.client_auth {
        ClientAuth::Basic => {
            authorization = Some(basic(&config.client_id, secret));
        }
        ClientAuth::Post => {
            form.extend([("client_id", config.client_id.as_str()), ("client_secret", secret)]);
        }
        ClientAuth::None => form.push(("client_id", config.client_id.as_str())),
    }
    let mut callout = call(config, "POST", path.to_owned(), encode(form).into_bytes());
    callout.headers.extend(authorization.map(|value| ("authorization", value)));
    callout
}

/// Name and secret are form-encoded before they are joined (RFC 6749 §2.3.1).
fn basic(client: &str, secret: &str) -> String {
    let pair = format!("{}:{}", encode_value(client), encode_value(secret));
    format!("Basic {}", to_base64(pair.as_bytes()))
}

/// Redeems an authorization code.
#[must_use]
pub(crate) fn redeem(config: &Config, provider: &Provider, code: &str, verifier: &str) -> Callout {
    let redirect_uri = config.redirect_uri();
    let form = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect_uri.as_str()),
        ("code_verifier", verifier),
    ];
    client_call(config, &provider.token_path, form)
}

/// Asks again with a refresh token.
#[must_use]
pub(crate) fn refresh(config: &Config, provider: &Provider, token: &Secret) -> Callout {
    let form = vec![("grant_type", "refresh_token"), ("refresh_token", token.expose_str())];
    client_call(config, &provider.token_path, form)
}

/// A client's own, other than the login's.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    /// `client_id`: a name, no secret.
    pub(crate) client: String,
    /// `client_secret`.
    pub(crate) secret: Secret,
}

/// Asks for a client's own token with the client's own credentials (RFC 6749 §4.4.2).
#[must_use]
pub(crate) fn client_credentials(
    config: &Config,
    provider: &Provider,
    credentials: &Credentials,
) -> Callout {
    let (client, secret) = (credentials.client.as_str(), credentials.secret.expose_str());
    let mut form = vec![("grant_type", "client_credentials")];
    let mut authorization = None;
    match config.idp.client_auth {
        ClientAuth::Post => form.extend([("client_id", client), ("client_secret", secret)]),
        // That the login's client is public says nothing of this one.
        ClientAuth::Basic | ClientAuth::None => authorization = Some(basic(client, secret)),
    }
    let path = provider.token_path.clone();
    let mut callout = call(config, "POST", path, encode(form).into_bytes());
    callout.headers.extend(authorization.map(|value| ("authorization", value)));
    callout
}

/// Ends the provider's session (Keycloak's logout by refresh token).
#[must_use]
pub(crate) fn end_session(config: &Config, path: &str, token: &Secret) -> Callout {
    client_call(config, path, vec![("refresh_token", token.expose_str())])
}

/// The tokens of a successful answer.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    /// ID token.
    pub(crate) id: Option<Secret>,
    /// Access token.
    pub(crate) access: Secret,
    /// Refresh token.
    pub(crate) refresh: Option<Secret>,
}

/// Why there are no tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoTokens {
    /// The code or refresh token is not (or no longer) good: `invalid_grant`.
    InvalidGrant,
    /// The client that asks is not known, its secret is wrong, or it may not ask this. Says what it
    /// answered.
    InvalidClient(String),
    /// The provider refuses what we ask: the operator must act. Says what it answered.
    OurFault(String),
    /// An answer that is of no use: try again later. Says what was seen.
    Unavailable(String),
    /// The provider did not answer at all: nobody else need ask for a moment. Says what was seen.
    NoAnswer(String),
}

/// Reads the token endpoint's answer.
///
/// # Errors
/// See [`NoTokens`].
pub(crate) fn read(reply: CalloutReply<'_>) -> Result<Tokens, NoTokens> {
    let unavailable = |what: &str| Err(NoTokens::Unavailable(what.to_owned()));
    if !reply.reached() {
        let seen = reply.body(IDP_ANSWER).map(|(status, _)| format!("status {status}"));
        return Err(NoTokens::NoAnswer(seen.unwrap_or_else(|seen| seen)));
    }
    let (status, body) = reply.body(IDP_ANSWER).map_err(NoTokens::Unavailable)?;
    if status == 429 || status >= 500 {
        return unavailable(&format!("status {status}"));
    }
    let Ok(Value::Object(answer)) = crate::foundation::json::parse(body) else {
        return unavailable(&format!("status {status} without a JSON object"));
    };
    let text = |name: &str| answer.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
    if status != 200 {
        let error = crate::foundation::log_text::shown(text("error").unwrap_or("no error code"));
        return Err(match error.as_str() {
            "invalid_grant" => NoTokens::InvalidGrant,
            // Some providers answer 401 with a code of their own.
            "invalid_client"
            | "unauthorized_client"
            | "unsupported_grant_type"
            | "access_denied" => NoTokens::InvalidClient(format!("status {status}, {error}")),
            _ if status == 401 => NoTokens::InvalidClient(format!("status {status}, {error}")),
            _ => NoTokens::OurFault(format!("status {status}, {error}")),
        });
    }
    if !text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
        return unavailable("a token_type other than Bearer");
    }
    match text("access_token") {
        None => unavailable("an answer without access_token"),
        Some(access) => Ok(Tokens {
            id: text("id_token").map(Secret::new),
            access: Secret::new(access),
            refresh: text("refresh_token").map(Secret::new),
        }),
    }
}
