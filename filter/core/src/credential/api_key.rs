//! API keys: 256 random bits behind `lk_`, of which only the SHA-256 is known here.

use std::rc::Rc;

use crate::config::{Config, Machines};
use crate::foundation::crypto::sha256;
use crate::foundation::secret::SecretRef;
use crate::foundation::time::UnixTime;
use crate::identity::credential_ref::CredentialRef;
use crate::identity::principal::Identity;
use crate::refusal::{Reason, Refusal};

/// What every key begins with.
pub(crate) const PREFIX: &[u8] = b"lk_";

/// Looks a key up. The table is keyed by the digest, so the cost does not grow with it, and time
/// tells nothing of use: whoever can choose digests already has the key.
///
/// # Errors
/// When it is unknown or over.
pub(crate) fn verify(
    key: SecretRef<'_>,
    config: &Config,
    now: UnixTime,
) -> Result<Identity, Refusal> {
    by_digest(&sha256(key.expose()), config, now)
}

/// The key of a digest.
///
/// # Errors
/// As [`verify`].
pub(crate) fn by_digest(
    digest: &[u8; 32],
    config: &Config,
    now: UnixTime,
) -> Result<Identity, Refusal> {
    let Machines { api_keys, .. } = &config.machines;
    let Some(entry) = api_keys.get(digest) else {
        return Err(Refusal::new(Reason::UnknownApiKey)
            .seen("an unknown key")
            .wanted("a key of machines.api_keys"));
    };
    let principal = Rc::clone(&entry.principal);
    if entry.expires.is_some_and(|end| now >= end) {
        return Err(Refusal::new(Reason::ExpiredApiKey)
            .seen(format!("key {}, expired", principal.name))
            .wanted("a key in time"));
    }
    let hold = CredentialRef::ApiKey(*digest);
    Ok(Identity { principal, role: Some(entry.role), until: entry.expires, hold })
}
