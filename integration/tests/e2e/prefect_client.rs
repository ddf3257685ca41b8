//! Prefect's own client and worker as processes, and other versions of Prefect beside the shared
//! one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use lictor_integration::launch::Launch;
use lictor_integration::layout::{Layout, make_dir};
use lictor_integration::ports::Ports;
use lictor_integration::prefect;
use lictor_integration::process::Running;
use lictor_integration::stack::Installed;
use lictor_integration::tools::PREFECT_VERSIONS;

use crate::client::{Gate, Request, plain};
use crate::clock::starting;
use crate::gateway::{Gateway, Plan};
use crate::keycloak_admin::basic;
use crate::world::{checkout, eventually, new_layout, progress, stop, world};

/// A client's start alone takes seconds of computing.
const LIMIT: Duration = Duration::from_secs(180);

/// A gate with a Prefect of some version behind it.
pub struct Setup {
    pub version: String,
    pub python: PathBuf,
    pub api_url: String,
    /// What this version's client needs to be known on HTTP and every socket.
    pub credential: (&'static str, String),
    /// The same as `name:secret`.
    pub pair: String,
}

/// The shared stack.
pub fn newest() -> Setup {
    let stack = &world().stack;
    Setup {
        version: stack.prefect.version.clone(),
        python: stack.prefect.python.clone(),
        api_url: stack.machine.api_url.clone(),
        credential: ("PREFECT_API_AUTH_STRING", stack.machine.auth_string.clone()),
        pair: stack.machine.auth_string.clone(),
    }
}

/// A Prefect of some version, without a gate.
pub struct Server {
    pub port: u16,
    pub python: PathBuf,
}

/// Starts it once; the shared stack's version is there already.
pub fn server(version: &'static str) -> &'static Server {
    static SERVERS: [OnceLock<Server>; PREFECT_VERSIONS.len()] =
        [const { OnceLock::new() }; PREFECT_VERSIONS.len()];
    let at = PREFECT_VERSIONS.iter().position(|known| *known == version).expect("no such version");
    let start = || {
        let stack = &world().stack;
        if stack.prefect.version == version {
            return Server { port: stack.ports.prefect, python: stack.prefect.python.clone() };
        }
        let layout = new_layout(&format!("prefect-{version}"), Ports::unused().unwrap());
        let (progress, secrets) = (progress(), &world().secrets);
        let venv =
            Installed::fetch(&layout, version, &progress).unwrap_or_else(|e| panic!("{e}")).prefect;
        let launch = prefect::launch(&layout, &venv, version, secrets).unwrap();
        let running = launch.start(&layout).unwrap();
        prefect::wait_ready(&layout, &running, version, secrets, &progress)
            .unwrap_or_else(|e| panic!("{e}"));
        Server { port: layout.ports.prefect, python: venv.join("bin/python") }
    };
    SERVERS[at].get_or_init(|| starting(start))
}

/// One with settings of its own.
pub struct OwnServer {
    pub port: u16,
    /// The file of its database.
    pub database: PathBuf,
    pub python: PathBuf,
    version: String,
    layout: Layout,
    /// Where its API is.
    api: String,
    running: Running,
}

/// Starts one of the newest version; `api` is where its API is then.
pub fn server_with(name: &str, settings: &[(&str, &str)], api: &str) -> OwnServer {
    server_of(&world().stack.prefect.version, name, settings, api)
}

/// Starts one of some version. A setting with an empty value is taken away.
pub fn server_of(version: &str, name: &str, settings: &[(&str, &str)], api: &str) -> OwnServer {
    let layout = new_layout(name, Ports::unused().unwrap());
    starting(|| {
        let running = run(&layout, version, settings, api);
        let database = prefect::data_folder(&layout, version).join("prefect.db");
        let (port, python) = (layout.ports.prefect, venv(&layout, version).join("bin/python"));
        let (version, api) = (version.to_owned(), api.to_owned());
        OwnServer { port, database, python, version, layout, api, running }
    })
}

fn venv(layout: &Layout, version: &str) -> PathBuf {
    let installed = Installed::fetch(layout, version, &progress());
    installed.unwrap_or_else(|e| panic!("{e}")).prefect
}

fn run(layout: &Layout, version: &str, settings: &[(&str, &str)], api: &str) -> Running {
    let venv = venv(layout, version);
    let mut launch = prefect::launch(layout, &venv, version, &world().secrets).unwrap();
    launch.env.retain(|(name, _)| settings.iter().all(|(own, _)| own != name));
    let settings = settings.iter().filter(|(_, value)| !value.is_empty());
    launch.env.extend(settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let running = launch.start(layout).unwrap();
    eventually("Prefect with other settings", LIMIT, || {
        assert!(running.is_alive(), "Prefect has ended");
        let health = plain(layout.ports.prefect, &Request::get(format!("{api}/health")));
        health.ok().filter(|answer| answer.status == 200)
    });
    running
}

impl OwnServer {
    /// Ends it, and starts it with these settings on the same port and database.
    pub fn restart(&mut self, settings: &[(&str, &str)]) {
        stop(&self.running);
        self.running = run(&self.layout, &self.version, settings, &self.api);
    }
}

/// A Prefect of some version, with a gate of its own and the shared Keycloak.
pub struct Gated {
    pub gateway: Gateway,
    pub version: &'static str,
    python: PathBuf,
}

/// Starts it once.
pub fn gated(version: &'static str) -> &'static Gated {
    static GATED: [OnceLock<Gated>; PREFECT_VERSIONS.len()] =
        [const { OnceLock::new() }; PREFECT_VERSIONS.len()];
    let at = PREFECT_VERSIONS.iter().position(|known| *known == version).expect("no such version");
    GATED[at].get_or_init(|| {
        let server = server(version);
        let gateway = Plan::new(format!("gate-{version}").leak()).prefect(server.port).start();
        Gated { gateway, version, python: server.python.clone() }
    })
}

/// What a worker shows.
#[derive(Clone, Copy)]
pub enum Credential {
    ApiKey,
    /// Client credentials, which are exchanged.
    OfClient,
}

impl Credential {
    pub const fn name(self) -> &'static str {
        match self {
            Self::ApiKey => "API key",
            Self::OfClient => "client credentials",
        }
    }

    /// `name:secret`.
    pub fn pair(self) -> String {
        let world = world();
        match self {
            Self::ApiKey => world.stack.machine.auth_string.clone(),
            Self::OfClient => format!("etl-worker:{}", world.secrets.worker_client_secret),
        }
    }
}

impl Gated {
    pub fn setup(&self, credential: Credential) -> Setup {
        Setup::at(&self.gateway.gate, self.version, &self.python, credential)
    }
}

impl Setup {
    /// A client of some version at a gate.
    pub fn at(gate: &Gate, version: &str, python: &Path, credential: Credential) -> Self {
        let pair = credential.pair();
        let setup = Self {
            version: version.to_owned(),
            python: python.to_owned(),
            api_url: format!("https://{}/api", gate.machine_host()),
            credential: ("PREFECT_API_AUTH_STRING", pair.clone()),
            pair,
        };
        if version != PREFECT_VERSIONS[0] {
            return setup;
        }
        // A custom header is all that this version sends on every socket.
        let header = format!("{{\"Authorization\":\"{}\"}}", basic(&setup.pair));
        Self { credential: ("PREFECT_CLIENT_CUSTOM_HEADERS", header), ..setup }
    }

    /// With another `name:secret`.
    pub fn with(self, pair: &str) -> Self {
        Self {
            credential: ("PREFECT_API_AUTH_STRING", pair.to_owned()),
            pair: pair.to_owned(),
            ..self
        }
    }
}

/// Prefect's client with an environment of its own.
pub struct Client {
    layout: Layout,
    setup: Setup,
    /// Beside the usual variables.
    more: Vec<(String, String)>,
}

/// What a command said, and whether it succeeded.
pub struct Output {
    pub succeeded: bool,
    pub text: String,
}

impl Output {
    #[track_caller]
    pub fn expect_success(self) -> String {
        assert!(self.succeeded, "{}", self.text);
        self.text
    }
}

impl Client {
    pub fn new(name: &str, setup: Setup) -> Self {
        let name = format!("{name}-{}", setup.version);
        let layout = new_layout(&name, Ports::unused().unwrap());
        make_dir(&layout.state.join("home")).unwrap();
        Self { layout, setup, more: Vec::new() }
    }

    /// Gives its commands one more variable.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.more.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn folder(&self) -> &Path {
        &self.layout.state
    }

    fn launch(&self, part: &'static str, program: PathBuf, args: Vec<String>) -> Launch {
        let home = self.layout.state.join("home").to_string_lossy().into_owned();
        let (name, value) = &self.setup.credential;
        let env = [
            ("HOME", home.as_str()),
            ("PREFECT_HOME", &home),
            ("PREFECT_API_URL", &self.setup.api_url),
            ("PREFECT_API_SSL_CERT_FILE", &world().stack.ca_file.to_string_lossy()),
            (name, value),
            ("PREFECT_SERVER_ANALYTICS_ENABLED", "false"),
            ("PREFECT_WORKER_QUERY_SECONDS", "2"),
            ("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "false"),
            ("NO_COLOR", "1"),
            ("COLUMNS", "200"),
        ];
        Launch {
            part,
            program,
            args,
            env: env
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into_iter()
                .chain(self.more.iter().cloned())
                .collect(),
            folder: self.layout.state.clone(),
            inputs: Vec::new(),
        }
    }

    /// Runs Python with these arguments to its end.
    #[track_caller]
    pub fn python(&self, args: &[&str]) -> Output {
        // The part is apart from us; the shell leaves its exit status in the log.
        let python = self.setup.python.to_string_lossy();
        let fixed = ["-c", "\"$@\"; echo \"exit status $?\"", "sh", &python];
        let args = fixed.iter().chain(args).map(|arg| (*arg).to_owned()).collect();
        let running = self.launch("client", "/bin/sh".into(), args).start(&self.layout).unwrap();
        let log = self.layout.log("client");
        let text = eventually(&format!("{} has ended", running.pid()), LIMIT, || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            text.lines().last().is_some_and(|l| l.starts_with("exit status ")).then_some(text)
        });
        running.stop().unwrap();
        Output { succeeded: text.trim_end().ends_with("exit status 0"), text }
    }

    /// Runs a command of Prefect's to its end.
    #[track_caller]
    pub fn prefect(&self, args: &[&str]) -> Output {
        self.python(&[&["-m", "prefect"], args].concat())
    }

    /// Makes a work pool and a deployment of the small flow, both of this name, and so many runs of
    /// it.
    #[track_caller]
    pub fn deploy(&self, name: &str, runs: usize) {
        let flows = checkout().join("integration/flows");
        let script = self.folder().join("deploy.py");
        let text = format!(
            "from prefect import flow\n\
             from prefect.deployments import run_deployment\n\
             flow.from_source(source={flows:?}, entrypoint='hello.py:hello')\
             .deploy(name={name:?}, work_pool_name={name:?}, ignore_warnings=True)\n\
             for _ in range({runs}):\n    run_deployment('hello/{name}', timeout=0)\n"
        );
        fs::write(&script, text).unwrap();
        self.prefect(&["work-pool", "create", name, "--type", "process"]).expect_success();
        self.python(&[&script.to_string_lossy()]).expect_success();
    }

    /// Starts a worker of a pool.
    pub fn start_worker(&self, pool: &str, options: &[&str]) -> Running {
        let fixed = ["worker", "start", "--pool", pool, "--type", "process"];
        self.start("worker", &[&fixed, options].concat())
    }

    /// Starts a command of Prefect's that goes on.
    pub fn start(&self, part: &'static str, args: &[&str]) -> Running {
        self.start_python(part, &[&["-m", "prefect"], args].concat())
    }

    /// Starts Python with these arguments.
    pub fn start_python(&self, part: &'static str, args: &[&str]) -> Running {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        self.launch(part, self.setup.python.clone(), args).start(&self.layout).unwrap()
    }

    pub fn log(&self, part: &str) -> String {
        fs::read_to_string(self.layout.log(part)).unwrap_or_default()
    }
}
