//! Programs in Go, each pinned with all that it is built from by `go.mod` and `go.sum` in
//! `integration/locks`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::cache::Cache;
use crate::command::{output_of, run_logged};
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::progress::Progress;

/// The version of oauth2-proxy that the lock file pins, as `--version` prints it.
pub const OAUTH2_PROXY_VERSION: &str = "v7.15.6";

/// oauth2-proxy, which Lictor replaces: the program.
///
/// # Errors
/// Go is missing, or a download broke or has another hash than the lock file says.
pub fn oauth2_proxy(layout: &Layout, cache: &Cache, progress: &Progress) -> Result<PathBuf> {
    let name = "oauth2-proxy";
    let locks = layout.checkout.join("integration/locks").join(name);
    let read = |file: &str| {
        let path = locks.join(file);
        fs::read(&path).map_err(|cause| Error::file("read", &path, &cause))
    };
    let (module, sums, tools) = (read("go.mod")?, read("go.sum")?, read("tools.go")?);
    let folder = cache.entry(name, &[&module, &sums, &tools], progress, |folder| {
        if output_of(Command::new("go").arg("version")).is_none() {
            return Err(Error::new("go is not on the PATH")
                .wanted("Go 1.26 or newer, which builds oauth2-proxy")
                .remedy("install Go (https://go.dev/dl)"));
        }
        let step = progress.step(name, "building with Go, about a minute");
        let mut go = Command::new("go");
        go.args(["build", "-mod=readonly", "-trimpath", "-ldflags"])
            .arg(format!(
                "-s -w -X github.com/oauth2-proxy/oauth2-proxy/v7/pkg/version.VERSION={OAUTH2_PROXY_VERSION}"
            ))
            .arg("-o")
            .arg(folder.join(name))
            .arg("github.com/oauth2-proxy/oauth2-proxy/v7")
            .env("GOTOOLCHAIN", "local")
            .current_dir(&locks);
        let log = layout.logs().join(format!("build-{name}.log"));
        run_logged(go, "go build", &log, progress, || ())?;
        step.done("built");
        Ok(())
    })?;
    Ok(folder.join(name))
}
