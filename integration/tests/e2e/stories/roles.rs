//! What each role may do, through the real Envoy: every operation that Prefect describes, and
//! bodies that ask for secrets.

mod bodies;
mod events;
mod in_the_ui;
mod masks;
mod operations;

use lictor_integration::process::hex;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::client::Request;
use crate::gateway::{Gateway, Plan};
use crate::recorder::Recorder;
use crate::stories::Story;

const ABOUT: &str = "roles";

/// The roles, as docs/roles.md names them.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Viewer,
    Operator,
    Worker,
    Admin,
}

impl Role {
    const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Worker, Self::Admin];

    fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Worker => "worker",
            Self::Admin => "admin",
        }
    }
}

pub fn stories() -> Vec<Story> {
    let apart = [operations::stories(), bodies::stories(), events::stories(), masks::stories()];
    let apart = apart.into_iter().flatten().map(Story::apart);
    apart.chain(in_the_ui::stories().into_iter().map(Story::heavy)).collect()
}

/// A gate that knows a key of each role, before an upstream that writes down what reaches it.
struct Scene {
    gateway: Gateway,
    recorder: Recorder,
}

impl Scene {
    fn start(name: &'static str, patch: &Value) -> Self {
        let recorder = Recorder::start();
        let mut settings = patch.clone();
        settings["machines"] = keys();
        let gateway = Plan::new(name).prefect(recorder.port).patch(settings).start();
        Self { gateway, recorder }
    }

    fn by(&self, role: Role, request: Request) -> Request {
        by(&self.gateway, role, request)
    }
}

fn by(gateway: &Gateway, role: Role, request: Request) -> Request {
    request.host(gateway.gate.machine_host()).header("x-api-key", key(role))
}

/// Settings that know a key of each role.
fn keys() -> Value {
    json!({ "api_keys": Role::ALL.map(|role| json!({
        "name": role.name(),
        "sha256": hex(digest(&SHA256, key(role).as_bytes()).as_ref()),
        "role": role.name(),
    })) })
}

fn key(role: Role) -> String {
    format!("lk_key-of-{}", role.name())
}
