//! Settings: a JSON text and three secrets become one compiled [`Config`], or a list of every
//! problem (docs/configuration.md has the reference for users).

mod compile;
pub mod error;
mod instant;
mod reader;
pub mod url;

use core::time::Duration;
use std::collections::HashMap;

use crate::crypto::Key;
use crate::jose::Algorithm;
use crate::policy::role::Role;
use crate::secret::Secret;
use crate::time::UnixTime;

pub use error::{ConfigErrors, Problem};
pub use url::HttpUrl;

/// Everything that a deployment decides, checked and ready to use.
#[derive(Debug)]
pub struct Config {
    /// What browsers use: sole source of redirects and of the expected `Origin`.
    pub public: HttpUrl,
    /// The issuer, compared as text.
    pub issuer: String,
    /// The issuer's parts, for the addresses of its endpoints.
    pub issuer_url: HttpUrl,
    /// The browser login's client.
    pub client_id: String,
    /// How the identity provider is reached.
    pub idp: Idp,
    /// Accepted in `aud` of bearer tokens.
    pub audiences: Vec<String>,
    /// Accepted `azp` of bearer tokens; empty means any.
    pub authorized_parties: Vec<String>,
    /// How claims become roles.
    pub roles: Roles,
    /// Life of browser sessions.
    pub session: Session,
    /// What machines may show.
    pub machines: Machines,
    /// Whether sockets without header credentials are judged by their first frame.
    pub first_frame: bool,
    /// Exact paths that are open to `GET` without a credential.
    pub public_paths: Vec<String>,
    /// Where Prefect's parts are.
    pub prefect: Prefect,
    /// Whether Prefect's own login page is kept away.
    pub single_login: bool,
    /// Path of Lictor's own endpoints, the public URL's path included: `/oauth2`.
    pub endpoints: String,
    /// From the environment.
    pub secrets: Secrets,
}

/// See [`Config::idp`].
#[derive(Debug)]
pub struct Idp {
    /// Envoy cluster of all calls.
    pub cluster: String,
    /// Where Envoy reaches the issuer.
    pub internal: HttpUrl,
    /// `scope` of the login.
    pub scopes: String,
    /// How the client authenticates at the token endpoint.
    pub client_auth: ClientAuth,
    /// Further parameters of the authorization request.
    pub extra_auth_params: Vec<(String, String)>,
    /// Allow-list of signature algorithms.
    pub algorithms: Vec<Algorithm>,
}

/// Client authentication (OpenID Connect Core §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// HTTP Basic.
    Basic,
    /// In the form.
    Post,
    /// Public client: PKCE alone.
    None,
}

/// See [`Config::roles`].
#[derive(Debug)]
pub struct Roles {
    /// Names in the token that grant each role.
    pub names: Vec<(Role, Vec<String>)>,
    /// Claim paths, their segments apart.
    pub sources: Vec<Vec<String>>,
    /// Role of a logged-in person with none of them.
    pub default: Option<Role>,
}

/// See [`Config::session`].
#[derive(Debug)]
pub struct Session {
    /// Unused for so long: over.
    pub idle: Duration,
    /// Over in any case.
    pub absolute: Duration,
    /// How long a decision may outlive a change at the identity provider.
    pub recheck: Duration,
    /// How long a session goes on while it cannot be rechecked.
    pub grace: Duration,
    /// Everything issued before is void.
    pub not_before: Option<UnixTime>,
}

/// See [`Config::machines`].
#[derive(Debug)]
pub struct Machines {
    /// Further host names, for machines only.
    pub hosts: Vec<String>,
    /// Whether access tokens of the issuer are accepted.
    pub bearer: bool,
    /// API keys by the SHA-256 of their text: a look-up costs the same for any number of them.
    pub api_keys: HashMap<[u8; 32], ApiKey>,
    /// Whether Prefect's own shared secret is accepted from clients.
    pub accept_auth_string: bool,
}

/// One API key, its text unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// What logs and Prefect see.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it ends.
    pub expires: Option<UnixTime>,
}

/// See [`Config::prefect`].
#[derive(Debug)]
pub struct Prefect {
    /// Prefect's API, no trailing slash: `/api`.
    pub api_path: String,
    /// Prefect's UI, with a trailing slash: `/`.
    pub ui_path: String,
    /// Whether Prefect is told who asks.
    pub forward_identity: bool,
}

/// What comes from the environment, never from the configuration text.
#[derive(Debug)]
pub struct Secrets {
    /// `LICTOR_CLIENT_SECRET`.
    pub client: Option<Secret>,
    /// `LICTOR_COOKIE_KEYS`: the first seals, all open.
    pub cookie_keys: Vec<Key>,
    /// `LICTOR_PREFECT_AUTH_STRING`.
    pub prefect: Secret,
}

/// The environment variables that Lictor reads.
pub const ENVIRONMENT: [&str; 3] =
    ["LICTOR_CLIENT_SECRET", "LICTOR_COOKIE_KEYS", "LICTOR_PREFECT_AUTH_STRING"];

impl Config {
    /// Compiles the configuration text and the environment.
    ///
    /// # Errors
    /// Every problem at once, each with its place.
    pub fn compile(
        text: &[u8],
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigErrors> {
        compile::compile(text, environment)
    }

    /// The address that the provider sends the browser back to. From the settings alone: nothing
    /// of a request takes part (RFC 6749 §4.1.3, docs/threats.md T-I4).
    #[must_use]
    pub fn redirect_uri(&self) -> String {
        format!("{}{}/callback", self.public.origin(), self.endpoints)
    }

    /// An absolute URL of ours for a path that has been checked.
    #[must_use]
    pub fn absolute(&self, path: &str) -> String {
        format!("{}{path}", self.public.origin())
    }

    /// Whether browsers are told to use https only. Not on a loopback name: there it would bind
    /// every port of a developer's machine.
    #[must_use]
    pub fn hsts(&self) -> bool {
        self.public.https && !self.public.is_loopback()
    }

    /// Where a login without a return path ends: the start of Prefect's UI.
    #[must_use]
    pub fn home(&self) -> &str {
        &self.prefect.ui_path
    }
}
