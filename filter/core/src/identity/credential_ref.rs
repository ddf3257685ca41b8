//! What a proof hangs on beside its time. Requests are over in a moment; a socket must end when what it
//! was opened with is good no more.

use std::rc::Rc;

use crate::foundation::id::CredentialId;
use crate::identity::personal_token::PersonalToken;
use crate::identity::role::Role;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) enum CredentialRef {
    /// Nothing that could open a socket: a session.
    Session,
    /// A token of this issuer, with the role that it gave.
    Issuer(Rc<str>, Option<Role>),
    /// An API key, by its digest.
    ApiKey([u8; 32]),
    /// Client credentials, by their keyed hash.
    ClientCredentials(CredentialId),
    /// A personal token.
    PersonalToken(Rc<PersonalToken>),
    /// A client certificate, by what it shows.
    Certificate(CertificateName),
    /// Prefect's own string.
    AuthString,
}

/// A name in a certificate, compared whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CertificateName {
    /// The first URI among its alternative names (a SPIFFE id, say).
    Uri(String),
    /// The first DNS name among them.
    Dns(String),
    /// Its subject.
    Subject(String),
}
