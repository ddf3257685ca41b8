//! The configuration: a JSON text and secrets from the environment, compiled to a [`Config`].
//!
//! docs/configuration.md is the reference of all settings.

mod claim_path;
mod compile;
pub(crate) mod error;
#[cfg(test)]
pub(crate) mod example;
mod htpasswd;
mod idp;
mod instant;
mod issuers;
mod machines;
mod reader;
mod secrets;
pub(crate) mod url;
mod values;

use core::time::Duration;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use crate::foundation::crypto::Key;
use crate::foundation::id::{IssuerId, TokenId};
use crate::foundation::password_hash::PasswordHash;
use crate::foundation::secret::Secret;
use crate::foundation::time::UnixTime;
use crate::identity::claims_to_role::Roles;
use crate::identity::credential_ref::CertificateName;
use crate::identity::principal::Principal;
use crate::identity::role::Role;
use crate::identity::users::Users;
use crate::wire::jose::signing::SigningKey;

use error::ConfigErrors;
pub(crate) use idp::{ClientAuth, Idp};
pub(crate) use url::HttpUrl;

/// The checked configuration of a deployment.
#[derive(Debug)]
pub struct Config {
    /// The URL that browsers use. Redirects and the expected `Origin` come only from it.
    pub(crate) public: HttpUrl,
    /// The provider's issuer, compared as text.
    pub(crate) issuer: String,
    /// The issuer as a parsed URL, for the addresses of its endpoints.
    pub(crate) issuer_url: HttpUrl,
    /// The `client_id` of the browser login.
    pub(crate) client_id: String,
    /// How to reach and use the identity provider.
    pub(crate) idp: Idp,
    /// The issuers whose access tokens are accepted: at [`LOGIN`] the login's issuer, then those of
    /// `machines.issuers`.
    pub(crate) issuers: Vec<Issuer>,
    /// How claims map to roles.
    pub(crate) roles: Roles,
    /// Who may come.
    pub(crate) users: Users,
    /// Lifetimes of browser sessions.
    pub(crate) session: SessionSettings,
    /// The credentials that machines may present.
    pub(crate) machines: Machines,
    /// Whether a WebSocket without a header credential may authenticate with its first frame.
    pub(crate) first_frame: bool,
    /// Exact paths that are open to `GET` without a credential.
    pub(crate) public_paths: Vec<String>,
    /// Paths and options of Prefect.
    pub(crate) prefect: Prefect,
    /// Whether Prefect's own login page is switched off.
    pub(crate) single_login: bool,
    /// Whether the pages of Prefect's UI link Lictor's companion script.
    pub(crate) companion: bool,
    /// Path prefix of Lictor's own endpoints, such as `/oauth2`. It includes the path of the public
    /// URL.
    pub(crate) endpoints: String,
    /// Host names that another proxy sends to Lictor's own endpoints instead of the public one.
    pub(crate) endpoint_hosts: Vec<String>,
    /// The secrets from the environment.
    pub(crate) secrets: Secrets,
}

/// Index of the login's issuer in [`Config::issuers`].
pub(crate) const LOGIN: IssuerId = IssuerId(0);

/// The name of the machine that presents Prefect's own shared secret.
pub(crate) const AUTH_STRING: &str = "prefect-auth-string";

/// An issuer whose access tokens are accepted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Issuer {
    /// `iss`, compared as text.
    pub(crate) issuer: String,
    /// Where the keys of the issuer are; `None` if the provider's metadata says so.
    pub(crate) keys: Option<Endpoint>,
    /// How the issuer marks its access tokens.
    pub(crate) profile: Profile,
    /// Accepted values of `aud`.
    pub(crate) audiences: Vec<String>,
    /// Accepted clients ([`Profile::client_claims`]); an empty list accepts any.
    pub(crate) authorized_parties: Vec<String>,
    /// Required claims: for each path of member names, the accepted values.
    pub(crate) claims: Vec<(Vec<String>, Vec<String>)>,
    /// The role of all tokens of the issuer; `None` if their claims grant the role.
    pub(crate) role: Option<Role>,
}

/// An endpoint of a provider, and how Envoy reaches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// The Envoy cluster to call.
    pub(crate) cluster: String,
    /// The URL to request there.
    pub(crate) url: HttpUrl,
}

/// How an issuer marks its access tokens, so that they can't be confused with its other tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// `typ: Bearer` in the payload.
    Keycloak,
    /// `typ: at+jwt` in the header, and the claims of RFC 9068 §2.2.
    Rfc9068,
    /// No mark. Access tokens have an audience of their own, and no claim that only ID tokens have.
    Generic,
}

impl Profile {
    /// Returns the profile's name in settings and in the log.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Keycloak => "keycloak",
            Self::Rfc9068 => "rfc9068",
            Self::Generic => "generic",
        }
    }

    /// Returns the claims that name the client of an access token.
    ///
    /// Keycloak's mappers may put anything into the others. Auth0 and Entra ID v2 have `azp`, RFC
    /// 9068 §2.2 and Cognito `client_id`, Okta `cid`, and Entra ID v1 `appid`.
    #[must_use]
    pub(crate) const fn client_claims(self) -> &'static [&'static str] {
        match self {
            Self::Keycloak => &["azp"],
            Self::Rfc9068 | Self::Generic => &["azp", "client_id", "cid", "appid"],
        }
    }

    /// Returns the profile with this name.
    #[must_use]
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Keycloak, Self::Rfc9068, Self::Generic].into_iter().find(|one| one.name() == name)
    }
}

/// Lifetimes of browser sessions: the setting `session`.
#[derive(Debug)]
pub(crate) struct SessionSettings {
    /// A session ends when it is unused for this long.
    pub(crate) idle: Duration,
    /// A session ends this long after the login.
    pub(crate) absolute: Duration,
    /// How often sessions and client credentials are checked at the provider. This is how long a
    /// decision may outlive a change there.
    pub(crate) recheck: Duration,
    /// How long both remain valid after a due check while the provider gives no verdict.
    pub(crate) grace: Duration,
    /// Sessions and personal tokens from before this time are not valid.
    pub(crate) not_before: Option<UnixTime>,
}

/// The credentials that machines may present: the setting `machines`.
#[derive(Debug)]
pub(crate) struct Machines {
    /// Additional host names, for machines only.
    pub(crate) hosts: Vec<String>,
    /// Whether access tokens of [`Config::issuers`] are accepted.
    pub(crate) bearer: bool,
    /// The clients that may use a client credentials grant; `None` if it is switched off.
    pub(crate) client_credentials: Option<ClientCredentialSettings>,
    /// How access tokens are introspected; `None` if they are not.
    pub(crate) introspection: Option<IntrospectionSettings>,
    /// The rules for personal tokens; `None` if they are switched off.
    pub(crate) personal_tokens: Option<PersonalTokenSettings>,
    /// API keys by the SHA-256 hash of their text, so that the cost of a look-up does not depend on
    /// their number.
    pub(crate) api_keys: HashMap<[u8; 32], ApiKey>,
    /// The client certificates of machines.
    pub(crate) certificates: Vec<CertificateEntry>,
    /// The users of an htpasswd file, by name.
    pub(crate) htpasswd: BTreeMap<String, HtpasswdEntry>,
    /// Whether clients may present Prefect's own shared secret.
    pub(crate) accept_auth_string: bool,
}

/// The clients that may use a client credentials grant.
#[derive(Debug)]
pub(crate) struct ClientCredentialSettings {
    /// Patterns of `client_id`.
    pub(crate) clients: Vec<Pattern>,
    /// Additional parameters of the token request, as names and values: `scope` (RFC 6749 §3.3),
    /// `audience` (Auth0) and `resource` (RFC 8707).
    pub(crate) parameters: Vec<(&'static str, String)>,
}

impl ClientCredentialSettings {
    /// Returns whether a client may use the grant.
    #[must_use]
    pub(crate) fn may(&self, client: &str) -> bool {
        self.clients.iter().any(|pattern| pattern.fits(client))
    }
}

/// The introspection of access tokens: the setting `machines.introspection`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IntrospectionSettings {
    /// Whether the provider verifies the JWTs of the login's issuer, too.
    pub(crate) jwts: bool,
}

/// The rules for personal tokens: the setting `machines.personal_tokens`.
#[derive(Debug)]
pub(crate) struct PersonalTokenSettings {
    /// The longest lifetime of a token.
    pub(crate) max: Duration,
    /// The highest role of a token.
    pub(crate) role: Role,
    /// The ids of revoked tokens.
    pub(crate) revoked: Vec<TokenId>,
}

/// A text pattern, in which one `*` matches any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// The text before the star, or the whole pattern.
    begin: String,
    /// The text after the star; `None` if the pattern has no star.
    end: Option<String>,
}

impl Pattern {
    /// Reads a pattern; `None` if it has more than one star.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('*').map(str::to_owned);
        let pattern = Self { begin: parts.next()?, end: parts.next() };
        parts.next().is_none().then_some(pattern)
    }

    /// Returns whether a text matches the pattern.
    #[must_use]
    pub(crate) fn fits(&self, text: &str) -> bool {
        match &self.end {
            None => self.begin == text,
            Some(end) => text.strip_prefix(&self.begin).is_some_and(|rest| rest.ends_with(end)),
        }
    }
}

/// A configured client certificate, and the machine that it identifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateEntry {
    /// The machine.
    pub(crate) principal: Rc<Principal>,
    /// The role of the machine.
    pub(crate) role: Role,
    /// The name in the certificate.
    pub(crate) shows: CertificateName,
}

/// A configured API key. The configuration contains only the hash of its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiKey {
    /// The machine.
    pub(crate) principal: Rc<Principal>,
    /// The role of the machine.
    pub(crate) role: Role,
    /// When the key expires; `None` if it never does.
    pub(crate) expires: Option<UnixTime>,
}

/// A line of an htpasswd file: a user whose password Lictor verifies itself.
#[derive(Clone, Debug)]
pub(crate) struct HtpasswdEntry {
    /// The user.
    pub(crate) principal: Rc<Principal>,
    /// The role of the user.
    pub(crate) role: Role,
    /// When the password is no longer accepted.
    pub(crate) expires: UnixTime,
    /// SHA-256 hash of the line, which tells it from another one for the same name.
    pub(crate) digest: [u8; 32],
    /// The hash of the password.
    pub(crate) hash: PasswordHash,
}

/// Paths and options of Prefect: the setting `prefect`.
#[derive(Debug)]
pub(crate) struct Prefect {
    /// Path of Prefect's API without a trailing slash, such as `/api`.
    pub(crate) api_path: String,
    /// Path of Prefect's UI with a trailing slash, such as `/`.
    pub(crate) ui_path: String,
    /// Whether requests to Prefect contain headers with the identity of the user.
    pub(crate) forward_identity: bool,
    /// Whether Envoy's buffer filter follows Lictor on routes where a body decides. The operator
    /// states this; Lictor can't check it.
    pub(crate) buffered_routes: bool,
}

/// The secrets. They come from the environment, never from the configuration text.
#[derive(Debug)]
pub(crate) struct Secrets {
    /// `LICTOR_CLIENT_SECRET`: the secret of the login's client.
    pub(crate) client: Option<Secret>,
    /// `LICTOR_CLIENT_KEY`: the private key of the login's client.
    pub(crate) client_key: Option<SigningKey>,
    /// `LICTOR_COOKIE_KEYS`: the first key seals, all keys open.
    pub(crate) cookie_keys: Vec<Key>,
    /// `LICTOR_PREFECT_AUTH_STRING`: the secret that Prefect expects, `name:password`.
    pub(crate) prefect: Secret,
    /// The same secret as the `Authorization` value for Prefect's API: `Basic …`.
    pub(crate) prefect_credential: Secret,
    /// `LICTOR_AUTH_REQUEST_SECRET`: the secret of another proxy that asks for verdicts.
    pub(crate) auth_request: Option<Secret>,
}

/// The environment variable with the secret of another proxy that asks for verdicts.
pub(crate) const AUTH_REQUEST_SECRET: &str = "LICTOR_AUTH_REQUEST_SECRET";

impl Config {
    /// Compiles the configuration text and the environment.
    ///
    /// `text` is JSON. `environment` returns the value of an environment variable.
    ///
    /// # Errors
    /// All problems together, each with its path.
    pub fn compile(
        text: &[u8],
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigErrors> {
        compile::compile(text, environment)
    }

    /// Returns the lines for the operator's log about settings that are accepted, but weak.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        htpasswd::warning(&self.machines.htpasswd).into_iter().collect()
    }

    /// Returns the `redirect_uri` of the login (RFC 6749 §4.1.3).
    ///
    /// It depends only on settings, never on a request (docs/threats.md T-I4).
    #[must_use]
    pub(crate) fn redirect_uri(&self) -> String {
        format!("{}{}/callback", self.public.origin(), self.endpoints)
    }

    /// Returns whether another configuration judges the access tokens of an issuer by the same
    /// rules: an accepted token is accepted there, with the same principal and role.
    #[must_use]
    pub(crate) fn judges_tokens_like(&self, other: &Self, issuer: &str) -> bool {
        let (here, there) = (self.issuer_named(issuer), other.issuer_named(issuer));
        // The entries also differ if only one is that of the login, which names no keys.
        here.is_some()
            && here == there
            && self.client_id == other.client_id
            && self.idp.algorithms == other.idp.algorithms
            && self.roles == other.roles
            && self.users == other.users
    }

    fn issuer_named(&self, issuer: &str) -> Option<&Issuer> {
        self.issuers.iter().find(|known| known.issuer == issuer)
    }

    /// Returns a text of all settings that decide about access tokens.
    ///
    /// Results of client credentials grants that workers share are bound to this text. So results
    /// under other settings are not used, such as those from before an update or of another
    /// configuration in the process. Refreshed sessions are not bound to it: a refresh token may
    /// be used once only, so its result must serve the workers of both configurations.
    #[must_use]
    pub(crate) fn judging(&self) -> String {
        // Every field is named, so that a new one needs a decision here.
        let Self {
            issuer,
            client_id,
            idp,
            issuers,
            roles,
            session,
            machines,
            users,
            // The rest decides nothing about the result of a token.
            public: _,
            issuer_url: _,
            first_frame: _,
            public_paths: _,
            prefect: _,
            single_login: _,
            companion: _,
            endpoints: _,
            endpoint_hosts: _,
            secrets: _,
        } = self;
        let grants = machines.client_credentials.as_ref().map(|grants| &grants.parameters);
        format!("{:?}", (issuer, client_id, idp, issuers, roles, users, session, grants))
    }

    /// Returns the master key for the data that the workers of a process share.
    #[must_use]
    pub(crate) fn shared_key(&self) -> Key {
        self.secrets.cookie_keys.first().copied().unwrap_or_default()
    }

    /// Returns an issuer by its id.
    #[must_use]
    pub(crate) fn issuer(&self, id: IssuerId) -> Option<&Issuer> {
        self.issuers.get(id.0)
    }

    /// Returns the accepted audiences of the login's issuer.
    #[must_use]
    pub(crate) fn audiences(&self) -> &[String] {
        self.issuer(LOGIN).map(|issuer| issuer.audiences.as_slice()).unwrap_or_default()
    }

    /// Returns an absolute public URL for a path. The caller has checked the path.
    #[must_use]
    pub(crate) fn absolute(&self, path: &str) -> String {
        format!("{}{path}", self.public.origin())
    }

    /// Returns whether responses tell browsers to use https only (HSTS).
    ///
    /// Not on a loopback name: HSTS would apply to every port of a developer's machine.
    #[must_use]
    pub(crate) fn hsts(&self) -> bool {
        self.public.https && !self.public.is_loopback()
    }

    /// Returns the path at which a login without a return path ends: the start of Prefect's UI.
    #[must_use]
    pub(crate) fn home(&self) -> &str {
        &self.prefect.ui_path
    }
}
