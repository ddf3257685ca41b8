//! The principal of a request.

use std::rc::Rc;

use crate::foundation::time::UnixTime;
use crate::identity::credential_ref::CredentialRef;
use crate::identity::role::Role;

/// How a principal was authenticated, for logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// No credential: a public path.
    Anonymous,
    /// A browser session.
    Session,
    /// An access token (JWT) of an issuer.
    Bearer,
    /// Client id and secret, verified by a client credentials grant at the provider.
    ClientCredentials,
    /// An access token that the provider has introspected.
    OpaqueToken,
    /// A personal token.
    PersonalToken,
    /// An API key.
    ApiKey,
    /// A client certificate.
    Certificate,
    /// A password of an htpasswd file.
    Htpasswd,
    /// Prefect's own shared secret.
    AuthString,
}

impl Method {
    /// Returns the label in logs and metrics.
    #[must_use]
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Anonymous => "none",
            Self::Session => "session",
            Self::Bearer => "bearer",
            Self::ClientCredentials => "client_credentials",
            Self::OpaqueToken => "opaque_token",
            Self::PersonalToken => "personal_token",
            Self::ApiKey => "api_key",
            Self::Certificate => "certificate",
            Self::Htpasswd => "htpasswd",
            Self::AuthString => "auth_string",
        }
    }
}

/// The person or machine that a credential proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    /// The id with its kind: `user:…`, `client:…`, `key:…`, `cert:…` or `htpasswd:…`.
    ///
    /// The kind prevents that a client id is mistaken for a subject (RFC 9700 §4.15).
    pub(crate) id: String,
    /// The display name.
    pub(crate) name: String,
    /// The e-mail address, if one is known.
    pub(crate) email: Option<String>,
    /// How the principal was authenticated.
    pub(crate) method: Method,
}

impl Principal {
    /// Creates the principal of a machine that is named in the configuration.
    #[must_use]
    pub(crate) fn machine(kind: &str, name: &str, method: Method) -> Self {
        Self { id: format!("{kind}:{name}"), name: name.to_owned(), email: None, method }
    }

    /// Returns whether the principal is a person.
    #[must_use]
    pub(crate) fn is_person(&self) -> bool {
        self.id.starts_with("user:")
    }
}

/// An authenticated identity, before authorization.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// The principal.
    pub(crate) principal: Rc<Principal>,
    /// The role; `None` for a principal without any rights.
    pub(crate) role: Option<Role>,
    /// When the identity must be authenticated again; `None` for no limit in time.
    pub(crate) until: Option<UnixTime>,
    /// The credential that proves the identity.
    pub(crate) credential: CredentialRef,
}
