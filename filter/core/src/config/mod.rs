//! Settings: a JSON text and three secrets become one compiled [`Config`], or a list of every
//! problem (docs/configuration.md has the reference for users).

mod claim_path;
mod compile;
pub(crate) mod error;
#[cfg(test)]
pub(crate) mod example;
mod instant;
mod issuers;
mod machines;
mod reader;
mod secrets;
pub(crate) mod url;
mod values;

use core::time::Duration;
use std::collections::HashMap;
use std::rc::Rc;

use crate::foundation::crypto::Key;
use crate::foundation::id::{IssuerId, TokenId};
use crate::foundation::secret::Secret;
use crate::foundation::time::UnixTime;
use crate::identity::claims_to_role::Roles;
use crate::identity::credential_ref::CertificateName;
use crate::identity::principal::Principal;
use crate::identity::role::Role;
use crate::wire::jose::Algorithm;

use error::ConfigErrors;
pub(crate) use url::HttpUrl;

/// Everything that a deployment decides, checked and ready to use.
#[derive(Debug)]
pub struct Config {
    /// What browsers use: sole source of redirects and of the expected `Origin`.
    pub(crate) public: HttpUrl,
    /// The issuer, compared as text.
    pub(crate) issuer: String,
    /// The issuer's parts, for the addresses of its endpoints.
    pub(crate) issuer_url: HttpUrl,
    /// The browser login's client.
    pub(crate) client_id: String,
    /// How the identity provider is reached.
    pub(crate) idp: Idp,
    /// Whose access tokens machines may show: at [`LOGIN`] the login's issuer, then
    /// `machines.issuers`.
    pub(crate) issuers: Vec<Issuer>,
    /// How claims become roles.
    pub(crate) roles: Roles,
    /// Life of browser sessions.
    pub(crate) session: Session,
    /// What machines may show.
    pub(crate) machines: Machines,
    /// Whether sockets without header credentials are judged by their first frame.
    pub(crate) first_frame: bool,
    /// Exact paths that are open to `GET` without a credential.
    pub(crate) public_paths: Vec<String>,
    /// Where Prefect's parts are.
    pub(crate) prefect: Prefect,
    /// Whether Prefect's own login page is kept away.
    pub(crate) single_login: bool,
    /// Whether our script is linked from the pages of Prefect's UI.
    pub(crate) companion: bool,
    /// Path of Lictor's own endpoints, the public URL's path included: `/oauth2`.
    pub(crate) endpoints: String,
    /// From the environment.
    pub(crate) secrets: Secrets,
}

/// Place of the login's issuer in [`Config::issuers`].
pub(crate) const LOGIN: IssuerId = IssuerId(0);

/// See [`Config::issuers`].
#[derive(Debug)]
pub(crate) struct Issuer {
    /// `iss`, compared as text.
    pub(crate) issuer: String,
    /// Where its keys are; `None` for where its metadata say.
    pub(crate) keys: Option<KeySource>,
    /// What its access tokens look like.
    pub(crate) profile: Profile,
    /// Accepted in `aud`.
    pub(crate) audiences: Vec<String>,
    /// Accepted `azp`; empty means any.
    pub(crate) authorized_parties: Vec<String>,
    /// Claims that must be there: a path, and the values of which it must have one.
    pub(crate) claims: Vec<(Vec<String>, Vec<String>)>,
    /// What its tokens may do; `None` for what their claims say.
    pub(crate) role: Option<Role>,
}

/// See [`Issuer::keys`].
#[derive(Debug)]
pub(crate) struct KeySource {
    /// Envoy cluster.
    pub(crate) cluster: String,
    /// The JWKS.
    pub(crate) url: HttpUrl,
}

/// How an issuer marks its access tokens, and keeps them apart from its other tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// `typ: Bearer` in the payload.
    Keycloak,
    /// `typ: at+jwt` in the header, and the claims of RFC 9068 §2.2.
    Rfc9068,
    /// No mark: an audience of its own, and no claim that only ID tokens have.
    Generic,
}

/// See [`Config::idp`].
#[derive(Debug)]
pub(crate) struct Idp {
    /// Envoy cluster of all calls.
    pub(crate) cluster: String,
    /// Where Envoy reaches the issuer.
    pub(crate) internal: HttpUrl,
    /// `scope` of the login.
    pub(crate) scopes: String,
    /// How the client authenticates at the token endpoint.
    pub(crate) client_auth: ClientAuth,
    /// Further parameters of the authorization request.
    pub(crate) extra_auth_params: Vec<(String, String)>,
    /// Whether userinfo is asked for roles that no token has.
    pub(crate) userinfo: bool,
    /// Allow-list of signature algorithms.
    pub(crate) algorithms: Vec<Algorithm>,
}

/// Client authentication (OpenID Connect Core §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    /// HTTP Basic.
    Basic,
    /// In the form.
    Post,
    /// Public client: PKCE alone.
    None,
}

/// See [`Config::session`].
#[derive(Debug)]
pub(crate) struct Session {
    /// Unused for so long: over.
    pub(crate) idle: Duration,
    /// Over in any case.
    pub(crate) absolute: Duration,
    /// How long a decision may outlive a change at the identity provider.
    pub(crate) recheck: Duration,
    /// How long a session goes on while it cannot be rechecked.
    pub(crate) grace: Duration,
    /// Everything issued before is void.
    pub(crate) not_before: Option<UnixTime>,
}

/// See [`Config::machines`].
#[derive(Debug)]
pub(crate) struct Machines {
    /// Further host names, for machines only.
    pub(crate) hosts: Vec<String>,
    /// Whether access tokens of the issuer are accepted.
    pub(crate) bearer: bool,
    /// Which clients' credentials are exchanged at the provider; `None` for nobody's.
    pub(crate) client_credentials: Option<ClientCredentials>,
    /// Tokens that people make for themselves; `None` for none.
    pub(crate) personal_tokens: Option<PersonalTokens>,
    /// API keys by the SHA-256 of their text: a look-up costs the same for any number of them.
    pub(crate) api_keys: HashMap<[u8; 32], ApiKey>,
    /// Client certificates that are a machine's.
    pub(crate) certificates: Vec<CertificateEntry>,
    /// Whether Prefect's own shared secret is accepted from clients.
    pub(crate) accept_auth_string: bool,
}

/// See [`Machines::client_credentials`].
#[derive(Debug)]
pub(crate) struct ClientCredentials {
    /// Patterns of client ids.
    pub(crate) clients: Vec<Pattern>,
}

impl ClientCredentials {
    /// Whether a client may try.
    #[must_use]
    pub(crate) fn may(&self, client: &str) -> bool {
        self.clients.iter().any(|pattern| pattern.fits(client))
    }
}

/// See [`Machines::personal_tokens`].
#[derive(Debug)]
pub(crate) struct PersonalTokens {
    /// How long one lives.
    pub(crate) max: Duration,
    /// What it may do at most.
    pub(crate) role: Role,
    /// Those that count no more, by their identity.
    pub(crate) revoked: Vec<TokenId>,
}

/// A text in which one `*` may stand for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    begin: String,
    /// `None` without a star.
    end: Option<String>,
}

impl Pattern {
    /// Reads a pattern; `None` with more than one star.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('*').map(str::to_owned);
        let pattern = Self { begin: parts.next()?, end: parts.next() };
        parts.next().is_none().then_some(pattern)
    }

    /// Whether a text fits.
    #[must_use]
    pub(crate) fn fits(&self, text: &str) -> bool {
        match &self.end {
            None => self.begin == text,
            Some(end) => text.strip_prefix(&self.begin).is_some_and(|rest| rest.ends_with(end)),
        }
    }
}

/// A client certificate, by what it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateEntry {
    /// Whom it proves.
    pub(crate) principal: Rc<Principal>,
    /// What it may do.
    pub(crate) role: Role,
    /// What it shows.
    pub(crate) shows: CertificateName,
}

/// One API key, its text unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiKey {
    /// Whom it proves.
    pub(crate) principal: Rc<Principal>,
    /// What it may do.
    pub(crate) role: Role,
    /// When it ends.
    pub(crate) expires: Option<UnixTime>,
}

/// See [`Config::prefect`].
#[derive(Debug)]
pub(crate) struct Prefect {
    /// Prefect's API, no trailing slash: `/api`.
    pub(crate) api_path: String,
    /// Prefect's UI, with a trailing slash: `/`.
    pub(crate) ui_path: String,
    /// Whether Prefect is told who asks.
    pub(crate) forward_identity: bool,
    /// Whether the operator says that Envoy's buffer filter stands behind Lictor where a body is judged.
    pub(crate) buffered_routes: bool,
}

/// What comes from the environment, never from the configuration text.
#[derive(Debug)]
pub(crate) struct Secrets {
    /// `LICTOR_CLIENT_SECRET`.
    pub(crate) client: Option<Secret>,
    /// `LICTOR_COOKIE_KEYS`: the first seals, all open.
    pub(crate) cookie_keys: Vec<Key>,
    /// `LICTOR_PREFECT_AUTH_STRING`.
    pub(crate) prefect: Secret,
    /// The same as Prefect's API wants it: `Basic …`.
    pub(crate) prefect_credential: Secret,
    /// `LICTOR_AUTH_REQUEST_SECRET`, if another proxy may say what it holds.
    pub(crate) auth_request: Option<Secret>,
}

/// The environment variable that is read only if another proxy asks for verdicts.
pub(crate) const AUTH_REQUEST_SECRET: &str = "LICTOR_AUTH_REQUEST_SECRET";

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
    pub(crate) fn redirect_uri(&self) -> String {
        format!("{}{}/callback", self.public.origin(), self.endpoints)
    }

    /// What access tokens are judged by, as a text: what was found out by other settings (of before an
    /// update, or of another configuration in the same process) is not believed.
    #[must_use]
    pub(crate) fn judging(&self) -> String {
        let provider = (&self.idp.cluster, &self.idp.internal, &self.idp.algorithms);
        format!("{:?}", (&self.issuers, &self.roles, provider, self.session.not_before))
    }

    /// The key behind what the workers of a process share.
    #[must_use]
    pub(crate) fn shared_key(&self) -> Key {
        self.secrets.cookie_keys.first().copied().unwrap_or_default()
    }

    /// An issuer of whose tokens some are accepted.
    #[must_use]
    pub(crate) fn issuer(&self, id: IssuerId) -> Option<&Issuer> {
        self.issuers.get(id.0)
    }

    /// Audiences that we trust beside the login's client.
    #[must_use]
    pub(crate) fn audiences(&self) -> &[String] {
        self.issuer(LOGIN).map(|issuer| issuer.audiences.as_slice()).unwrap_or_default()
    }

    /// An absolute URL of ours for a path that has been checked.
    #[must_use]
    pub(crate) fn absolute(&self, path: &str) -> String {
        format!("{}{path}", self.public.origin())
    }

    /// Whether browsers are told to use https only. Not on a loopback name: there it would bind
    /// every port of a developer's machine.
    #[must_use]
    pub(crate) fn hsts(&self) -> bool {
        self.public.https && !self.public.is_loopback()
    }

    /// Where a login without a return path ends: the start of Prefect's UI.
    #[must_use]
    pub(crate) fn home(&self) -> &str {
        &self.prefect.ui_path
    }
}
