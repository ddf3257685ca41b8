//! PostgreSQL for one stack: its data in the stack's folder, a password of its own, no socket file.

use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::command::{output_of, run_logged};
use crate::error::{Error, Result};
use crate::launch::Launch;
use crate::layout::{Layout, make_dir, write_private};
use crate::process::Running;
use crate::progress::Progress;
use crate::ready;
use crate::secrets::token;

/// Name of the part.
pub const PART: &str = "postgres";

/// Where Debian and Ubuntu keep the programs: one folder a version, none of them on the `PATH`.
const DEBIAN: &str = "/usr/lib/postgresql";
/// The account that the packages make. `initdb` and `postgres` refuse to run as root.
const ACCOUNT: &str = "postgres";
/// Name of the database's owner.
const OWNER: &str = "prefect";

const READY_LIMIT: Duration = Duration::from_secs(60);

/// A PostgreSQL that can be started.
#[derive(Clone, Debug)]
pub struct Postgres {
    programs: PathBuf,
    account: Option<Account>,
    /// Holds the password and the data; owned by whoever runs PostgreSQL.
    folder: PathBuf,
    port: u16,
    password: String,
}

#[derive(Clone, Copy, Debug)]
struct Account {
    user: u32,
    group: u32,
}

impl Postgres {
    /// Makes an empty database, which listens on `port` once it is started.
    ///
    /// # Errors
    /// PostgreSQL is not installed; this is root and there is no account to run it; the data can't
    /// be made.
    pub fn create(layout: &Layout, port: u16, progress: &Progress) -> Result<Self> {
        let programs = programs()?;
        let account =
            if rustix::process::geteuid().is_root() { Some(Account::find()?) } else { None };
        let folder = layout.state.join(PART);
        let postgres = Self { programs, account, folder, port, password: token()? };
        postgres.make_folder(layout)?;
        let mut initdb = postgres.command("initdb");
        initdb
            .args(["--username", OWNER, "--auth", "scram-sha-256", "--pwfile"])
            .arg(postgres.password_file())
            .args(["--encoding", "UTF8", "--locale", "C", "--no-sync", "--pgdata"])
            .arg(postgres.data())
            .current_dir(&postgres.folder);
        run_logged(initdb, "initdb", &layout.log("initdb"), progress, || ())?;
        Ok(postgres)
    }

    fn make_folder(&self, layout: &Layout) -> Result<()> {
        make_dir(&self.folder)?;
        write_private(&self.password_file(), self.password.as_bytes())?;
        let Some(Account { user, group }) = self.account else { return Ok(()) };
        // Another account's way to its folder: it may pass, but not look around.
        let pass = fs::Permissions::from_mode(0o711);
        fs::set_permissions(&layout.state, pass)
            .map_err(|cause| Error::file("open", &layout.state, &cause))?;
        for path in [&self.folder, &self.password_file()] {
            chown(path, Some(user), Some(group))
                .map_err(|cause| Error::file("give away", path, &cause))?;
        }
        Ok(())
    }

    /// Where Prefect finds it. `initdb` makes a database of this name.
    #[must_use]
    pub fn url(&self) -> String {
        let Self { password, port, .. } = self;
        format!("postgresql+asyncpg://{OWNER}:{password}@127.0.0.1:{port}/postgres")
    }

    /// How it is to be started.
    #[must_use]
    pub fn launch(&self) -> Launch {
        let command = self.command("postgres");
        // SIGTERM lets it wait for its clients: they are to be stopped first. Nothing here has to
        // outlive a power cut.
        let settings = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=200",
            "fsync=off",
            "full_page_writes=off",
            "synchronous_commit=off",
        ];
        let port = format!("port={}", self.port);
        let fixed = command.get_args().map(|arg| arg.to_string_lossy().into_owned());
        Launch {
            part: PART,
            program: command.get_program().into(),
            args: fixed
                .chain(["-D".to_owned(), self.data().to_string_lossy().into_owned()])
                .chain(
                    settings
                        .into_iter()
                        .chain([port.as_str()])
                        .flat_map(|setting| ["-c".to_owned(), setting.to_owned()]),
                )
                .collect(),
            env: Vec::new(),
            folder: self.folder.clone(),
            inputs: Vec::new(),
        }
    }

    /// Waits until it takes connections.
    ///
    /// # Errors
    /// It ended or is not ready in time.
    pub fn wait_ready(&self, part: &Running, progress: &Progress) -> Result<()> {
        let port = self.port.to_string();
        ready::wait(part, READY_LIMIT, progress, || {
            let mut ask = Command::new(self.programs.join("pg_isready"));
            ask.args(["--host", "127.0.0.1", "--port", &port]);
            output_of(&mut ask).map(drop).ok_or_else(|| format!("connections at port {port}"))
        })
    }

    /// A program of PostgreSQL's, as the account that may run it.
    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let Some(Account { user, group }) = self.account else { return Command::new(program) };
        // It becomes the program: the pid that is started is the one to signal.
        let mut command = Command::new("setpriv");
        command
            .args([format!("--reuid={user}"), format!("--regid={group}")])
            .args(["--clear-groups", "--"])
            .arg(program);
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn password_file(&self) -> PathBuf {
        self.folder.join("password")
    }
}

impl Account {
    fn find() -> Result<Self> {
        let id = |of: &str| output_of(Command::new("id").args([of, ACCOUNT]))?.parse().ok();
        match (id("-u"), id("-g")) {
            (Some(user), Some(group)) => Ok(Self { user, group }),
            _ => Err(Error::new(format!("there is no account {ACCOUNT}"))
                .wanted("an account to run PostgreSQL, which refuses root")
                .remedy("install the package postgresql, or do not be root")),
        }
    }
}

/// The folder of the programs, the newest if there are several.
fn programs() -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    newest(Path::new(DEBIAN))
        .into_iter()
        .chain(env::split_paths(&path))
        .find(|folder| is_program(&folder.join("initdb")) && is_program(&folder.join("postgres")))
        .ok_or_else(|| {
            Error::new("PostgreSQL is not there")
                .wanted(format!("its programs in {DEBIAN}/<version>/bin or on the PATH"))
                .remedy("make setup")
        })
}

fn newest(folder: &Path) -> Option<PathBuf> {
    let versions =
        fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let newest =
        versions.filter_map(|version| Some((version.parse::<u32>().ok()?, version))).max()?.1;
    Some(folder.join(newest).join("bin"))
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let folder = env::temp_dir().join(format!("lictor-versions-{}", std::process::id()));
        for version in ["9", "15", "common"] {
            fs::create_dir_all(folder.join(version)).unwrap();
        }
        assert_eq!(newest(&folder), Some(folder.join("15/bin")));
        fs::remove_dir_all(&folder).unwrap();
    }
}
