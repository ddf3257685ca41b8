//! Packages of npm's, each pinned with its hash by a lock file in `integration/locks`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::cache::Cache;
use crate::command::{output_of, run_logged};
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::progress::Progress;

/// The two files that `npm ci` reads.
const FILES: [&str; 2] = ["package.json", "package-lock.json"];

/// axe-core, which finds what keeps people from using a page: the script to put into it.
///
/// # Errors
/// npm is missing, or a download broke or has another hash than the lock file says.
pub fn axe(layout: &Layout, cache: &Cache, progress: &Progress) -> Result<PathBuf> {
    let folder = install("axe", layout, cache, progress)?;
    Ok(folder.join("node_modules/axe-core/axe.min.js"))
}

/// oidc-provider, a certified OpenID provider: the folder with its `node_modules`.
///
/// # Errors
/// As [`axe`].
pub fn oidc_provider(layout: &Layout, cache: &Cache, progress: &Progress) -> Result<PathBuf> {
    install("oidc-provider", layout, cache, progress)
}

/// Installs what `integration/locks/<name>` pins; the folder with its `node_modules`.
fn install(name: &str, layout: &Layout, cache: &Cache, progress: &Progress) -> Result<PathBuf> {
    let locks = layout.checkout.join("integration/locks").join(name);
    let files = FILES.map(|file| locks.join(file)).map(|path| {
        fs::read(&path).map_err(|cause| Error::file("read", &path, &cause)).map(|text| (path, text))
    });
    let [package, lock] = files;
    let (package, lock) = (package?, lock?);
    cache.entry(name, &[&package.1, &lock.1], progress, |folder| {
        if output_of(Command::new("npm").arg("--version")).is_none() {
            return Err(Error::new("npm is not on the PATH")
                .wanted("Node.js 20 or newer with npm")
                .remedy("install Node.js"));
        }
        let step = progress.step(name, "installing with npm");
        for (path, _) in [&package, &lock] {
            let to = folder.join(path.file_name().unwrap_or_default());
            fs::copy(path, &to).map_err(|cause| Error::file("write", &to, &cause))?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"])
            .arg("--cache")
            .arg(cache.folder("npm"))
            .current_dir(folder);
        let log = layout.logs().join(format!("install-{name}.log"));
        run_logged(npm, "npm ci", &log, progress, || ())
            .map_err(|error| if error.is_cancelled() { error } else { explain(error) })?;
        step.done("installed");
        Ok(())
    })
}

fn explain(error: Error) -> Error {
    error.remedy(
        "check the network and run it again (where hashes differ, something on the way changes files)",
    )
}
