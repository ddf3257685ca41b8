//! The provider's metadata (OpenID Connect Discovery §3, §4; RFC 8414).
//!
//! An endpoint may have two addresses: one for browsers, and one for Envoy.

use serde_json::Value;

use crate::config::{Config, HttpUrl};
use crate::foundation::limits::IDP_ANSWER;
use crate::provider::call::call;
use crate::provider::callout::Callout;

/// The endpoints of the provider that Lictor uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Provider {
    /// URL of the authorization endpoint, for browsers.
    pub(crate) authorization: String,
    /// Path of the token endpoint, for Envoy.
    pub(crate) token_path: String,
    /// Path of the JWKS, for Envoy.
    pub(crate) jwks_path: String,
    /// Path of the userinfo endpoint, for Envoy; `None` unless the setting `idp.userinfo` is on.
    pub(crate) userinfo_path: Option<String>,
    /// URL of the end session endpoint, for browsers.
    pub(crate) end_session: Option<String>,
    /// Path of Keycloak's logout by refresh token, for Envoy. It needs no confirmation by the user.
    pub(crate) logout_path: Option<String>,
    /// Whether callbacks carry `iss` (RFC 9207 §3).
    pub(crate) iss_in_callback: bool,
}

/// What is wrong with a metadata document, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadMetadata {
    /// What the document contains.
    pub(crate) seen: String,
    /// What Lictor expects.
    pub(crate) wanted: String,
}

/// Creates the call that fetches the metadata.
#[must_use]
pub(crate) fn request(config: &Config) -> Callout {
    let path = format!("{}/.well-known/openid-configuration", config.idp.internal.path);
    call(config, "GET", path, Vec::new())
}

impl Provider {
    /// Reads a metadata document.
    ///
    /// # Errors
    /// When the issuer is not exactly the configured one (OpenID Connect Discovery §4.3). Also when
    /// a required endpoint is missing, or on a host that is not configured.
    pub(crate) fn parse(config: &Config, body: &[u8]) -> Result<Self, BadMetadata> {
        let bad = |seen: &str, wanted: &str| BadMetadata {
            seen: crate::foundation::log_text::shown(seen),
            wanted: wanted.to_owned(),
        };
        if body.len() > IDP_ANSWER {
            return Err(bad("a metadata document above 1 MiB", "a smaller one"));
        }
        let document = crate::foundation::json::parse(body)
            .map_err(|e| bad(&e, "a JSON metadata document"))?;
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        if text("issuer") != Some(config.issuer.as_str()) {
            let seen = format!("issuer {}", text("issuer").unwrap_or("missing"));
            return Err(bad(&seen, &format!("issuer {} (setting issuer)", config.issuer)));
        }
        let inside = |name: &str| {
            let url = text(name).ok_or_else(|| bad(&format!("no {name}"), name))?;
            inside_path(config, url).ok_or_else(|| {
                let wanted = format!(
                    "{name} under {} or {}",
                    config.issuer_url.origin(),
                    config.idp.internal.origin()
                );
                bad(&format!("{name} {url}"), &wanted)
            })
        };
        let authorization =
            text("authorization_endpoint").filter(|url| HttpUrl::parse(url).is_some());
        let end_session = text("end_session_endpoint").filter(|url| HttpUrl::parse(url).is_some());
        let is_keycloak = |url: &&str| url.ends_with("/protocol/openid-connect/logout");
        let flag = |name: &str| document.get(name).and_then(Value::as_bool).unwrap_or(false);
        Ok(Self {
            authorization: authorization
                .ok_or_else(|| bad("no authorization_endpoint", "authorization_endpoint"))?
                .to_owned(),
            token_path: inside("token_endpoint")?,
            jwks_path: inside("jwks_uri")?,
            userinfo_path: match config.idp.userinfo {
                true => Some(inside("userinfo_endpoint")?),
                false => None,
            },
            end_session: end_session.map(str::to_owned),
            logout_path: end_session.filter(is_keycloak).and_then(|url| inside_path(config, url)),
            iss_in_callback: flag("authorization_response_iss_parameter_supported"),
        })
    }
}

/// Returns the path at which Envoy reaches an endpoint through the cluster of the provider.
///
/// The metadata may contain the outside address (Keycloak with a fixed host name) or the inside
/// one. `None` for any other host: the operator has not configured it, so nothing is sent there.
fn inside_path(config: &Config, url: &str) -> Option<String> {
    let (inside, outside) = (&config.idp.internal, &config.issuer_url);
    let url = HttpUrl::parse(url)?;
    if url.origin() == outside.origin() {
        return match url.path.strip_prefix(&outside.path) {
            Some(rest) if rest.starts_with('/') => Some(format!("{}{rest}", inside.path)),
            _ => Some(url.path),
        };
    }
    (url.origin() == inside.origin()).then_some(url.path)
}
