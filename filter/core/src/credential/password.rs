//! Passwords of an htpasswd file (`machines.htpasswd`).

use std::rc::Rc;

use crate::config::{Config, HtpasswdEntry};
use crate::foundation::time::UnixTime;
use crate::identity::credential_ref::CredentialRef;
use crate::identity::principal::Identity;
use crate::refusal::{Reason, Refusal};

/// Returns the identity of a user whose password has been verified; `None` if it has expired.
#[must_use]
pub(crate) fn identity(entry: &HtpasswdEntry, now: UnixTime) -> Option<Identity> {
    let (principal, until) = (Rc::clone(&entry.principal), Some(entry.expires));
    let credential = CredentialRef::Password(entry.digest);
    let identity = Identity { principal, role: Some(entry.role), until, credential };
    (now < entry.expires).then_some(identity)
}

/// Returns the identity of a user by the digest of the user's line, if the settings still have it.
#[must_use]
pub(crate) fn by_digest(digest: &[u8; 32], config: &Config, now: UnixTime) -> Option<Identity> {
    let mut entries = config.machines.htpasswd.values();
    identity(entries.find(|entry| entry.digest == *digest)?, now)
}

/// Returns the refusal of a name and password that do not belong together.
///
/// The client gets the same text whether there is such a user or not. The log does not quote an
/// unknown name, because it may be a password in the wrong place.
#[must_use]
pub(crate) fn wrong(entry: Option<&HtpasswdEntry>) -> Refusal {
    let user = entry.map_or("a name without an entry", |entry| entry.principal.name.as_str());
    refused(format!("{user}, with a wrong password"))
}

/// Returns the refusal of an expired password. The client gets the same text as for a wrong one, so
/// that nobody can find out passwords that are still in use elsewhere.
#[must_use]
pub(crate) fn expired(user: &str) -> Refusal {
    refused(format!("{user}, whose entry has expired"))
}

#[cold]
fn refused(seen: String) -> Refusal {
    let wanted = "a password of machines.htpasswd in time, or another credential";
    Refusal::new(Reason::WrongPassword).seen(seen).wanted(wanted)
}
