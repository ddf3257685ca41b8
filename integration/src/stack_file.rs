//! `.lictor/stack.json`: where scripts and tests find everything.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::layout::{Layout, PREFECT_HOST, REALM, write_private};
use crate::ports::Ports;
use crate::process::Running;
use crate::secrets::Secrets;
use crate::{envoy, keycloak, pki::Pki};

/// A running stack as seen from outside. Holds credentials: the file is for its owner alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackFile {
    /// Where a browser finds Prefect.
    pub url: String,
    /// The CA that signed Envoy's certificates (PEM).
    pub ca_file: PathBuf,
    /// The people who can log in.
    pub users: Vec<User>,
    /// A machine's two ways in.
    pub machine: Machine,
    /// Prefect itself, behind Lictor.
    pub prefect: Prefect,
    /// Keycloak.
    pub keycloak: Keycloak,
    /// Envoy.
    pub envoy: Envoy,
    /// Folder of the log files.
    pub logs: PathBuf,
    /// All of its ports.
    pub ports: Ports,
}

/// A person of the imported realm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// User name.
    pub name: String,
    /// Password.
    pub password: String,
    /// Role in Lictor's words; none for somebody who may log in and see nothing.
    pub role: Option<String>,
}

/// A machine's credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// For `PREFECT_API_AUTH_STRING`: an API key in its Basic form.
    pub auth_string: String,
    /// Service account at Keycloak.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Where it gets tokens; an address that every resolver knows.
    pub token_url: String,
    /// Prefect's API behind Lictor, for machines.
    pub api_url: String,
}

/// Prefect Server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prefect {
    /// Its version.
    pub version: String,
    /// Its own address, past Lictor.
    pub url: String,
    /// Its own shared secret.
    pub auth_string: String,
    /// Its Python, with Prefect's client installed.
    pub python: PathBuf,
}

/// Keycloak.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keycloak {
    /// For browsers, through Envoy.
    pub url: String,
    /// For programs on this machine.
    pub internal_url: String,
    /// The realm.
    pub realm: String,
    /// Administrator of the master realm (at the internal address).
    pub admin: String,
    /// Password of that administrator.
    pub admin_password: String,
}

/// Envoy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envoy {
    /// Its admin interface.
    pub admin_url: String,
    /// The rendered configuration.
    pub config: PathBuf,
    /// Its process.
    pub pid: u32,
}

impl StackFile {
    /// The file of the stack that `make up` started in this checkout.
    ///
    /// # Errors
    /// There is none, or it can't be understood.
    pub fn load(checkout: &Path) -> Result<Self> {
        Self::load_from(&checkout.join(".lictor/stack.json"))
    }

    /// The file of any stack.
    ///
    /// # Errors
    /// There is none, or it can't be understood.
    pub fn load_from(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).map_err(|cause| {
            Error::file("read", path, &cause).wanted("a running stack").remedy("make up")
        })?;
        serde_json::from_slice(&bytes).map_err(|cause| {
            Error::new(format!("{} can't be understood: {cause}", path.display()))
                .remedy("make up writes it anew")
        })
    }

    /// Describes a stack.
    #[must_use]
    pub fn of(
        layout: &Layout,
        secrets: &Secrets,
        pki: &Pki,
        prefect_version: &str,
        prefect_venv: &Path,
        envoy: &Running,
    ) -> Self {
        let realm = layout.internal_issuer();
        Self {
            url: layout.public_url(),
            ca_file: pki.ca.clone(),
            users: users(),
            machine: Machine {
                auth_string: secrets.machine_auth_string(),
                client_id: "etl-worker".to_owned(),
                client_secret: secrets.worker_client_secret.clone(),
                token_url: format!("{realm}/protocol/openid-connect/token"),
                api_url: format!("https://{}/api", layout.machine_host()),
            },
            prefect: Prefect {
                version: prefect_version.to_owned(),
                url: layout.prefect_url(),
                auth_string: secrets.prefect_auth_string.clone(),
                python: prefect_venv.join("bin/python"),
            },
            keycloak: Keycloak {
                url: layout.keycloak_url(),
                internal_url: layout.keycloak_internal_url(),
                realm: REALM.to_owned(),
                admin: keycloak::ADMIN.to_owned(),
                admin_password: secrets.keycloak_admin_password.clone(),
            },
            envoy: Envoy {
                admin_url: format!("http://127.0.0.1:{}", layout.ports.envoy_admin),
                config: envoy::configuration_file(layout),
                pid: envoy.pid(),
            },
            logs: layout.logs(),
            ports: layout.ports,
        }
    }

    /// Writes the file, mode 0600.
    ///
    /// # Errors
    /// It can't be written.
    pub fn save(&self, layout: &Layout) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).unwrap_or_default();
        write_private(&layout.stack_file(), &text)
    }

    /// The port of `url`, for clients that must connect to 127.0.0.1 by themselves because their
    /// resolver does not know `*.localhost`.
    #[must_use]
    pub fn https_port(&self) -> Option<u16> {
        self.url.strip_prefix(&format!("https://{PREFECT_HOST}:"))?.parse().ok()
    }
}

/// The people in `compose/keycloak/realm-prefect.json`; a test compares them.
#[must_use]
pub fn users() -> Vec<User> {
    [("alice", Some("admin")), ("bob", Some("operator")), ("carol", Some("viewer")), ("dave", None)]
        .map(|(name, role)| User {
            name: name.to_owned(),
            password: format!("{name}-pw"),
            role: role.map(str::to_owned),
        })
        .to_vec()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_people_are_those_of_the_realm_file() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/keycloak/realm-prefect.json");
        let realm: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let listed: Vec<User> = realm["users"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|user| user["serviceAccountClientId"].is_null())
            .map(|user| User {
                name: user["username"].as_str().unwrap().to_owned(),
                password: user["credentials"][0]["value"].as_str().unwrap().to_owned(),
                role: user["groups"][0].as_str().map(|group| {
                    group.trim_start_matches("/prefect-").trim_end_matches('s').to_owned()
                }),
            })
            .collect();
        assert_eq!(listed, users());
        let secrets: Vec<&Value> = realm["clients"]
            .as_array()
            .unwrap()
            .iter()
            .map(|client| &client["secret"])
            .filter(|secret| !secret.is_null())
            .collect();
        assert_eq!(
            secrets,
            [&json!("${LICTOR_CLIENT_SECRET}"), &json!("${ETL_WORKER_CLIENT_SECRET}")]
        );
    }
}
