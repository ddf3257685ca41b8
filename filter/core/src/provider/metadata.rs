//! The provider's metadata (OpenID Connect Discovery §3, §4; RFC 8414).
//!
//! An endpoint may have two addresses: one for browsers, and one for Envoy.

use serde_json::Value;

use crate::config::{ClientAuth, Config, Endpoint, HttpUrl};
use crate::foundation::limits::IDP_ANSWER;

/// The endpoints of the provider that Lictor uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Provider {
    /// URL of the authorization endpoint, for browsers.
    pub(crate) authorization: String,
    /// The token endpoint.
    pub(crate) token: Endpoint,
    /// The JWKS.
    pub(crate) jwks: Endpoint,
    /// The userinfo endpoint; `None` unless the setting `idp.userinfo` is on.
    pub(crate) userinfo: Option<Endpoint>,
    /// The introspection endpoint; `None` unless the setting `machines.introspection` is on.
    pub(crate) introspection: Option<Endpoint>,
    /// The endpoint for pushed authorization requests (RFC 9126), if the provider requires them or
    /// the setting `idp.par` is on.
    pub(crate) pushed: Option<Endpoint>,
    /// The revocation endpoint (RFC 7009), if it is at an origin with a cluster.
    pub(crate) revocation: Option<Endpoint>,
    /// URL of the end session endpoint, for browsers.
    pub(crate) end_session: Option<String>,
    /// Keycloak's logout by refresh token, which needs no confirmation by the user.
    pub(crate) logout: Option<Endpoint>,
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

impl Provider {
    /// Reads a metadata document.
    ///
    /// # Errors
    /// When the issuer is not exactly the configured one (OpenID Connect Discovery §4.3). Also when
    /// a required endpoint is missing, or at an origin for which no cluster is configured.
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
        // Certificates may be asked for at other addresses (RFC 8705 §5).
        let aliases = (config.idp.client_auth == ClientAuth::Certificate)
            .then(|| document.get("mtls_endpoint_aliases"))
            .flatten();
        let alias = |name: &str| aliases.and_then(|aliases| aliases.get(name)?.as_str());
        if text("issuer") != Some(config.issuer.as_str()) {
            let seen = format!("issuer {}", text("issuer").unwrap_or("missing"));
            return Err(bad(&seen, &format!("issuer {} (setting issuer)", config.issuer)));
        }
        let url = |name: &str| {
            let url = alias(name)
                .or_else(|| text(name))
                .ok_or_else(|| bad(&format!("no {name}"), name))?;
            let plain = "a URL without user, query or fragment";
            HttpUrl::parse(url).ok_or_else(|| bad(&format!("{name} {url}"), plain))
        };
        let (token, jwks) = (url("token_endpoint")?, url("jwks_uri")?);
        let userinfo = config.idp.userinfo.then(|| url("userinfo_endpoint")).transpose()?;
        let is_introspecting = config.machines.introspection.is_some();
        let introspection = is_introspecting.then(|| url("introspection_endpoint")).transpose()?;
        let flag = |name: &str| document.get(name).and_then(Value::as_bool).unwrap_or(false);
        let is_pushing = config.idp.par || flag("require_pushed_authorization_requests");
        let pushed =
            is_pushing.then(|| url("pushed_authorization_request_endpoint")).transpose()?;
        let reached = |url: &HttpUrl| config.idp.reached(&config.issuer_url, url);
        let optional = [userinfo.as_ref(), introspection.as_ref(), pushed.as_ref()];
        let endpoints = [Some(&token), Some(&jwks)].into_iter().chain(optional);
        let unnamed = || {
            let mut origins = Vec::new();
            for url in endpoints.clone().flatten().filter(|url| reached(url).is_none()) {
                let origin = crate::foundation::log_text::shown(url.origin());
                if !origins.contains(&origin) {
                    origins.push(origin);
                }
            }
            let members = origins.iter().map(|origin| format!("\"{origin}\": \"<cluster>\""));
            let wanted = format!("idp.clusters: {{{}}}", members.collect::<Vec<_>>().join(", "));
            bad(&format!("endpoints at {}", origins.join(" and ")), &wanted)
        };
        let authorization =
            text("authorization_endpoint").filter(|url| HttpUrl::parse(url).is_some());
        let end_session = text("end_session_endpoint").filter(|url| HttpUrl::parse(url).is_some());
        let is_keycloak = |url: &&str| url.ends_with("/protocol/openid-connect/logout");
        let needed = |url: &Option<HttpUrl>| {
            url.as_ref().map(|url| reached(url).ok_or_else(unnamed)).transpose()
        };
        Ok(Self {
            authorization: authorization
                .ok_or_else(|| bad("no authorization_endpoint", "authorization_endpoint"))?
                .to_owned(),
            token: reached(&token).ok_or_else(unnamed)?,
            jwks: reached(&jwks).ok_or_else(unnamed)?,
            userinfo: needed(&userinfo)?,
            introspection: needed(&introspection)?,
            pushed: needed(&pushed)?,
            revocation: alias("revocation_endpoint")
                .or_else(|| text("revocation_endpoint"))
                .and_then(|url| reached(&HttpUrl::parse(url)?)),
            end_session: end_session.map(str::to_owned),
            logout: end_session.filter(is_keycloak).and_then(|url| reached(&HttpUrl::parse(url)?)),
            iss_in_callback: flag("authorization_response_iss_parameter_supported"),
        })
    }
}
