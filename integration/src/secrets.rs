//! The secrets of one stack: random, made once, kept.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::layout::{Layout, write_private};
use crate::process::hex;

/// Everything that must not be guessed. No `Debug`: it can't end up in a log by accident.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// Of the login client `prefect`.
    pub client_secret: String,
    /// 32 bytes, base64url: Lictor's cookie key.
    pub cookie_key: String,
    /// Prefect's own shared secret, `user:password`.
    pub prefect_auth_string: String,
    /// The machine's API key, `lk_` and 32 bytes in base64url.
    pub api_key: String,
    /// Of the service account `etl-worker`.
    pub worker_client_secret: String,
    /// Of Keycloak's bootstrap administrator.
    pub keycloak_admin_password: String,
}

impl Secrets {
    /// Reads the stack's secrets, or makes them.
    ///
    /// # Errors
    /// The file can't be read, understood or written; the system gives no randomness.
    pub fn open(layout: &Layout) -> Result<Self> {
        let path = layout.state.join("secrets.json");
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|cause| {
                Error::new(format!("{} can't be understood: {cause}", path.display()))
                    .remedy("remove it: new secrets are made, and Keycloak's data with them")
            }),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                let secrets = Self::random()?;
                let text = serde_json::to_vec_pretty(&secrets).unwrap_or_default();
                write_private(&path, &text)?;
                Ok(secrets)
            }
            Err(cause) => Err(Error::file("read", &path, &cause)),
        }
    }

    fn random() -> Result<Self> {
        Ok(Self {
            client_secret: token()?,
            cookie_key: token()?,
            prefect_auth_string: format!("admin:{}", token()?),
            api_key: format!("lk_{}", token()?),
            worker_client_secret: token()?,
            keycloak_admin_password: token()?,
        })
    }

    /// What the machine puts into `PREFECT_API_AUTH_STRING`.
    #[must_use]
    pub fn machine_auth_string(&self) -> String {
        format!("{MACHINE}:{}", self.api_key)
    }

    /// The API key as Lictor's configuration has it.
    #[must_use]
    pub fn api_key_sha256(&self) -> String {
        hex(&Sha256::digest(&self.api_key))
    }
}

/// Name of the machine in Lictor's configuration.
pub const MACHINE: &str = "etl";

/// 32 random bytes in base64url.
///
/// # Errors
/// The system gives no randomness.
pub fn token() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|cause| Error::new(format!("the system gives no randomness: {cause}")))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_have_their_form() {
        let (a, b) = (Secrets::random().unwrap(), Secrets::random().unwrap());
        assert_ne!(a.client_secret, b.client_secret);
        assert_ne!(a.client_secret, a.cookie_key);
        assert_eq!(URL_SAFE_NO_PAD.decode(&a.cookie_key).unwrap().len(), 32);
        assert!(a.machine_auth_string().starts_with("etl:lk_"));
        assert_eq!(a.api_key_sha256().len(), 64);
    }
}
