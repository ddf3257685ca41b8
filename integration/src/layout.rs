//! Where everything of one stack lies. A value that is passed around, so that a test can run a
//! second stack beside the first.

use std::env;
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::ports::Ports;

/// Host name of Prefect behind Lictor, for browsers.
pub const PREFECT_HOST: &str = "prefect.localhost";
/// Host name of Keycloak, for browsers.
pub const KEYCLOAK_HOST: &str = "keycloak.localhost";
/// The realm of `compose/keycloak/realm-prefect.json`.
pub const REALM: &str = "prefect";

/// The folders and ports of one stack.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The checkout: realm file, Envoy template, lock files.
    pub checkout: PathBuf,
    /// Everything that belongs to this stack alone; `.lictor` for `make up`.
    pub state: PathBuf,
    /// The ports of its parts.
    pub ports: Ports,
}

impl Layout {
    /// A stack with its state in a given folder, which is created (mode 0700).
    ///
    /// # Errors
    /// The folder can't be made.
    pub fn new(checkout: &Path, state: &Path, ports: Ports) -> Result<Self> {
        make_dir(state)?;
        let state = fs::canonicalize(state).map_err(|cause| Error::file("open", state, &cause))?;
        let layout = Self { checkout: checkout.to_path_buf(), state, ports };
        make_dir(&layout.logs())?;
        make_dir(&layout.run())?;
        Ok(layout)
    }

    /// The stack of `make up`: state in `<checkout>/.lictor`, ports from the environment.
    ///
    /// # Errors
    /// As [`Layout::new`], or a `LICTOR_PORT_*` that is no port.
    pub fn of_checkout(checkout: &Path) -> Result<Self> {
        let ports = Ports::from_lookup(|name| env::var(name).ok())?;
        Self::new(checkout, &checkout.join(".lictor"), ports)
    }

    /// Log files, one a part, and Envoy's access log.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    /// The log of one part.
    #[must_use]
    pub fn log(&self, part: &str) -> PathBuf {
        self.logs().join(format!("{part}.log"))
    }

    /// One record a running part.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        self.state.join("run")
    }

    /// The CA and the certificates.
    #[must_use]
    pub fn pki(&self) -> PathBuf {
        self.state.join("pki")
    }

    /// What scripts and tests read.
    #[must_use]
    pub fn stack_file(&self) -> PathBuf {
        self.state.join("stack.json")
    }

    /// Origin of Prefect behind Lictor, for browsers.
    #[must_use]
    pub fn public_url(&self) -> String {
        format!("https://{PREFECT_HOST}:{}", self.ports.https)
    }

    /// Origin of Keycloak, for browsers.
    #[must_use]
    pub fn keycloak_url(&self) -> String {
        format!("https://{KEYCLOAK_HOST}:{}", self.ports.https)
    }

    /// Origin of Keycloak, for programs on this machine.
    #[must_use]
    pub fn keycloak_internal_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.keycloak)
    }

    /// The issuer in every token: what browsers use.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("{}/realms/{REALM}", self.keycloak_url())
    }

    /// The same realm, where Envoy reaches it.
    #[must_use]
    pub fn internal_issuer(&self) -> String {
        format!("{}/realms/{REALM}", self.keycloak_internal_url())
    }

    /// Origin of Prefect Server itself, which only Envoy should use.
    #[must_use]
    pub fn prefect_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.prefect)
    }

    /// Host name and port of the entrance for machines, whose resolver does not know `*.localhost`.
    #[must_use]
    pub fn machine_host(&self) -> String {
        format!("localhost:{}", self.ports.https)
    }
}

/// The checkout that contains `from`.
///
/// # Errors
/// `from` is not inside one.
pub fn find_checkout(from: &Path) -> Result<PathBuf> {
    from.ancestors()
        .find(|folder| folder.join("integration/locks/tools.txt").is_file())
        .map(Path::to_path_buf)
        .ok_or_else(|| {
            Error::new(format!("{} is not inside a checkout of Lictor", from.display()))
                .wanted("a folder with integration/locks/tools.txt in it or above it")
                .remedy("cd into the checkout")
        })
}

/// Makes a folder that only its owner can enter.
///
/// # Errors
/// The folder can't be made.
pub fn make_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|cause| Error::file("make the folder", path, &cause))
}

/// Writes a file that only its owner can read, by rename: a reader never sees half of it.
///
/// # Errors
/// The file can't be written.
pub fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    use std::io::Write as _;

    let temporary = path.with_extension("new");
    let write = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        // `mode` only counts for a file that is made: one left over may be readable by others.
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(content)?;
        fs::rename(&temporary, path)
    };
    write().map_err(|cause| Error::file("write", path, &cause))
}
