//! Keycloak with the realm of `compose/keycloak/realm-prefect.json`.
//!
//! The same file serves docker compose. Keycloak fills these placeholders of it from its
//! environment at import (JSON has no comments, so they are listed here):
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `LICTOR_CLIENT_SECRET` | none | secret of the login client `prefect` |
//! | `ETL_WORKER_CLIENT_SECRET` | none | secret of the service account `etl-worker` |
//! | `LICTOR_PUBLIC_URL` | `https://prefect.localhost:8443` | origin of Lictor for browsers |
//! | `LICTOR_BACKCHANNEL_URL` | `https://127.0.0.1:8443` | origin of Lictor for Keycloak itself |
//!
//! Keycloak does not refuse a placeholder without a value: it takes its text as it stands, here
//! as the secret. Whoever starts Keycloak must see to it that both secrets are set.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::download::{KEYCLOAK_24, Release};
use crate::error::{Error, Result};
use crate::http;
use crate::launch::Launch;
use crate::layout::{Layout, REALM, make_dir, write_private};
use crate::pki::Pki;
use crate::process::{Running, file_digest};
use crate::progress::Progress;
use crate::ready;
use crate::secrets::Secrets;

/// Name of the part.
pub const PART: &str = "keycloak";
/// The administrator of the master realm.
pub const ADMIN: &str = "admin";

/// A first start on a busy machine with two cores.
const READY_LIMIT: Duration = Duration::from_secs(240);

/// How Keycloak is to be started: from `home` (the built distribution) with `java_home`.
///
/// Prepares its folder. Changed imports only count for an empty database, so a changed realm file
/// or secret empties it, and that is said.
///
/// # Errors
/// A file can't be read or written.
pub fn launch(
    layout: &Layout,
    home: &Path,
    java_home: &Path,
    release: &Release,
    secrets: &Secrets,
    pki: &Pki,
) -> Result<Launch> {
    let realm = layout.checkout.join("compose/keycloak/realm-prefect.json");
    let folder = own_home(layout, home)?;
    let https = layout.ports.https;
    let old = release.version == KEYCLOAK_24.version;
    let [admin, password] = if old {
        ["KEYCLOAK_ADMIN", "KEYCLOAK_ADMIN_PASSWORD"]
    } else {
        ["KC_BOOTSTRAP_ADMIN_USERNAME", "KC_BOOTSTRAP_ADMIN_PASSWORD"]
    };
    let env = [
        ("JAVA_HOME", java_home.to_string_lossy().into_owned()),
        // The first compiler stage alone: half the CPU time of a start.
        ("JAVA_OPTS_APPEND", "-XX:TieredStopAtLevel=1".to_owned()),
        (admin, ADMIN.to_owned()),
        (password, secrets.keycloak_admin_password.clone()),
        ("LICTOR_CLIENT_SECRET", secrets.client_secret.clone()),
        ("ETL_WORKER_CLIENT_SECRET", secrets.worker_client_secret.clone()),
        ("LICTOR_PUBLIC_URL", layout.public_url()),
        ("LICTOR_BACKCHANNEL_URL", format!("https://127.0.0.1:{https}")),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    let database = folder.join("data/kc");
    let mut args = vec![
        "start".into(),
        "--optimized".into(),
        "--import-realm".into(),
        "--http-enabled=true".into(),
        "--http-host=127.0.0.1".into(),
        format!("--http-port={}", layout.ports.keycloak),
        // Back-channel logout goes to Envoy's listener.
        format!("--truststore-paths={}", pki.ca.display()),
        format!("--db-url=jdbc:h2:file:{};NON_KEYWORDS=VALUE", database.display()),
        format!("-Dkc.home.dir={}", folder.display()),
    ];
    args.extend(names(layout, old));
    Ok(Launch {
        part: PART,
        program: home.join("bin/kc.sh"),
        args,
        env: env.to_vec(),
        folder,
        inputs: vec![file_digest(&realm), file_digest(&pki.ca)],
    })
}

/// The arguments for its names, and for what is reached by them. Discovery that is fetched inside
/// names inside addresses for tokens and keys, in old and new versions.
fn names(layout: &Layout, old: bool) -> Vec<String> {
    if old {
        return vec![format!("--hostname-url={}", layout.keycloak_url()), "--proxy=edge".into()];
    }
    vec![
        // Without it, cluster ports are opened on every interface.
        "--cache=local".into(),
        format!("--http-management-port={}", layout.ports.keycloak_management),
        "--http-management-host=127.0.0.1".into(),
        format!("--hostname={}", layout.keycloak_url()),
        "--hostname-backchannel-dynamic=true".into(),
        "--proxy-headers=xforwarded".into(),
    ]
}

/// Puts the realm file in place before a start; empties the database if what would be imported has
/// changed. Returns whether it did. Keycloak must not be running.
///
/// # Errors
/// A file can't be read or written.
pub fn prepare_import(layout: &Layout, launch: &Launch, secrets: &Secrets) -> Result<bool> {
    let source = layout.checkout.join("compose/keycloak/realm-prefect.json");
    let realm = fs::read(&source).map_err(|cause| Error::file("read", &source, &cause))?;
    let data = launch.folder.join("data");
    let import = data.join("import");
    let note = layout.state.join("keycloak/import.key");
    let key = crate::cache::short_key(&[
        &realm,
        secrets.client_secret.as_bytes(),
        secrets.worker_client_secret.as_bytes(),
        secrets.keycloak_admin_password.as_bytes(),
        layout.public_url().as_bytes(),
    ]);
    let seen = fs::read_to_string(&note).ok();
    let stale = seen.as_deref() != Some(key.as_str());
    let emptied = stale && data.join("kc.mv.db").exists();
    if stale && data.exists() {
        fs::remove_dir_all(&data).map_err(|cause| Error::file("empty", &data, &cause))?;
    }
    make_dir(&import)?;
    write_private(&import.join("realm-prefect.json"), &realm)?;
    write_private(&note, key.as_bytes())?;
    Ok(emptied)
}

/// Starts Keycloak; [`wait_ready`] waits for it.
///
/// # Errors
/// It can't be started, or its files can't be written.
pub fn start(
    layout: &Layout,
    launch: Launch,
    secrets: &Secrets,
    progress: &Progress,
) -> Result<Running> {
    if prepare_import(layout, &launch, secrets)? {
        progress.say(
            "keycloak: the realm file or a secret changed, so its development data was made anew",
        );
    }
    launch.start(layout)
}

/// Waits until the imported realm answers.
///
/// # Errors
/// Keycloak ended or is not ready in time.
pub fn wait_ready(layout: &Layout, part: &Running, progress: &Progress) -> Result<()> {
    ready::wait(part, READY_LIMIT, progress, || probe(layout))
}

/// Whether the realm answers now.
///
/// # Errors
/// What was wanted and what was seen.
pub fn probe(layout: &Layout) -> std::result::Result<(), String> {
    let path = format!("/realms/{REALM}/.well-known/openid-configuration");
    let url = format!("{}{path}", layout.keycloak_internal_url());
    ready::expect_status(&url, 200, &http::get(layout.ports.keycloak, &path, &[]))
}

/// A Keycloak home of this stack's own, its program folders linked from the shared one: Keycloak
/// takes imports from `<home>/data/import` alone, and writes to `<home>/data`.
fn own_home(layout: &Layout, shared: &Path) -> Result<PathBuf> {
    let folder = layout.state.join("keycloak/home");
    make_dir(&folder)?;
    for name in ["bin", "conf", "lib", "providers", "themes", "version.txt"] {
        let link = folder.join(name);
        let target = shared.join(name);
        if fs::read_link(&link).is_ok_and(|seen| seen == target) {
            continue;
        }
        let _absent = fs::remove_file(&link);
        symlink(&target, &link).map_err(|cause| Error::file("link", &link, &cause))?;
    }
    Ok(folder)
}
