//! How each part is doing.

use crate::error::Result;
use crate::http::TlsClient;
use crate::layout::Layout;
use crate::process::Running;
use crate::stack::PARTS;
use crate::stack_file::StackFile;
use crate::{envoy, keycloak, prefect};

/// The state of one part, for `status`.
#[derive(Debug)]
pub struct PartStatus {
    /// Its name.
    pub part: &'static str,
    /// The port that people or the other parts use.
    pub port: u16,
    /// The process, if it runs.
    pub running: Option<Running>,
    /// What its readiness check says.
    pub ready: std::result::Result<(), String>,
}

/// The state of every part, first Keycloak.
///
/// # Errors
/// The stack's own files can't be read.
pub fn of(layout: &Layout) -> Result<Vec<PartStatus>> {
    let stopped = || Err("not running".to_owned());
    let file = StackFile::load_from(&layout.stack_file()).ok();
    PARTS
        .into_iter()
        .rev()
        .map(|part| {
            let running = Running::find(layout, part).filter(Running::is_alive);
            let (port, ready) = match part {
                keycloak::PART => (layout.ports.keycloak, keycloak::probe(layout)),
                prefect::PART => {
                    let ready = match &file {
                        Some(file) => {
                            prefect::probe(layout, &file.prefect.version, &file.prefect.auth_string)
                        }
                        None => Err("a whole start (make up)".to_owned()),
                    };
                    (layout.ports.prefect, ready)
                }
                _ => {
                    let ca = layout.pki().join("ca.pem");
                    let ready = if running.is_some() {
                        envoy::probe(layout, &TlsClient::trusting(&ca)?)
                    } else {
                        stopped()
                    };
                    (layout.ports.https, ready)
                }
            };
            let ready = if running.is_some() { ready } else { stopped() };
            Ok(PartStatus { part, port, running, ready })
        })
        .collect()
}
