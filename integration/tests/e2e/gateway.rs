//! A further Envoy beside the shared one: same module, Keycloak and certificates, but its own
//! ports, settings, secrets and upstream.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use lictor_integration::cache::Cache;
use lictor_integration::download::{self, Release};
use lictor_integration::envoy;
use lictor_integration::keycloak;
use lictor_integration::layout::Layout;
use lictor_integration::ports::Ports;
use lictor_integration::process::Running;
use lictor_integration::secrets::Secrets;
use serde_json::Value;

use crate::client::{Gate, Request};
use crate::clock::starting;
use crate::reload;
use crate::world::{Admin, eventually, new_layout, progress, stop, world};

/// What is to differ.
pub struct Plan {
    pub name: &'static str,
    pub prefect_port: u16,
    pub keycloak_port: u16,
    /// Whether the Keycloak there is this gateway's own, with the gateway's port in its name.
    own_keycloak: bool,
    /// Worker threads, hence VMs that serve.
    pub workers: u8,
    pub secrets: Secrets,
    pub settings: fn(&mut Value),
    /// Settings laid over the usual ones.
    patch: Value,
    /// Places of Envoy's own configuration, and what stands there instead.
    envoy: Vec<(String, String)>,
    /// Whether the module's settings come from a file that can be replaced.
    reloadable: bool,
    /// What Envoy finds in its environment beside the secrets.
    environment: Vec<(String, String)>,
    /// Arguments beside the usual ones.
    arguments: &'static [&'static str],
}

impl Plan {
    pub fn new(name: &'static str) -> Self {
        let world = world();
        Self {
            name,
            prefect_port: world.layout.ports.prefect,
            keycloak_port: world.layout.ports.keycloak,
            own_keycloak: false,
            workers: 2,
            secrets: world.secrets.clone(),
            settings: |_| (),
            patch: Value::Null,
            envoy: Vec::new(),
            reloadable: false,
            environment: Vec::new(),
            arguments: &[],
        }
    }

    /// Lays settings over the usual ones and those of earlier calls, objects member by member.
    pub fn patch(mut self, patch: Value) -> Self {
        lay_over(&mut self.patch, &patch);
        self
    }

    /// Puts something else in a place of Envoy's configuration.
    pub fn envoy(mut self, place: impl Into<String>, instead: impl Into<String>) -> Self {
        self.envoy.push((place.into(), instead.into()));
        self
    }

    /// Gives Envoy, and the module in it, one more variable.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        let list = "host_env_keys: [";
        self.envoy.push((list.to_owned(), format!("{list}{name}, ")));
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Gives Envoy more arguments.
    pub fn arguments(mut self, arguments: &'static [&'static str]) -> Self {
        self.arguments = arguments;
        self
    }

    pub fn prefect(mut self, port: u16) -> Self {
        self.prefect_port = port;
        self
    }

    pub fn keycloak(mut self, port: u16) -> Self {
        self.keycloak_port = port;
        self
    }

    /// A Keycloak that is started for this gateway alone; [`Gateway::start_keycloak`] does it.
    pub fn own_keycloak(mut self) -> Self {
        self.keycloak_port = Ports::unused().unwrap().keycloak;
        self.own_keycloak = true;
        self
    }

    /// Its settings can be replaced while it serves.
    pub fn reloadable(mut self) -> Self {
        self.reloadable = true;
        self
    }

    pub fn workers(mut self, workers: u8) -> Self {
        self.workers = workers;
        self
    }

    /// Starts it and waits until it can serve.
    pub fn start(self) -> Gateway {
        let gateway = self.start_unready();
        gateway.wait_ready();
        gateway
    }

    /// Starts it; [`Gateway::wait_live`] waits until it listens.
    pub fn start_unready(self) -> Gateway {
        let world = world();
        let mut ports = Ports::unused().unwrap();
        (ports.prefect, ports.keycloak) = (self.prefect_port, self.keycloak_port);
        let layout = new_layout(self.name, ports);
        let start = || self.launch(&layout).start(&layout).unwrap_or_else(|e| panic!("{e}"));
        let running = starting(start);
        Gateway {
            gate: Gate::new(&world.pki.ca, ports.https),
            admin: Admin(ports.envoy_admin),
            layout,
            running,
            plan: self,
        }
    }

    fn launch(&self, layout: &Layout) -> lictor_integration::launch::Launch {
        let world = world();
        let envoy = &world.installed.tools.envoy;
        let settings = self.lictor(layout);
        let mut launch =
            envoy::launch(layout, envoy, &settings, &world.module, &self.secrets, &world.pki)
                .unwrap_or_else(|e| panic!("{e}"));
        if !self.envoy.is_empty() {
            let file = envoy::configuration_file(layout);
            let mut text = fs::read_to_string(&file).unwrap();
            for (place, instead) in &self.envoy {
                assert_eq!(
                    text.matches(place.as_str()).count(),
                    1,
                    "{place:?} in Envoy's configuration"
                );
                let instead = instead.replace("{{https_port}}", &layout.ports.https.to_string());
                text = text.replace(place, &instead);
            }
            fs::write(&file, text).unwrap();
        }
        if self.reloadable {
            let file = envoy::configuration_file(layout);
            let text = fs::read_to_string(&file).unwrap();
            fs::write(&file, reload::split(layout, &text)).unwrap();
        }
        launch.env.extend(self.environment.iter().cloned());
        launch.args.extend(self.arguments.iter().map(|argument| (*argument).to_owned()));
        let at = launch.args.iter().position(|arg| arg == "--concurrency").unwrap();
        launch.args[at + 1] = self.workers.to_string();
        launch
    }

    pub(crate) fn lictor(&self, layout: &Layout) -> Value {
        let mut settings = envoy::lictor_configuration(layout, &self.secrets);
        if !self.own_keycloak {
            // Keycloak's name has the shared stack's port in it.
            settings["issuer"] = world().layout.issuer().into();
        }
        (self.settings)(&mut settings);
        lay_over(&mut settings, &self.patch);
        settings
    }

    /// What `envoy --mode validate` says: whether it accepts, and its words.
    pub fn validate(&self, edit: fn(String) -> String) -> (bool, String) {
        let world = world();
        let layout = new_layout(self.name, Ports::unused().unwrap());
        let text =
            envoy::render(&layout, &self.lictor(&layout), &world.module, &world.pki).unwrap();
        let file: PathBuf = layout.state.join("candidate.yaml");
        fs::write(&file, edit(text)).unwrap();
        let envoy = &world.installed.tools.envoy;
        let result = envoy::validate(&layout, envoy, &file, &self.secrets, &progress());
        let said = fs::read_to_string(layout.log("envoy-validate")).unwrap_or_default();
        (result.is_ok(), said)
    }
}

pub fn lay_over(settings: &mut Value, patch: &Value) {
    for (name, value) in patch.as_object().into_iter().flatten() {
        if value.is_object() && settings[name].is_object() {
            lay_over(&mut settings[name], value);
        } else {
            settings[name] = value.clone();
        }
    }
}

/// A running one. Dropping it ends it.
pub struct Gateway {
    pub layout: Layout,
    pub gate: Gate,
    pub admin: Admin,
    pub running: Running,
    pub(crate) plan: Plan,
}

impl Gateway {
    /// Ends it and starts it again on the same ports.
    pub fn restart(&mut self) {
        starting(|| self.running.stop()).unwrap_or_else(|e| panic!("{e}"));
        let launch = self.plan.launch(&self.layout);
        self.running = launch.start(&self.layout).unwrap_or_else(|e| panic!("{e}"));
    }

    /// The same with other secrets.
    pub fn restart_with(&mut self, secrets: Secrets) {
        self.plan.secrets = secrets;
        self.restart();
        self.wait_ready();
    }

    /// Waits until it can serve.
    pub fn wait_ready(&self) {
        starting(|| envoy::wait_ready(&self.layout, &self.running, &world().pki, &progress()))
            .unwrap_or_else(|e| panic!("{e}"));
    }

    /// Starts the gateway's own Keycloak and waits until both serve. Dropping what comes back ends
    /// it.
    pub fn start_keycloak(&self, release: &Release) -> OwnKeycloak {
        self.start_keycloak_with(release, &[])
    }

    /// The same with arguments beside the usual ones, or in the place of those of the same name.
    pub fn start_keycloak_with(&self, release: &Release, arguments: &[String]) -> OwnKeycloak {
        let (layout, world, progress) = (&self.layout, world(), progress());
        let tools = &world.installed.tools;
        let cache = Cache::of_user().unwrap();
        let own = || {
            let home = download::keycloak(layout, &cache, tools, release, &progress)?;
            let (java, secrets, pki) = (&tools.java_home, &world.secrets, &world.pki);
            let mut launch = keycloak::launch(layout, &home, java, release, secrets, pki)?;
            let name = |argument: &str| argument.split('=').next().unwrap().to_owned();
            launch.args.retain(|usual| arguments.iter().all(|own| name(own) != name(usual)));
            launch.args.extend_from_slice(arguments);
            let running = keycloak::start(layout, launch, secrets, &progress)?;
            keycloak::wait_ready(layout, &running, &progress)?;
            Ok(OwnKeycloak(running))
        };
        let started: lictor_integration::error::Result<OwnKeycloak> = starting(own);
        let started = started.unwrap_or_else(|e| panic!("{e}"));
        self.wait_ready();
        started
    }

    /// Waits until it answers at all.
    pub fn wait_live(&self) {
        starting(|| {
            eventually("Envoy listens", Duration::from_secs(30), || {
                assert!(self.running.is_alive(), "Envoy has ended");
                self.gate.try_send(&Request::get("/oauth2/live")).ok().filter(|a| a.status == 200)
            })
        });
    }
}

/// A running Keycloak of a gateway's.
pub struct OwnKeycloak(Running);

impl Drop for OwnKeycloak {
    fn drop(&mut self) {
        stop(&self.0);
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        stop(&self.running);
    }
}
