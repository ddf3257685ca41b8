//! Passwords of an htpasswd file (`machines.htpasswd`).

use std::rc::Rc;

use crate::config::{Config, HtpasswdEntry};
use crate::foundation::time::UnixTime;
use crate::identity::credential_ref::CredentialRef;
use crate::identity::principal::Identity;
use crate::refusal::{Reason, Refusal};

/// Returns the identity of a user whose password has been verified.
///
/// # Errors
/// When the password has expired.
pub(crate) fn identity(entry: &HtpasswdEntry, now: UnixTime) -> Result<Identity, Refusal> {
    let principal = Rc::clone(&entry.principal);
    if now >= entry.expires {
        return Err(Refusal::new(Reason::ExpiredPassword)
            .seen(format!("user {}, expired", principal.name))
            .wanted("an API key, or an entry of machines.htpasswd in time"));
    }
    let credential = CredentialRef::Password(entry.digest);
    Ok(Identity { principal, role: Some(entry.role), until: Some(entry.expires), credential })
}

/// Returns the identity of a user by the digest of the user's line, if the settings still have it.
#[must_use]
pub(crate) fn by_digest(digest: &[u8; 32], config: &Config, now: UnixTime) -> Option<Identity> {
    let mut entries = config.machines.htpasswd.values();
    identity(entries.find(|entry| entry.digest == *digest)?, now).ok()
}

/// Returns the refusal of a name and password that do not belong together.
///
/// It is the same whether there is such a user or not.
#[must_use]
pub(crate) fn wrong(user: &str) -> Refusal {
    Refusal::new(Reason::WrongPassword)
        .seen(format!("user {user}, with a wrong password or without an entry"))
        .wanted("a password of machines.htpasswd, or another credential")
}
