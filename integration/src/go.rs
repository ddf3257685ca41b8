//! Programs in Go, each pinned with all that it is built from by `go.mod` and `go.sum` in
//! `integration/locks`. Go itself is pinned there, too.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::cache::Cache;
use crate::command::run_logged;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::progress::Progress;
use crate::tools::{Installer, Python};

/// A program: the name of its folder of `integration/locks`, of its package, and how long its build
/// takes.
struct Program {
    name: &'static str,
    package: &'static str,
    takes: &'static str,
}

const OAUTH2_PROXY: Program = Program {
    name: "oauth2-proxy",
    package: "github.com/oauth2-proxy/oauth2-proxy/v7",
    takes: "about a minute",
};

const TRAEFIK: Program = Program {
    name: "traefik",
    package: "github.com/traefik/traefik/v3/cmd/traefik",
    takes: "several minutes",
};

/// oauth2-proxy, which Lictor replaces: the program.
///
/// # Errors
/// A download broke or has another hash than the lock files say.
pub fn oauth2_proxy(layout: &Layout, cache: &Cache, progress: &Progress) -> Result<PathBuf> {
    OAUTH2_PROXY.built(layout, cache, progress)
}

/// Traefik, a proxy that can be in front of Envoy: the program.
///
/// # Errors
/// A download broke or has another hash than the lock files say.
pub fn traefik(layout: &Layout, cache: &Cache, progress: &Progress) -> Result<PathBuf> {
    TRAEFIK.built(layout, cache, progress)
}

impl Program {
    fn built(&self, layout: &Layout, cache: &Cache, progress: &Progress) -> Result<PathBuf> {
        let name = self.name;
        let locks = layout.checkout.join("integration/locks");
        let read = |file: &str| {
            let path = locks.join(file);
            fs::read(&path).map_err(|cause| Error::file("read", &path, &cause))
        };
        let module = ["go.mod", "go.sum", "tools.go"].map(|file| read(&format!("{name}/{file}")));
        let [module, sums, tools] = module;
        let key = [module?, sums?, tools?, read("go.txt")?];
        let key: Vec<&[u8]> = key.iter().map(Vec::as_slice).collect();
        let folder = cache.entry(name, &key, progress, |folder| {
            let installer = Installer::bootstrap(layout, cache, &Python::find()?, progress)?;
            let go = installer.go(progress)?;
            let step = progress.step(name, &format!("building, {}", self.takes));
            let mut build = Command::new(go);
            // Whatever Go keeps is of no use afterwards.
            let work = folder.join("work");
            build
                .args(["build", "-mod=readonly", "-modcacherw", "-trimpath", "-ldflags=-s -w"])
                .arg("-o")
                .arg(folder.join(name))
                .arg(self.package)
                .env("GOTOOLCHAIN", "local")
                .env("GOMODCACHE", work.join("modules"))
                .env("GOCACHE", work.join("build"))
                .current_dir(locks.join(name));
            let log = layout.logs().join(format!("build-{name}.log"));
            run_logged(build, "go build", &log, progress, || ())?;
            fs::remove_dir_all(&work).map_err(|cause| Error::file("remove", &work, &cause))?;
            step.done("built");
            Ok(())
        })?;
        Ok(folder.join(name))
    }
}
