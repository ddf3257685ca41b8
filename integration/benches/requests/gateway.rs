//! The Envoy that is measured: one worker, a plaintext listener for each way to judge a request,
//! and a direct answer behind each. The settings of the edge that every listener shares are those
//! of `envoy/local/envoy.yaml` as far as they bear on a request.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lictor_integration::cache::Cache;
use lictor_integration::envoy::PART;
use lictor_integration::error::{Error, Result};
use lictor_integration::launch::Launch;
use lictor_integration::layout::{Layout, write_private};
use lictor_integration::process::{Running, stop_unrecorded};
use lictor_integration::progress::Progress;
use lictor_integration::tools::{Installer, Python};
use serde_json::{Value, json};

/// A request with this header is told what an upstream would have seen, as `shown-<name>`.
pub const SHOW: &str = "show-upstream";

/// A listener.
pub struct Listener {
    pub port: u16,
    /// What judges there; nothing at all for `None`.
    pub filter: Option<Value>,
}

/// The running Envoy.
pub struct Gateway {
    pub running: Running,
    /// `schedstat` of the worker's thread, once it has one.
    worker: PathBuf,
}

/// Starts it. [`stop`] ends it.
pub fn start(
    layout: &Layout,
    listeners: &[Listener],
    provider: u16,
    environment: &[(&str, String)],
    progress: &Progress,
) -> Result<Gateway> {
    let cache = Cache::of_user()?;
    let installer = Installer::bootstrap(layout, &cache, &Python::find()?, progress)?;
    let envoy = installer.tools(progress)?.envoy;
    let file = layout.state.join("envoy.json");
    write_private(&file, configuration(listeners, provider).to_string().as_bytes())?;
    progress.check()?;
    let launch = Launch {
        part: PART,
        program: envoy,
        args: ["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning", "-c"]
            .map(str::to_owned)
            .into_iter()
            .chain([file.to_string_lossy().into_owned()])
            .collect(),
        env: environment.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        folder: layout.state.clone(),
        inputs: Vec::new(),
    };
    let running = launch.start(layout)?;
    Ok(Gateway { running, worker: PathBuf::new() })
}

/// Ends it, and what a run that was killed has left of it.
pub fn stop(layout: &Layout) -> Result<()> {
    if let Some(running) = Running::find(layout, PART) {
        running.stop()?;
    }
    stop_unrecorded(layout, PART)
}

impl Gateway {
    /// Finds the worker's thread; only once Envoy serves.
    pub fn find_worker(&mut self) -> Result<()> {
        let tasks = PathBuf::from(format!("/proc/{}/task", self.running.pid()));
        let threads = fs::read_dir(&tasks).into_iter().flatten().flatten();
        let is_worker = |thread: &Path| {
            fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.trim() == "wrk:worker_0")
        };
        let worker = threads.map(|thread| thread.path()).find(|thread| is_worker(thread));
        let worker = worker.ok_or_else(|| {
            Error::new("Envoy has no thread wrk:worker_0")
                .wanted("Linux: the figure is that thread's CPU time")
                .log(self.running.log())
        })?;
        self.worker = worker.join("schedstat");
        Ok(())
    }

    /// CPU time of the worker so far: the first number of its scheduler statistics, nanoseconds.
    pub fn worker_time(&self) -> Result<Duration> {
        let text = fs::read_to_string(&self.worker)
            .map_err(|cause| Error::file("read", &self.worker, &cause).log(self.running.log()))?;
        let spent = text.split(' ').next().and_then(|number| number.parse().ok());
        spent.map(Duration::from_nanos).ok_or_else(|| {
            Error::new(format!("{} holds {text:?}", self.worker.display())).wanted("nanoseconds")
        })
    }
}

fn configuration(listeners: &[Listener], provider: u16) -> Value {
    let provider = json!({
        "name": "idp", "type": "STATIC", "connect_timeout": "2s",
        "load_assignment": { "cluster_name": "idp", "endpoints": [{ "lb_endpoints": [
            { "endpoint": { "address": address(provider) } },
        ] }] },
    });
    json!({ "static_resources": {
        "listeners": listeners.iter().map(listener).collect::<Vec<_>>(),
        "clusters": [provider],
    } })
}

fn listener(listener: &Listener) -> Value {
    let router = filter("router", "router.v3.Router", json!({ "suppress_envoy_headers": true }));
    let filters: Vec<Value> = listener.filter.iter().cloned().chain([router]).collect();
    let kind = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    json!({
        "name": format!("port-{}", listener.port),
        "address": address(listener.port),
        "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": format!("type.googleapis.com/{kind}"),
                "stat_prefix": "bench",
                "use_remote_address": true,
                "internal_address_config": { "cidr_ranges": [{ "address_prefix": "255.255.255.255", "prefix_len": 32 }] },
                "normalize_path": true,
                "merge_slashes": true,
                "path_with_escaped_slashes_action": "REJECT_REQUEST",
                "route_config": { "virtual_hosts": [{
                    "name": "any", "domains": ["*"],
                    "routes": [
                        {
                            "match": { "prefix": "/", "headers": [{ "name": SHOW }] },
                            "direct_response": { "status": 200 },
                            "response_headers_to_add": [
                                shown("authorization"), shown("x-auth-request-user"),
                            ],
                        },
                        {
                            "match": { "prefix": "/" },
                            "direct_response": {
                                "status": 200, "body": { "inline_string": "{}" },
                            },
                        },
                    ],
                }] },
                "http_filters": filters,
            },
        }] }],
    })
}

fn shown(name: &str) -> Value {
    json!({ "header": { "key": format!("shown-{name}"), "value": format!("%REQ({name})%") } })
}

/// One of Envoy's HTTP filters with its settings.
pub fn filter(name: &str, kind: &str, mut settings: Value) -> Value {
    settings["@type"] = format!("type.googleapis.com/envoy.extensions.filters.http.{kind}").into();
    json!({ "name": format!("envoy.filters.http.{name}"), "typed_config": settings })
}

/// A module as a filter. Each has a VM of its own, even if the module is the same.
pub fn module(id: &str, file: &Path, settings: &str, environment: &[&str]) -> Value {
    let config = json!({
        "name": id, "root_id": id,
        "failure_policy": "FAIL_CLOSED",
        "vm_config": {
            "vm_id": id, "runtime": "envoy.wasm.runtime.v8",
            "code": { "local": { "filename": file } },
            "environment_variables": { "host_env_keys": environment },
        },
        "configuration": {
            "@type": "type.googleapis.com/google.protobuf.StringValue", "value": settings,
        },
    });
    filter("wasm", "wasm.v3.Wasm", json!({ "config": config }))
}

fn address(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}
