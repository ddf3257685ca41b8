//! The stack that all tests share: real Envoy, Keycloak, Prefect, in a folder and on ports of its
//! own, started when the first test needs it and ended with certainty.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use lictor_integration::layout::{Layout, find_checkout};
use lictor_integration::pki::Pki;
use lictor_integration::ports::Ports;
use lictor_integration::process::Running;
use lictor_integration::progress::Progress;
use lictor_integration::secrets::Secrets;
use lictor_integration::stack::{self, Installed, Options};
use lictor_integration::stack_file::StackFile;
use lictor_integration::tools::PREFECT_VERSIONS;

use crate::canary;
use crate::client::{Gate, Request, plain};
use crate::clock::{pause, starting};

/// Everything that tests need to know about the stack.
pub struct World {
    pub layout: Layout,
    pub stack: StackFile,
    pub secrets: Secrets,
    pub pki: Pki,
    pub installed: Installed,
    pub gate: Gate,
    pub admin: Admin,
    pub module: PathBuf,
}

static WORLD: OnceLock<World> = OnceLock::new();
/// Every stack that was begun, for [`tear_down`].
static LAYOUTS: Mutex<Vec<Layout>> = Mutex::new(Vec::new());

static ENDING: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// The shared stack.
pub fn world() -> &'static World {
    WORLD.get_or_init(|| starting(World::start))
}

impl World {
    fn start() -> Self {
        let checkout = checkout();
        let module = env::var_os("LICTOR_MODULE").map_or_else(
            || checkout.join("target/wasm32-wasip1/release/lictor.wasm"),
            PathBuf::from,
        );
        assert!(module.is_file(), "{} is not there (make wasm)", module.display());
        let prefect = env::var("PREFECT")
            .unwrap_or_else(|_| PREFECT_VERSIONS.last().copied().unwrap().to_owned());
        let layout = new_layout("main", Ports::unused().unwrap());
        let progress = progress();
        let options = Options { prefect: prefect.clone(), module: Some(module.clone()) };
        let stack = stack::up(&layout, &options, &progress).unwrap_or_else(|e| panic!("{e}"));
        let installed = Installed::fetch(&layout, &prefect, &progress).unwrap();
        let secrets = Secrets::open(&layout).unwrap();
        let pki = Pki::open(&layout).unwrap();
        for secret in [
            &secrets.client_secret,
            &secrets.cookie_key,
            &secrets.prefect_auth_string,
            &secrets.api_key,
            &secrets.worker_client_secret,
            &secrets.keycloak_admin_password,
        ] {
            canary::plant(secret);
        }
        Self {
            gate: Gate::new(&pki.ca, layout.ports.https),
            admin: Admin(layout.ports.envoy_admin),
            layout,
            stack,
            secrets,
            pki,
            installed,
            module,
        }
    }
}

/// The checkout that this was built in.
pub fn checkout() -> PathBuf {
    find_checkout(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A folder for one more stack; it is emptied and removed at the end.
pub fn new_layout(name: &str, ports: Ports) -> Layout {
    let mut layouts = LAYOUTS.lock().unwrap_or_else(PoisonError::into_inner);
    // Numbered: two stories may choose the same name, and run at the same time.
    let folder = format!("lictor-e2e-{}-{:03}-{name}", std::process::id(), layouts.len());
    let layout = Layout::new(&checkout(), &env::temp_dir().join(folder), ports).unwrap();
    layouts.push(layout.clone());
    layout
}

/// Folders of every stack so far.
pub fn layouts() -> Vec<Layout> {
    LAYOUTS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Ends everything that any test started. `keep` leaves the folders for a look at the logs.
pub fn tear_down(keep: bool) {
    // The end of the tests and a signal may both come here.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    progress().cancel();
    for layout in layouts().iter().rev() {
        let records = fs::read_dir(layout.run()).into_iter().flatten().flatten();
        for record in records {
            let name = record.path();
            let part = name.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            if let Some(running) = Running::find(layout, part) {
                let _reported = running.stop().map_err(|error| say(&error.to_string()));
            }
        }
        let _reported = stack::down(layout, &Progress::silent()).map_err(|e| say(&e.to_string()));
        if keep {
            say(&format!("logs are in {}", layout.logs().display()));
        } else {
            let _left = fs::remove_dir_all(&layout.state);
        }
    }
}

/// Ends a part; what can't be ended is told, since others may still have to end.
pub fn stop(part: &Running) {
    if let Err(error) = starting(|| part.stop()) {
        say(&error.to_string());
    }
}

/// Where the stack's own start is told; given up once everything is to end.
pub fn progress() -> Progress {
    Progress::to_stderr(Arc::clone(ENDING.get_or_init(Arc::default)))
}

/// One line for whoever watches.
pub fn say(text: &str) {
    Progress::to_stderr(Arc::default()).say(text);
}

/// The password of a person of the realm.
pub fn password(user: &str) -> String {
    let users = &world().stack.users;
    users.iter().find(|known| known.name == user).expect("no such person").password.clone()
}

/// Waits for something, no longer than `limit`.
#[track_caller]
pub fn eventually<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        let waited = begun.elapsed();
        assert!(waited < limit, "not within {limit:?}: {what}");
        // What takes longer is looked at less often: looking costs others their time.
        pause((waited / 20).clamp(Duration::from_millis(25), Duration::from_millis(250)));
    }
}

/// Envoy's admin interface.
#[derive(Clone, Copy, Debug)]
pub struct Admin(pub u16);

impl Admin {
    /// All counters and gauges, by lines.
    #[track_caller]
    pub fn stats(self) -> String {
        plain(self.0, &Request::get("/stats")).unwrap().expect(200).text()
    }

    /// One counter, by its exact name.
    #[track_caller]
    pub fn counter(self, name: &str) -> u64 {
        let stats = self.stats();
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no counter {name}"))
    }

    /// How many requests and upgrades Prefect has got.
    #[track_caller]
    pub fn reached_prefect(self) -> u64 {
        self.counter("cluster.prefect.upstream_rq_total")
            + self.counter("cluster.prefect_ws.upstream_rq_total")
            + self.counter("cluster.prefect_public.upstream_rq_total")
    }

    /// Whether every VM lives since the start.
    #[track_caller]
    pub fn assert_vm_alive(self) {
        for name in ["vm_reload", "vm_reload_backoff", "vm_reload_success", "vm_reload_failure"] {
            assert_eq!(
                self.counter(&format!("wasm.lictor.{name}")),
                0,
                "{name}: the module trapped"
            );
        }
    }
}

/// Runs something during which Prefect must get nothing.
#[track_caller]
pub fn prefect_sees_nothing<T>(admin: Admin, work: impl FnOnce() -> T) -> T {
    let before = admin.reached_prefect();
    let result = work();
    assert_eq!(admin.reached_prefect(), before, "something reached Prefect");
    result
}
