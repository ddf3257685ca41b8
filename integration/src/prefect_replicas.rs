//! Prefect Server as Prefect means it for production: replicas that serve the API alone and one
//! process of services, on one PostgreSQL and one Redis.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::run_logged;
use crate::error::Result;
use crate::launch::Launch;
use crate::layout::{Layout, make_dir};
use crate::postgres::Postgres;
use crate::prefect;
use crate::progress::Progress;
use crate::redis::Redis;
use crate::secrets::Secrets;

/// Name of the part that runs the services.
pub const SERVICES: &str = "prefect-services";

/// What all processes of one Prefect share.
#[derive(Clone)]
pub struct Replicas<'a> {
    /// The virtual environment of Prefect.
    pub venv: &'a Path,
    /// Where everything is stored.
    pub postgres: &'a Postgres,
    /// What the processes tell each other by.
    pub redis: &'a Redis,
    /// With Prefect's own shared secret.
    pub secrets: &'a Secrets,
}

impl Replicas<'_> {
    /// Brings the database to this version's schema: once, before any process starts.
    ///
    /// # Errors
    /// Prefect refuses; the log's last lines say why.
    pub fn migrate(&self, layout: &Layout, progress: &Progress) -> Result<()> {
        const NAME: &str = "prefect-upgrade";
        let launch = self.launch(layout, NAME, &["server", "database", "upgrade", "-y"])?;
        let mut command = Command::new(&launch.program);
        command
            .args(&launch.args)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(launch.env)
            .current_dir(&launch.folder);
        run_logged(command, "prefect server database upgrade", &layout.log(NAME), progress, || ())
    }

    /// A replica that serves the API at the layout's port of Prefect, under a name of its own.
    ///
    /// # Errors
    /// Its folder can't be made.
    pub fn api(&self, layout: &Layout, part: &'static str) -> Result<Launch> {
        let port = layout.ports.prefect.to_string();
        let args = ["server", "start", "--no-services", "--host", "127.0.0.1", "--port", &port];
        self.launch(layout, part, &args)
    }

    /// The process that runs the services: scheduler, event persister, automations and others.
    ///
    /// # Errors
    /// Its folder can't be made.
    pub fn services(&self, layout: &Layout) -> Result<Launch> {
        self.launch(layout, SERVICES, &["server", "services", "start"])
    }

    fn launch(&self, layout: &Layout, part: &'static str, args: &[&str]) -> Result<Launch> {
        let folder: PathBuf = layout.state.join(part);
        make_dir(&folder)?;
        let mut env = prefect::environment(&folder, self.postgres.url(), self.secrets);
        env.extend(self.shared().map(|(name, value)| (name.to_owned(), value)));
        Ok(Launch {
            part,
            program: self.venv.join("bin/python"),
            args: ["-m", "prefect"].iter().chain(args).map(|arg| (*arg).to_owned()).collect(),
            env,
            // Prefect reads .env, prefect.toml and pyproject.toml of its working folder.
            folder,
            inputs: Vec::new(),
        })
    }

    /// What makes them one server, as `docs/operations.md` has it.
    fn shared(&self) -> [(&'static str, String); 13] {
        let Redis { port, password } = self.redis;
        [
            ("PREFECT_API_DATABASE_MIGRATE_ON_START", "false".to_owned()),
            ("PREFECT_MESSAGING_BROKER", "prefect_redis.messaging".to_owned()),
            ("PREFECT_MESSAGING_CACHE", "prefect_redis.messaging".to_owned()),
            ("PREFECT_SERVER_EVENTS_CAUSAL_ORDERING", "prefect_redis.ordering".to_owned()),
            ("PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE", "prefect_redis.lease_storage".to_owned()),
            (
                "PREFECT_SERVER_WORKER_CHANNEL_CLEANUP_QUEUE_STORAGE",
                "prefect_redis.cleanup_queue".to_owned(),
            ),
            ("PREFECT_SERVER_DOCKET_URL", self.redis.url()),
            ("PREFECT_REDIS_MESSAGING_HOST", "127.0.0.1".to_owned()),
            ("PREFECT_REDIS_MESSAGING_PORT", port.to_string()),
            ("PREFECT_REDIS_MESSAGING_PASSWORD", password.clone()),
            // Its own, and not that of the messages.
            ("PREFECT_REDIS_WORKER_CLEANUP_QUEUE_HOST", "127.0.0.1".to_owned()),
            ("PREFECT_REDIS_WORKER_CLEANUP_QUEUE_PORT", port.to_string()),
            ("PREFECT_REDIS_WORKER_CLEANUP_QUEUE_PASSWORD", password.clone()),
        ]
    }
}
