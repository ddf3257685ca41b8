//! Envoy with Lictor in it: the configuration rendered from `envoy/local/envoy.yaml`, checked by
//! Envoy itself, then started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::command::run_logged;
use crate::error::{Error, Result};
use crate::http::TlsClient;
use crate::launch::Launch;
use crate::layout::{Layout, PREFECT_HOST, write_private};
use crate::pki::Pki;
use crate::ports::has_ipv6_loopback;
use crate::process::{Running, file_digest};
use crate::progress::Progress;
use crate::ready;
use crate::secrets::{MACHINE, Secrets};
use crate::template::fill;

/// Name of the part.
pub const PART: &str = "envoy";
/// Where Lictor says that it can serve.
pub const READY_PATH: &str = "/oauth2/ready";

const READY_LIMIT: Duration = Duration::from_secs(60);

/// Lictor's configuration for the local stack.
#[must_use]
pub fn lictor_configuration(layout: &Layout, secrets: &Secrets) -> Value {
    json!({
        "public_url": layout.public_url(),
        "issuer": layout.issuer(),
        "client_id": "prefect",
        "idp": { "internal_url": layout.internal_issuer() },
        "prefect": { "buffered_routes": true },
        "machines": {
            "hosts": [layout.machine_host()],
            "api_keys": [
                { "name": MACHINE, "sha256": secrets.api_key_sha256(), "role": "worker" },
            ],
        },
    })
}

/// Path of the rendered configuration.
#[must_use]
pub fn configuration_file(layout: &Layout) -> PathBuf {
    layout.state.join("envoy.yaml")
}

/// The stack's own copy of the module: a build that runs later does not change it under Envoy.
#[must_use]
pub fn module_file(layout: &Layout) -> PathBuf {
    layout.state.join("lictor.wasm")
}

/// Envoy's configuration with these Lictor settings and this module.
///
/// # Errors
/// The template can't be read or does not fit.
pub fn render(layout: &Layout, lictor: &Value, module: &Path, pki: &Pki) -> Result<String> {
    let path = layout.checkout.join("envoy/local/envoy.yaml");
    let template = fs::read_to_string(&path).map_err(|cause| Error::file("read", &path, &cause))?;
    let https = layout.ports.https;
    // Some clients resolve *.localhost to ::1 first.
    let second = json!([
        { "address": { "socket_address": { "address": "::1", "port_value": https } } },
    ]);
    let v6 = if has_ipv6_loopback() { second } else { json!([]) };
    fill(
        &template,
        &[
            ("https_port", json!(https)),
            ("ipv6_addresses", v6),
            ("admin_port", json!(layout.ports.envoy_admin)),
            ("prefect_port", json!(layout.ports.prefect)),
            ("keycloak_port", json!(layout.ports.keycloak)),
            ("prefect_certificate", json!(pki.prefect.certificate)),
            ("prefect_key", json!(pki.prefect.key)),
            ("keycloak_certificate", json!(pki.keycloak.certificate)),
            ("keycloak_key", json!(pki.keycloak.key)),
            ("access_log", json!(layout.log("access"))),
            ("module", json!(module)),
            ("lictor_configuration", json!(lictor.to_string())),
        ],
    )
}

/// Lets Envoy check a configuration, which also runs the module's own check of its settings.
///
/// # Errors
/// Envoy refuses it; the log's last lines say why.
pub fn validate(
    layout: &Layout,
    envoy: &Path,
    configuration: &Path,
    secrets: &Secrets,
    progress: &Progress,
) -> Result<()> {
    let log = layout.log("envoy-validate");
    let mut command = Command::new(envoy);
    command
        // Quiet: the last lines of the log are shown when the check fails.
        .args(["--mode", "validate", "--disable-hot-restart", "--log-level", "warning", "-c"])
        .arg(configuration)
        .env_clear()
        .envs(environment(secrets));
    run_logged(command, "envoy --mode validate", &log, progress, || ())
}

/// How Envoy is to be started with these Lictor settings and this module. Copies the module and
/// writes the configuration.
///
/// # Errors
/// A file can't be read or written, or the template does not fit.
pub fn launch(
    layout: &Layout,
    envoy: &Path,
    lictor: &Value,
    module: &Path,
    secrets: &Secrets,
    pki: &Pki,
) -> Result<Launch> {
    let copy = module_file(layout);
    let bytes = fs::read(module).map_err(|cause| Error::file("read", module, &cause))?;
    write_private(&copy, &bytes)?;
    let configuration = configuration_file(layout);
    let text = render(layout, lictor, &copy, pki)?;
    write_private(&configuration, text.as_bytes())?;
    let files = [&copy, &configuration, &pki.prefect.certificate, &pki.keycloak.certificate];
    Ok(Launch {
        part: PART,
        program: envoy.to_path_buf(),
        args: vec![
            "-c".into(),
            configuration.to_string_lossy().into_owned(),
            // Hot restart would need a shared memory region for each Envoy of the machine.
            "--disable-hot-restart".into(),
            "--concurrency".into(),
            "2".into(),
            // The access log would otherwise lag 10 s behind.
            "--file-flush-interval-msec".into(),
            "500".into(),
        ],
        env: environment(secrets),
        folder: layout.state.clone(),
        inputs: files.into_iter().map(|path| file_digest(path)).collect(),
    })
}

/// Validates and starts Envoy; [`wait_ready`] waits for it.
///
/// # Errors
/// Envoy refuses the configuration or can't be started.
pub fn start(
    layout: &Layout,
    launch: Launch,
    secrets: &Secrets,
    progress: &Progress,
) -> Result<Running> {
    validate(layout, &launch.program, &configuration_file(layout), secrets, progress)?;
    launch.start(layout)
}

/// Waits until Lictor says at the public address that it can serve.
///
/// # Errors
/// Envoy ended or is not ready in time.
pub fn wait_ready(layout: &Layout, part: &Running, pki: &Pki, progress: &Progress) -> Result<()> {
    let client = TlsClient::trusting(&pki.ca)?;
    ready::wait(part, READY_LIMIT, progress, || probe(layout, &client))
}

/// Whether Lictor can serve now.
///
/// # Errors
/// What was wanted and what was seen.
pub fn probe(layout: &Layout, client: &TlsClient) -> std::result::Result<(), String> {
    let url = format!("{}{READY_PATH}", layout.public_url());
    let answer = client.get(layout.ports.https, PREFECT_HOST, READY_PATH);
    ready::expect_status(&url, 200, &answer)
}

/// Lictor's secrets: the environment is the only way in, since Envoy's configuration dump shows
/// everything that stands in the configuration.
fn environment(secrets: &Secrets) -> Vec<(String, String)> {
    [
        ("LICTOR_CLIENT_SECRET", &secrets.client_secret),
        ("LICTOR_COOKIE_KEYS", &secrets.cookie_key),
        ("LICTOR_PREFECT_AUTH_STRING", &secrets.prefect_auth_string),
    ]
    .map(|(name, value)| (name.to_owned(), value.clone()))
    .to_vec()
}
