//! References to the credentials that prove identities.
//!
//! A request is finished in a moment. A WebSocket stays open, and must end when the credential
//! that opened it is no longer valid.

use std::rc::Rc;

use crate::foundation::id::CredentialId;
use crate::identity::personal_token::PersonalToken;
use crate::identity::role::Role;

/// A reference to a credential, with which an open socket checks that it is still valid.
#[derive(Clone, Debug)]
pub(crate) enum CredentialRef {
    /// A browser session, which can't open a socket.
    Session,
    /// An access token. Its text is not kept, so it can't be verified again.
    AccessToken {
        /// The issuer.
        issuer: Rc<str>,
        /// The role that the token granted under the settings that verified it.
        role: Option<Role>,
    },
    /// An API key, by its SHA-256 hash.
    ApiKey([u8; 32]),
    /// Client credentials, by a keyed hash.
    ClientCredentials(CredentialId),
    /// An introspected access token, by a keyed hash.
    OpaqueToken(CredentialId),
    /// A personal token.
    PersonalToken(Rc<PersonalToken>),
    /// A client certificate, by the name that is configured.
    Certificate(CertificateName),
    /// A password of an htpasswd file, by the SHA-256 hash of its line.
    Password([u8; 32]),
    /// Prefect's own shared secret.
    AuthString,
}

/// A name in a client certificate. Names are compared as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CertificateName {
    /// The first URI among the subject alternative names, such as a SPIFFE ID.
    Uri(String),
    /// The first DNS name among the subject alternative names.
    Dns(String),
    /// The subject, in the string form of RFC 2253.
    Subject(String),
}
