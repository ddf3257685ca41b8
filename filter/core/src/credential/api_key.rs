//! API keys: `lk_` and 256 random bits. The configuration holds only their SHA-256 digests.

use std::rc::Rc;

use crate::config::{Config, Machines};
use crate::foundation::crypto::sha256;
use crate::foundation::secret::SecretRef;
use crate::foundation::time::UnixTime;
use crate::identity::credential_ref::CredentialRef;
use crate::identity::principal::Identity;
use crate::refusal::{Reason, Refusal};

/// Prefix of every API key.
pub(crate) const PREFIX: &[u8] = b"lk_";

/// Verifies an API key against the configured ones.
///
/// The table is keyed by digest, so that a lookup takes the same time with any number of keys. Its
/// timing leaks nothing useful, since a client can't find a key for a digest of its choice.
///
/// # Errors
/// When the key is unknown or has expired.
pub(crate) fn verify(
    key: SecretRef<'_>,
    config: &Config,
    now: UnixTime,
) -> Result<Identity, Refusal> {
    by_digest(&sha256(key.expose()), config, now)
}

/// Verifies an API key by its SHA-256 digest.
///
/// # Errors
/// When no configured key has the digest, or the key has expired.
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
    let credential = CredentialRef::ApiKey(*digest);
    Ok(Identity { principal, role: Some(entry.role), until: entry.expires, credential })
}
