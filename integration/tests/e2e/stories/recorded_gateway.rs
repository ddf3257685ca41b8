//! A gate whose upstream writes down what it gets, and somebody who is logged in there.

use std::sync::OnceLock;

use crate::client::Request;
use crate::cookie_client::CookieClient;
use crate::gateway::{Gateway, Plan};
use crate::keycloak_admin::{allow_callback, basic};
use crate::keycloak_login::log_in;
use crate::recorder::Recorder;
use crate::world::world;

pub struct RecordedGateway {
    pub recorder: Recorder,
    pub gateway: Gateway,
    /// A session of alice's here.
    pub alice: CookieClient,
}

/// Started once; nothing is recorded yet. Those who share it run one after the other.
pub fn recorded_gateway() -> &'static RecordedGateway {
    static SHARED: OnceLock<RecordedGateway> = OnceLock::new();
    let shared = SHARED.get_or_init(RecordedGateway::start);
    shared.recorder.take();
    shared
}

impl RecordedGateway {
    fn start() -> Self {
        let recorder = Recorder::start();
        let gateway = Plan::new("recorded").prefect(recorder.port).start();
        allow_callback(&gateway.gate.origin());
        let mut alice = CookieClient::new(&gateway.gate);
        log_in(&mut alice, "/", "alice");
        Self { recorder, gateway, alice }
    }

    /// The one head that a request causes, in lower case.
    #[track_caller]
    pub fn head(&self, request: &Request) -> String {
        let answer = self.gateway.gate.send(request);
        let seen = self.recorder.take();
        assert_eq!(seen.heads.len(), 1, "{} {request:?}", answer.status);
        seen.heads[0].to_ascii_lowercase()
    }

    pub fn cookie(&self) -> String {
        self.alice.jar.header().unwrap()
    }

    pub fn key(&self) -> String {
        basic(&world().stack.machine.auth_string)
    }

    pub fn injected(&self) -> String {
        basic(&world().secrets.prefect_auth_string).to_ascii_lowercase()
    }
}

/// The values of a header in a head.
pub fn lines<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    head.lines().filter_map(|line| line.strip_prefix(&format!("{name}: "))).collect()
}
