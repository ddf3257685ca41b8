//! Prefect Server with SQLite, closed with its own shared secret, services included.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::Result;
use crate::http;
use crate::launch::Launch;
use crate::layout::{Layout, make_dir};
use crate::process::Running;
use crate::progress::Progress;
use crate::ready;
use crate::secrets::Secrets;

/// Name of the part.
pub const PART: &str = "prefect";

const READY_LIMIT: Duration = Duration::from_secs(240);

/// The data of one Prefect version. One folder each: an older Prefect can't open the database of
/// a newer one.
#[must_use]
pub fn data_folder(layout: &Layout, version: &str) -> PathBuf {
    layout.state.join(format!("prefect-{version}"))
}

/// How Prefect Server is to be started from its virtual environment `venv`.
///
/// `PREFECT_UI_API_URL` is left out on purpose: a default Prefect names an address in
/// `/ui-settings` that browsers can't reach, and Lictor is to mend that.
///
/// # Errors
/// Its folder can't be made.
pub fn launch(layout: &Layout, venv: &Path, version: &str, secrets: &Secrets) -> Result<Launch> {
    let folder = data_folder(layout, version);
    make_dir(&folder)?;
    let database = format!("sqlite+aiosqlite:///{}", folder.join("prefect.db").display());
    Ok(Launch {
        part: PART,
        program: venv.join("bin/python"),
        args: ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port"]
            .map(str::to_owned)
            .into_iter()
            .chain([layout.ports.prefect.to_string()])
            .collect(),
        env: environment(&folder, database, secrets),
        // Prefect reads .env, prefect.toml and pyproject.toml of its working folder.
        folder,
        inputs: vec![version.to_owned()],
    })
}

/// What every process of the server's finds in its environment. `folder` is that process's own.
pub(crate) fn environment(
    folder: &Path,
    database: String,
    secrets: &Secrets,
) -> Vec<(String, String)> {
    let home = folder.to_string_lossy().into_owned();
    [
        // Not the user's: it may hold profiles, and Prefect writes there.
        ("HOME", home.clone()),
        ("PREFECT_HOME", home.clone()),
        ("PREFECT_API_DATABASE_CONNECTION_URL", database),
        ("PREFECT_SERVER_MEMO_STORE_PATH", format!("{home}/memo_store.toml")),
        // By default the UI is copied into the package, which other stacks share.
        ("PREFECT_UI_STATIC_DIRECTORY", format!("{home}/ui")),
        ("PREFECT_SERVER_API_AUTH_STRING", secrets.prefect_auth_string.clone()),
        ("PREFECT_SERVER_ANALYTICS_ENABLED", "false".to_owned()),
        ("PREFECT_SERVER_LOGS_STREAM_OUT_ENABLED", "true".to_owned()),
        ("PREFECT_SERVER_LOGS_STREAM_PUBLISHING_ENABLED", "true".to_owned()),
        ("NO_COLOR", "1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// Waits until Prefect answers, takes its secret and is the wanted version.
///
/// # Errors
/// Prefect ended or is not ready in time.
pub fn wait_ready(
    layout: &Layout,
    part: &Running,
    version: &str,
    secrets: &Secrets,
    progress: &Progress,
) -> Result<()> {
    ready::wait(part, READY_LIMIT, progress, || {
        probe(layout, version, &secrets.prefect_auth_string)
    })
}

/// Whether Prefect does its work now. Its health answers without the secret, so the version is
/// asked for with it.
///
/// # Errors
/// What was wanted and what was seen.
pub fn probe(layout: &Layout, version: &str, auth_string: &str) -> std::result::Result<(), String> {
    let port = layout.ports.prefect;
    let url = |path: &str| format!("{}{path}", layout.prefect_url());
    ready::expect_status(&url("/api/health"), 200, &http::get(port, "/api/health", &[]))?;
    let path = "/api/admin/version";
    let basic = format!("Basic {}", STANDARD.encode(auth_string));
    let answer = http::get(port, path, &[("authorization", &basic)]);
    ready::expect_status(&url(path), 200, &answer)?;
    match answer {
        Ok(answer) if answer.body.contains(&format!("\"{version}\"")) => Ok(()),
        Ok(answer) => Err(format!("Prefect {version}; it says {}", answer.body.trim())),
        Err(cause) => Err(cause.to_string()),
    }
}
