//! Something of everything at a Prefect, for whoever looks at it or changes it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Request, plain};
use crate::keycloak_admin::basic;
use crate::world::{eventually, world};

/// Longer than Prefect takes for anything that is asked of it.
pub const SOON: Duration = Duration::from_secs(20);
const CLIENT: &str = "00000000-0000-4000-8000-00000000c5f0";

/// Something of everything, made at Prefect itself.
pub struct SampleData {
    port: u16,
    /// Where its API is.
    api: &'static str,
    /// What Prefect wants of whoever changes something, where its protection is on.
    csrf: Option<String>,
    pub flow: String,
    pub deployment: String,
    pub run: String,
}

impl SampleData {
    pub fn make(port: u16) -> Self {
        Self::make_at(port, "/api")
    }

    pub fn make_at(port: u16, api: &'static str) -> Self {
        let (flow, deployment, run) = (String::new(), String::new(), String::new());
        let mut data = Self { port, api, csrf: None, flow, deployment, run };
        data.csrf = data.token();
        // Stories run side by side: each has a flow of its own.
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let name = format!("clicked-{}", MADE.fetch_add(1, Ordering::Relaxed));
        data.flow = data.post("/flows/", &json!({ "name": name }));
        let deployment = json!({ "name": "nightly", "flow_id": data.flow, "entrypoint": "x.py:f", "enforce_parameter_schema": false });
        data.deployment = data.post("/deployments/", &deployment);
        data.run = data.running();
        data
    }

    fn token(&self) -> Option<String> {
        let path = format!("{}/csrf-token?client={CLIENT}", self.api);
        let answer = plain(self.port, &Self::authorized(Request::get(path))).unwrap();
        (answer.status == 200).then(|| answer.json()["token"].as_str().unwrap().to_owned())
    }

    fn authorized(request: Request) -> Request {
        request.header("authorization", basic(&world().secrets.prefect_auth_string))
    }

    /// A run of the deployment that goes on until somebody stops it.
    pub fn running(&self) -> String {
        let path = format!("/deployments/{}/create_flow_run", self.deployment);
        let run = self.post(&path, &json!({ "state": { "type": "SCHEDULED" } }));
        for state in ["PENDING", "RUNNING"] {
            let change = json!({ "state": { "type": state }, "force": true });
            self.ask("POST", &format!("/flow_runs/{run}/set_state"), Some(&change));
        }
        run
    }

    pub fn post(&self, path: &str, body: &Value) -> String {
        self.ask("POST", path, Some(body))["id"].as_str().unwrap().to_owned()
    }

    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let mut request = Self::authorized(Request::new(method, format!("{}{path}", self.api)));
        if let Some(token) = &self.csrf {
            request = request.header("prefect-csrf-token", token);
            request = request.header("prefect-csrf-client", CLIENT);
        }
        let request = match body {
            Some(body) => request.json_body(&body.to_string()),
            None => request,
        };
        // SQLite is busy now and then.
        eventually("Prefect's answer", SOON, || {
            let answer = plain(self.port, &request).ok()?;
            assert!(answer.status < 300 || answer.status == 503, "{path}: {}", answer.text());
            (answer.status < 300).then(|| answer.json())
        })
    }

    pub fn state_of(&self, run: &str) -> String {
        self.ask("GET", &format!("/flow_runs/{run}"), None)["state_type"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}
