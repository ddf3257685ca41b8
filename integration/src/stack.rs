//! The whole stack: what is started in which order, what is left alone, what is undone.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crate::cache::{Cache, lock};
use crate::error::{Error, Result};
use crate::launch::Launch;
use crate::layout::Layout;
use crate::pki::Pki;
use crate::ports::Ports;
use crate::process::{Running, stop_unrecorded};
use crate::progress::Progress;
use crate::secrets::Secrets;
use crate::stack_file::StackFile;
use crate::tools::{Installer, PREFECT_VERSIONS, Python, Tools};
use crate::{download, envoy, keycloak, module, prefect};

/// The parts in the order in which they are stopped: first the one that sends requests.
pub const PARTS: [&str; 3] = [envoy::PART, prefect::PART, keycloak::PART];

/// What `up` is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// One of [`PREFECT_VERSIONS`].
    pub prefect: String,
    /// A built module; without one, the filter is built.
    pub module: Option<PathBuf>,
}

impl Options {
    /// Checks the version.
    ///
    /// # Errors
    /// There is no lock file for it.
    pub fn check(&self) -> Result<()> {
        if PREFECT_VERSIONS.contains(&self.prefect.as_str()) {
            return Ok(());
        }
        Err(Error::new(format!("Prefect {} is not prepared", self.prefect))
            .wanted(format!("one of {}", PREFECT_VERSIONS.join(", "))))
    }
}

/// Everything that is downloaded.
#[derive(Clone, Debug)]
pub struct Installed {
    /// Envoy and Java.
    pub tools: Tools,
    /// Keycloak, built.
    pub keycloak: PathBuf,
    /// The virtual environment of one Prefect version.
    pub prefect: PathBuf,
}

impl Installed {
    /// Downloads what is not in the cache yet.
    ///
    /// # Errors
    /// A tool is missing, or a download broke.
    pub fn fetch(layout: &Layout, prefect_version: &str, progress: &Progress) -> Result<Self> {
        let cache = Cache::of_user()?;
        let installer = Installer::bootstrap(layout, &cache, &Python::find()?, progress)?;
        let (tools, prefect) = both(
            progress,
            || {
                let tools = installer.tools(progress)?;
                let keycloak =
                    download::keycloak(layout, &cache, &tools, &download::KEYCLOAK, progress)?;
                Ok((tools, keycloak))
            },
            || installer.prefect(prefect_version, progress),
        )?;
        let (tools, keycloak) = tools;
        Ok(Self { tools, keycloak, prefect })
    }
}

/// Brings the stack up, or finds that it is. Whatever fails, what this call started is stopped.
///
/// # Errors
/// What was seen, wanted and what can be done.
pub fn up(layout: &Layout, options: &Options, progress: &Progress) -> Result<StackFile> {
    options.check()?;
    let _lock = lock(&layout.state.join("lock"), progress)?;
    let python = Python::find()?;
    if options.module.is_none() {
        module::check_toolchain(layout)?;
    }
    let up = Up { layout, options, progress, python, started: Mutex::default() };
    up.require_free_ports()?;
    let begun = Instant::now();
    up.run()
        .inspect(|_| {
            let seconds = begun.elapsed().as_secs_f64();
            progress.say(&format!("{:<20} {:<44} {seconds:>6.1} s", "stack", "ready"));
        })
        .inspect_err(|_| up.roll_back())
}

/// Stops every part of the stack, whatever state it is in. Says how many were running.
///
/// # Errors
/// A process does not end.
pub fn down(layout: &Layout, progress: &Progress) -> Result<usize> {
    let _lock = lock(&layout.state.join("lock"), progress)?;
    let mut stopped = 0;
    for part in PARTS {
        if let Some(running) = Running::find(layout, part) {
            let step = progress.step(part, "stopping");
            let alive = running.is_alive();
            running.stop()?;
            if alive {
                stopped += 1;
                step.done("stopped");
            }
        }
        stop_unrecorded(layout, part)?;
    }
    let _absent = fs::remove_file(layout.stack_file());
    Ok(stopped)
}

struct Up<'a> {
    layout: &'a Layout,
    options: &'a Options,
    progress: &'a Progress,
    python: Python,
    started: Mutex<Vec<Running>>,
}

impl Up<'_> {
    fn run(&self) -> Result<StackFile> {
        let (layout, progress) = (self.layout, self.progress);
        let secrets = Secrets::open(layout)?;
        let pki = Pki::open(layout)?;
        let cache = Cache::of_user()?;
        let (module, (tools, venv)) = both(
            progress,
            || match &self.options.module {
                Some(path) => Ok(path.clone()),
                None => module::build(layout, module::FILTER, progress),
            },
            || {
                let installer = Installer::bootstrap(layout, &cache, &self.python, progress)?;
                both(
                    progress,
                    || {
                        let tools = installer.tools(progress)?;
                        let home = download::keycloak(
                            layout,
                            &cache,
                            &tools,
                            &download::KEYCLOAK,
                            progress,
                        )?;
                        self.keycloak(&home, &tools, &secrets, &pki)?;
                        Ok(tools)
                    },
                    || self.prefect(&installer, &secrets),
                )
            },
        )?;
        let envoy = self.envoy(&tools, &module, &secrets, &pki)?;
        let version = &self.options.prefect;
        let file = StackFile::of(layout, &secrets, &pki, version, &venv, &envoy);
        file.save(layout)?;
        Ok(file)
    }

    fn keycloak(&self, home: &Path, tools: &Tools, secrets: &Secrets, pki: &Pki) -> Result<()> {
        let (layout, progress) = (self.layout, self.progress);
        let launch =
            keycloak::launch(layout, home, &tools.java_home, &download::KEYCLOAK, secrets, pki)?;
        let shown = format!("{} {}", keycloak::PART, download::KEYCLOAK.version);
        let step = progress.step(&shown, "starting");
        let ports = layout.ports;
        let named =
            [(ports.keycloak, "keycloak"), (ports.keycloak_management, "keycloak_management")];
        let (part, outcome) = self
            .ensure(launch, &named, |launch| keycloak::start(layout, launch, secrets, progress))?;
        keycloak::wait_ready(layout, &part, progress)?;
        step.done(outcome);
        Ok(())
    }

    fn prefect(&self, installer: &Installer, secrets: &Secrets) -> Result<PathBuf> {
        let (layout, progress) = (self.layout, self.progress);
        let version = &self.options.prefect;
        let venv = installer.prefect(version, progress)?;
        let launch = prefect::launch(layout, &venv, version, secrets)?;
        let step = progress.step(&format!("{} {version}", prefect::PART), "starting");
        let named = [(layout.ports.prefect, "prefect")];
        let (part, outcome) = self.ensure(launch, &named, |launch| launch.start(layout))?;
        prefect::wait_ready(layout, &part, version, secrets, progress)?;
        step.done(outcome);
        Ok(venv)
    }

    fn envoy(&self, tools: &Tools, module: &Path, secrets: &Secrets, pki: &Pki) -> Result<Running> {
        let (layout, progress) = (self.layout, self.progress);
        let lictor = envoy::lictor_configuration(layout, secrets);
        let launch = envoy::launch(layout, &tools.envoy, &lictor, module, secrets, pki)?;
        let shown = format!("{} {}", envoy::PART, crate::tools::ENVOY_VERSION);
        let step = progress.step(&shown, "starting, with Lictor");
        let named = [(layout.ports.https, "https"), (layout.ports.envoy_admin, "envoy_admin")];
        if !self.is_current(&launch) {
            // While the old one still runs: a bad module does not end a good stack.
            let configuration = envoy::configuration_file(layout);
            envoy::validate(layout, &tools.envoy, &configuration, secrets, progress)?;
        }
        let (part, outcome) = self.ensure(launch, &named, |launch| launch.start(layout))?;
        envoy::wait_ready(layout, &part, pki, progress)?;
        step.done(outcome);
        Ok(part)
    }

    fn is_current(&self, launch: &Launch) -> bool {
        Running::find(self.layout, launch.part).is_some_and(|running| {
            running.is_alive() && running.fingerprint() == launch.fingerprint()
        })
    }

    /// Leaves a part alone that runs as it would be started now; else (re)starts it.
    fn ensure(
        &self,
        launch: Launch,
        ports: &[(u16, &str)],
        start: impl FnOnce(Launch) -> Result<Running>,
    ) -> Result<(Running, &'static str)> {
        let mut outcome = "ready";
        if let Some(running) = Running::find(self.layout, launch.part) {
            if self.is_current(&launch) {
                return Ok((running, "was running, ready"));
            }
            if running.is_alive() {
                outcome = "changed, restarted, ready";
            }
            running.stop()?;
        }
        stop_unrecorded(self.layout, launch.part)?;
        for (port, name) in ports {
            Ports::require_free(*port, name)?;
        }
        self.progress.check()?;
        let part = start(launch)?;
        if let Some(again) = Running::find(self.layout, part.part()) {
            self.started.lock().unwrap_or_else(PoisonError::into_inner).push(again);
        }
        Ok((part, outcome))
    }

    /// Before anything is downloaded: it would be a pity to wait for a start that can't be.
    fn require_free_ports(&self) -> Result<()> {
        let ports = self.layout.ports;
        let of = |part: &str| match part {
            envoy::PART => vec![(ports.https, "https"), (ports.envoy_admin, "envoy_admin")],
            prefect::PART => vec![(ports.prefect, "prefect")],
            _ => vec![
                (ports.keycloak, "keycloak"),
                (ports.keycloak_management, "keycloak_management"),
            ],
        };
        for part in PARTS {
            if Running::find(self.layout, part).is_some_and(|running| running.is_alive()) {
                continue;
            }
            // Left over from a run that was killed: ours to clear away.
            stop_unrecorded(self.layout, part)?;
            for (port, name) in of(part) {
                Ports::require_free(port, name)?;
            }
        }
        Ok(())
    }

    fn roll_back(&self) {
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        if !started.is_empty() {
            let _absent = fs::remove_file(self.layout.stack_file());
        }
        for part in started.iter().rev() {
            if let Err(error) = part.stop() {
                self.progress.say(&error.to_string());
            }
        }
    }
}

/// Runs two pieces of work side by side. When one fails the other is asked to give up; the error
/// is that of the one that failed by itself.
fn both<A: Send, B: Send>(
    progress: &Progress,
    a: impl FnOnce() -> Result<A> + Send,
    b: impl FnOnce() -> Result<B>,
) -> Result<(A, B)> {
    let (a, b) = thread::scope(|scope| {
        let a = scope.spawn(|| a().inspect_err(|_| progress.cancel()));
        let b = b().inspect_err(|_| progress.cancel());
        let a = a.join().unwrap_or_else(|_| Err(Error::new("a thread of lictor-stack crashed")));
        (a, b)
    });
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(a), Err(b)) => Err(if a.is_cancelled() { b } else { a }),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}
