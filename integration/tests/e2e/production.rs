//! Prefect in production's whole shape: PostgreSQL, Redis, two replicas of the API, one process of
//! services; in front of it two Envoys with the same keys behind one name, workers and
//! applications.

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lictor_integration::envoy;
use lictor_integration::layout::Layout;
use lictor_integration::ports::{self, Ports};
use lictor_integration::postgres::Postgres;
use lictor_integration::prefect;
use lictor_integration::prefect_replicas::Replicas;
use lictor_integration::process::Running;
use lictor_integration::redis::Redis;
use serde_json::{Value, json};

use crate::balancer::Balancer;
use crate::client::{Gate, Request, connect, plain};
use crate::clock::starting;
use crate::gateway::{Gateway, Plan};
use crate::keycloak_admin::allow_callback;
use crate::prefect_client::{Client, Credential, Setup, newest};
use crate::world::{eventually, new_layout, progress, stop, world};

/// How long a decision counts.
pub const RECHECK: Duration = Duration::from_secs(3);
/// What each Envoy is told beside the usual: how long it goes on once it is to leave, and that it
/// asks every client at once to come anew elsewhere.
const DRAIN: &[&str] = &["--drain-time-s", "3", "--drain-strategy", "immediate"];

/// The whole of it. Dropping it ends it.
pub struct Production {
    /// In the order in which they end: who asks before who is asked.
    pub workers: Vec<Worker>,
    pub envoys: [Gateway; 2],
    pub prefects: Prefects,
    balancer: Balancer,
    /// Either Envoy, by the balancer.
    pub gate: Gate,
}

/// A worker, with a pool and a deployment of its own name.
pub struct Worker {
    name: &'static str,
    client: Client,
    running: Running,
}

/// The server's processes.
pub struct Prefects {
    /// Ports of the replicas.
    pub ports: [u16; 2],
    /// Those of PostgreSQL and Redis.
    storage: [u16; 2],
    /// Replicas and services, then what they store in.
    running: Vec<Running>,
}

static PRODUCTION: Mutex<Option<Production>> = Mutex::new(None);

/// Tells something about the one that all stories share, which is started when the first needs it.
pub fn in_production(proof: fn(&mut Production)) {
    let mut shared = PRODUCTION.lock().unwrap_or_else(PoisonError::into_inner);
    proof(shared.get_or_insert_with(|| starting(Production::start)));
}

/// Ends it, if it was started: other stories need the computer. Fails if a process of it is left;
/// gives the ports that it listened on.
pub fn end() -> Vec<u16> {
    let ended = PRODUCTION.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(production) = ended else { return Vec::new() };
    let envoys = production.envoys.each_ref();
    let workers = production.workers.iter().map(|worker| &worker.running);
    let parts =
        workers.chain(envoys.map(|gateway| &gateway.running)).chain(&production.prefects.running);
    for part in parts {
        part.stop().unwrap_or_else(|e| panic!("{e}"));
    }
    let Prefects { ports, storage, .. } = &production.prefects;
    [envoys.map(|gateway| gateway.layout.ports.https), *ports, *storage].concat()
}

impl Production {
    fn start() -> Self {
        let prefects = Prefects::start();
        let balancer = Balancer::start();
        let gate = Gate::new(&world().pki.ca, balancer.port);
        allow_callback(&gate.origin());
        let envoys = ["production-1", "production-2"].map(|name| {
            let gateway = plan(name, &prefects, &gate).start();
            balancer.add(gateway.layout.ports.https);
            gateway
        });
        let workers = [
            Worker::start("by-api-key", Credential::ApiKey, &gate),
            Worker::start("by-client-credentials", Credential::OfClient, &gate),
        ];
        Self { workers: workers.into(), envoys, prefects, balancer, gate }
    }

    /// One of the Envoys, under the public name.
    pub fn replica(&self, number: usize) -> Gate {
        self.gate.replica(self.envoys[number].layout.ports.https)
    }

    /// What the workers run.
    pub fn deployments(&self) -> Vec<String> {
        self.workers.iter().map(|worker| format!("hello/{}", worker.name)).collect()
    }

    /// A client of Prefect's that is configured as the workers are.
    pub fn client(&self, name: &str, credential: Credential) -> Client {
        Client::new(name, setup(&self.gate, credential))
    }

    /// A client that goes straight to a replica of Prefect's.
    pub fn client_of_replica(&self, name: &str, number: usize) -> Client {
        let api_url = format!("http://127.0.0.1:{}/api", self.prefects.ports[number]);
        let setup = Setup { api_url, ..newest() };
        Client::new(name, setup.with(&world().secrets.prefect_auth_string))
    }

    /// Rolls one Envoy over, as `docs/operations.md` says.
    pub fn roll(&mut self, number: usize) {
        let gateway = &mut self.envoys[number];
        let port = gateway.layout.ports.https;
        self.balancer.take_out(port);
        let drain = Request::new("POST", "/drain_listeners?graceful");
        plain(gateway.admin.0, &drain).unwrap().expect(200);
        eventually("the drained Envoy listens no more", Duration::from_secs(30), || {
            connect(port).is_err().then_some(())
        });
        eventually("its last requests are answered", Duration::from_secs(30), || {
            (gateway.admin.counter("cluster.prefect.upstream_rq_active") == 0).then_some(())
        });
        gateway.restart();
        gateway.wait_ready();
        self.balancer.add(port);
    }

    /// What each Envoy has logged of its requests, without those of the tests' own that wait for
    /// it.
    pub fn access_logs(&self) -> [Vec<Value>; 2] {
        // It is written in batches: what comes before a last word of our own is complete.
        const LAST: &str = "/last-word";
        [0, 1].map(|number| {
            let file = self.envoys[number].layout.log("access");
            let lines = || -> Vec<Value> {
                let text = fs::read_to_string(&file).unwrap_or_default();
                text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
            };
            let words = || lines().iter().filter(|line| line["path"] == LAST).count();
            let before = words();
            self.replica(number).send(&Request::get(LAST));
            eventually("the last word is logged", Duration::from_secs(10), || {
                (words() > before).then_some(())
            });
            let own = [LAST, envoy::READY_PATH];
            lines().into_iter().filter(|line| own.iter().all(|own| line["path"] != *own)).collect()
        })
    }
}

fn setup(gate: &Gate, credential: Credential) -> Setup {
    let api_url = format!("https://{}/api", gate.machine_host());
    Setup { api_url, ..newest() }.with(&credential.pair())
}

impl Worker {
    fn start(name: &'static str, credential: Credential, gate: &Gate) -> Self {
        let client = Client::new(name, setup(gate, credential));
        client.deploy(name, 0);
        let running = client.start_worker(name, &[]);
        Self { name, client, running }
    }

    pub fn log(&self) -> String {
        self.client.log("worker")
    }

    pub fn is_alive(&self) -> bool {
        self.running.is_alive()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        stop(&self.running);
    }
}

impl Prefects {
    fn start() -> Self {
        let (world, progress) = (world(), progress());
        // The folder that was made first is the last to be ended, should this not come to its end.
        let storage = new_layout("production-storage", Ports::unused().unwrap());
        let [postgres_port, redis_port, one, two] = ports::unused().unwrap();
        let start = || {
            let redis = Redis::new(redis_port)?;
            let redis_running = redis.launch(&storage)?.start(&storage)?;
            let postgres = Postgres::create(&storage, postgres_port, &progress)?;
            let postgres_running = postgres.launch().start(&storage)?;
            postgres.wait_ready(&postgres_running, &progress)?;
            redis.wait_ready(&redis_running, &progress)?;
            let layout = new_layout("production-prefect", Ports::unused()?);
            let (venv, secrets) = (&world.installed.prefect, &world.secrets);
            let replicas = Replicas { venv, postgres: &postgres, redis: &redis, secrets };
            replicas.migrate(&layout, &progress)?;
            let at =
                |port| Layout { ports: Ports { prefect: port, ..layout.ports }, ..layout.clone() };
            let layouts = [at(one), at(two)];
            let version = &world.stack.prefect.version;
            let services = replicas.services(&layout)?.start(&layout)?;
            let mut parts = vec![services];
            // One after the other: in an empty database both would write down the same block types.
            for (layout, name) in layouts.iter().zip(["prefect-1", "prefect-2"]) {
                let part = replicas.api(layout, name)?.start(layout)?;
                prefect::wait_ready(layout, &part, version, secrets, &progress)?;
                parts.push(part);
            }
            let running = parts.into_iter().chain([redis_running, postgres_running]).collect();
            Ok(Self { ports: [one, two], storage: [postgres_port, redis_port], running })
        };
        let started: lictor_integration::error::Result<Self> = start();
        started.unwrap_or_else(|e| panic!("{e}"))
    }
}

impl Drop for Prefects {
    fn drop(&mut self) {
        self.running.iter().for_each(stop);
    }
}

/// An Envoy behind the balancer, with both replicas of Prefect behind it.
fn plan(name: &'static str, prefects: &Prefects, gate: &Gate) -> Plan {
    let [one, two] = prefects.ports;
    let endpoint = |port: u16| {
        format!(
            "endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }}"
        )
    };
    let endpoints = |cluster: &str, more: &str| {
        let first = endpoint(one);
        format!("{cluster}\n      endpoints:\n      - lb_endpoints:\n        - {first}{more}\n")
    };
    let both = format!("\n        - {}", endpoint(two));
    let tasks = endpoints("cluster_name: prefect_tasks", "");
    let sockets = "max_connections: 80, max_pending_requests: 80, max_requests: 80";
    let settings = json!({
        "public_url": gate.origin(),
        "machines": { "hosts": [gate.machine_host()] },
        "session": { "recheck": format!("{}s", RECHECK.as_secs()) },
    });
    let prefect = "cluster_name: prefect";
    let prefect_ws = "cluster_name: prefect_ws";
    Plan::new(name)
        .prefect(one)
        .patch(settings)
        .arguments(DRAIN)
        .envoy(endpoints(prefect, ""), endpoints(prefect, &both))
        .envoy(endpoints(prefect_ws, ""), endpoints(prefect_ws, &both))
        .envoy(sockets, sockets.replace("80", "1024"))
        .envoy(BEFORE_ROUTES, format!("{TASK_ROUTES}{BEFORE_ROUTES}"))
        .envoy(
            BEFORE_CLUSTERS,
            format!("{TASK_CLUSTER}    load_assignment:\n      {tasks}{BEFORE_CLUSTERS}"),
        )
}

const BEFORE_ROUTES: &str =
    "              - match:\n                  prefix: /\n                  headers:";
const BEFORE_CLUSTERS: &str = "\n  - name: idp\n";

/// Runs of tasks are queued in one replica's memory: all that is about them goes to the same one.
const TASK_ROUTES: &str = "              - match:
                  prefix: /api/task_runs/
                  headers:
                  - { name: upgrade, string_match: { exact: websocket, ignore_case: true } }
                route:
                  cluster: prefect_tasks
                  timeout: 0s
                  idle_timeout: 3600s
                  max_stream_duration: { max_stream_duration: 43200s }
              - match: { prefix: /api/task_runs/ }
                route: { cluster: prefect_tasks, timeout: 0s, idle_timeout: 120s }
";

const TASK_CLUSTER: &str = "
  - name: prefect_tasks
    type: STATIC
    connect_timeout: 2s
    per_connection_buffer_limit_bytes: 1048576
    typed_extension_protocol_options: *prefect_protocol
    upstream_connection_options: *keepalive
    circuit_breakers:
      thresholds: [{ max_connections: 1024, max_pending_requests: 1024, max_requests: 1024, max_retries: 0 }]
";
