//! Who asks.

use std::rc::Rc;

use crate::foundation::time::UnixTime;
use crate::identity::credential_ref::CredentialRef;
use crate::identity::role::Role;

/// A kind of credential, as logs and metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// None: a public path.
    Anonymous,
    /// The browser session.
    Session,
    /// An access token.
    Bearer,
    /// A client's own credentials, exchanged at the provider.
    ClientCredentials,
    /// A personal token.
    PersonalToken,
    /// An API key.
    ApiKey,
    /// A client certificate.
    Certificate,
    /// Prefect's own shared secret.
    AuthString,
}

impl Method {
    /// The label in logs and metrics.
    #[must_use]
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Anonymous => "none",
            Self::Session => "session",
            Self::Bearer => "bearer",
            Self::ClientCredentials => "client_credentials",
            Self::PersonalToken => "personal_token",
            Self::ApiKey => "api_key",
            Self::Certificate => "certificate",
            Self::AuthString => "auth_string",
        }
    }
}

/// Who a credential proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    /// `user:…`, `client:…`, `key:…` or `cert:…`: kinds are kept apart, so that a client id can never be
    /// taken for a subject (RFC 9700 §4.15).
    pub(crate) id: String,
    /// What a person calls it.
    pub(crate) name: String,
    /// The e-mail address, if one is known.
    pub(crate) email: Option<String>,
    /// How it was proved.
    pub(crate) method: Method,
}

impl Principal {
    /// A machine that the configuration names.
    #[must_use]
    pub(crate) fn machine(kind: &str, name: &str, method: Method) -> Self {
        Self { id: format!("{kind}:{name}"), name: name.to_owned(), email: None, method }
    }
}

/// An identity that has been proved, before anybody asked what it may do.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Who.
    pub(crate) principal: Rc<Principal>,
    /// With which role; none is a person without rights.
    pub(crate) role: Option<Role>,
    /// When the proof ends, or must be looked at again.
    pub(crate) until: Option<UnixTime>,
    /// What it hangs on.
    pub(crate) hold: CredentialRef,
}
