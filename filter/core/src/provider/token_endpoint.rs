//! The token endpoint: authenticated requests, and the meaning of responses (RFC 6749 §2.3.1, §3.2,
//! §4.1.3, §5, §6).

use core::time::Duration;

use serde_json::{Map, Value, json};

use crate::config::{ClientAuth, Config, Endpoint};
use crate::foundation::crypto::{Entropy, random, to_base64, to_base64url};
use crate::foundation::limits::IDP_ANSWER;
use crate::foundation::log_text::described;
use crate::foundation::secret::Secret;
use crate::foundation::time::UnixTime;
use crate::provider::call;
use crate::provider::callout::{Callout, CalloutReply};
use crate::provider::metadata::Provider;
use crate::wire::http::query::{encode, encode_value};

/// The login's client, which authenticates at the provider.
pub(crate) struct Client<'a> {
    config: &'a Config,
    /// A token that proves the client, for `private_key_jwt`.
    assertion: Option<String>,
}

/// How long a client's token is valid. The provider need not remember its `jti` for longer.
const ASSERTION: Duration = Duration::from_secs(60);
/// The type of a client's token (RFC 7523 §2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl<'a> Client<'a> {
    /// Creates the client for one request. Each request has a token of its own.
    pub(crate) fn new(config: &'a Config, now: UnixTime, entropy: &mut dyn Entropy) -> Self {
        let key = config.secrets.client_key.as_ref();
        let assertion = key.map(|key| {
            // Without randomness, the provider refuses the second token.
            let jti: [u8; 16] = random(entropy).unwrap_or_default();
            // The audience is the issuer alone, so that no other endpoint or provider can use the
            // token (RFC 7523bis §4).
            key.sign(&json!({
                "iss": config.client_id, "sub": config.client_id, "aud": config.issuer,
                "jti": to_base64url(&jti), "iat": now.secs(), "exp": now.plus(ASSERTION).secs(),
            }))
        });
        Self { config, assertion }
    }

    /// Creates a form request that authenticates the client.
    pub(crate) fn call<'b>(
        &'b self,
        endpoint: &Endpoint,
        mut form: Vec<(&'b str, &'b str)>,
    ) -> Callout {
        let config = self.config;
        let secret = config.secrets.client.as_ref().map(Secret::expose_str).unwrap_or_default();
        let mut authorization = None;
        let client = ("client_id", config.client_id.as_str());
        match config.idp.client_auth {
            ClientAuth::Basic => authorization = Some(basic(&config.client_id, secret)),
            ClientAuth::Post => form.extend([client, ("client_secret", secret)]),
            ClientAuth::PrivateKeyJwt => {
                let assertion = self.assertion.as_deref().unwrap_or_default();
                let kind = ("client_assertion_type", JWT_BEARER);
                form.extend([client, kind, ("client_assertion", assertion)]);
            }
            ClientAuth::Certificate | ClientAuth::None => form.push(client),
        }
        let mut callout = call::post(endpoint, encode(form).into_bytes());
        callout.headers.extend(authorization.map(|value| ("authorization", value)));
        callout
    }
}

/// Returns the Basic credentials of a client. Name and secret are form-encoded before they are
/// joined (RFC 6749 §2.3.1).
fn basic(client: &str, secret: &str) -> String {
    let pair = format!("{}:{}", encode_value(client), encode_value(secret));
    format!("Basic {}", to_base64(pair.as_bytes()))
}

/// Creates the request that redeems an authorization code (RFC 6749 §4.1.3).
#[must_use]
pub(crate) fn redeem(
    client: &Client<'_>,
    provider: &Provider,
    code: &str,
    verifier: &str,
) -> Callout {
    let redirect_uri = client.config.redirect_uri();
    let form = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect_uri.as_str()),
        ("code_verifier", verifier),
    ];
    client.call(&provider.token, form)
}

/// Creates the request for new tokens with a refresh token (RFC 6749 §6).
#[must_use]
pub(crate) fn refresh(client: &Client<'_>, provider: &Provider, token: &Secret) -> Callout {
    let form = vec![("grant_type", "refresh_token"), ("refresh_token", token.expose_str())];
    client.call(&provider.token, form)
}

/// The credentials of a machine's client, which is not the login's client.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    /// `client_id`: a name, not a secret.
    pub(crate) client: String,
    /// `client_secret`.
    pub(crate) secret: Secret,
}

/// Creates the request of a client credentials grant (RFC 6749 §4.4.2), with the parameters of
/// `machines.client_credentials`.
#[must_use]
pub(crate) fn client_credentials(
    config: &Config,
    provider: &Provider,
    credentials: &Credentials,
) -> Callout {
    let (client, secret) = (credentials.client.as_str(), credentials.secret.expose_str());
    let mut form = vec![("grant_type", "client_credentials")];
    let settings = config.machines.client_credentials.as_ref();
    let parameters = settings.into_iter().flat_map(|settings| &settings.parameters);
    form.extend(parameters.map(|(name, value)| (*name, value.as_str())));
    let mut authorization = None;
    match config.idp.client_auth {
        ClientAuth::Post => form.extend([("client_id", client), ("client_secret", secret)]),
        // Whatever the login's client has, this one has a secret.
        ClientAuth::Basic
        | ClientAuth::PrivateKeyJwt
        | ClientAuth::Certificate
        | ClientAuth::None => authorization = Some(basic(client, secret)),
    }
    let mut callout = call::post(&provider.token, encode(form).into_bytes());
    callout.headers.extend(authorization.map(|value| ("authorization", value)));
    callout
}

/// Creates the request that ends the session at the provider (Keycloak's logout by refresh
/// token).
#[must_use]
pub(crate) fn end_session(client: &Client<'_>, endpoint: &Endpoint, token: &Secret) -> Callout {
    client.call(endpoint, vec![("refresh_token", token.expose_str())])
}

/// Creates the request that revokes a refresh token (RFC 7009 §2.1).
#[must_use]
pub(crate) fn revoke(client: &Client<'_>, endpoint: &Endpoint, token: &Secret) -> Callout {
    let form = vec![("token", token.expose_str()), ("token_type_hint", "refresh_token")];
    client.call(endpoint, form)
}

/// The tokens of a successful response.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    /// The ID token.
    pub(crate) id: Option<Secret>,
    /// The access token.
    pub(crate) access: Secret,
    /// The refresh token.
    pub(crate) refresh: Option<Secret>,
}

/// Why the token endpoint gave no tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoTokens {
    /// The code or refresh token is not valid, or no longer valid: `invalid_grant`. The text is the
    /// provider's error.
    InvalidGrant(String),
    /// The client is unknown, its secret is wrong, or it may not use this grant. The text is the
    /// provider's error.
    InvalidClient(String),
    /// The provider refuses the request of Lictor, and the operator must act. The text is the
    /// provider's error.
    OurFault(String),
    /// The response can't be used; a later try may succeed. The text says what came.
    Unavailable(String),
    /// The provider did not respond, so other requests need not try for a moment. The text says
    /// what came.
    NoAnswer(String),
}

/// Reads a response of the token endpoint.
///
/// # Errors
/// [`NoTokens`] if there is no access token of type Bearer.
pub(crate) fn read(reply: CalloutReply<'_>) -> Result<Tokens, NoTokens> {
    let answer = answer(reply, &[200])?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
    let unavailable = |seen: &str| Err(NoTokens::Unavailable(seen.to_owned()));
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

/// Reads a response to a request of the client that is a JSON object without an error (RFC 6749
/// §5.1, §5.2). `good` has the statuses of success.
///
/// # Errors
/// The meaning of the error, or of a response of another form.
pub(crate) fn answer(
    reply: CalloutReply<'_>,
    good: &[u16],
) -> Result<Map<String, Value>, NoTokens> {
    let unavailable = |seen: &str| Err(NoTokens::Unavailable(seen.to_owned()));
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
    let code = text("error");
    // Some providers report an error with status 200.
    if !good.contains(&status) || (code.is_some() && text("access_token").is_none()) {
        let description = text("error_description").map(|text| format!(": {}", described(text)));
        let seen = format!(
            "status {status}, {}{}",
            described(code.unwrap_or("no error code")),
            description.unwrap_or_default()
        );
        return Err(match code {
            Some("invalid_grant") => NoTokens::InvalidGrant(seen),
            Some(
                "invalid_client"
                | "unauthorized_client"
                | "unsupported_grant_type"
                | "access_denied",
            ) => NoTokens::InvalidClient(seen),
            Some("temporarily_unavailable" | "server_error" | "slow_down") => {
                NoTokens::Unavailable(seen)
            }
            // Some providers send 401 with an error code of their own.
            _ if status == 401 => NoTokens::InvalidClient(seen),
            _ => NoTokens::OurFault(seen),
        });
    }
    Ok(answer)
}
