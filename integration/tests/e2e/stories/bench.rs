//! A gate whose upstream writes down what it gets, and somebody who is logged in there.

use crate::client::Request;
use crate::keycloak_admin::{allow_callback, basic};
use crate::keycloak_login::log_in;
use crate::lane::{Lane, Plan};
use crate::recorder::Recorder;
use crate::visitor::Visitor;
use crate::world::world;

pub struct Bench {
    pub recorder: Recorder,
    pub lane: Lane,
    /// A session of alice's here.
    pub alice: Visitor,
}

pub fn bench(name: &'static str) -> Bench {
    let recorder = Recorder::start();
    let lane = Plan::new(name).prefect(recorder.port).start();
    allow_callback(&lane.gate.origin());
    let mut alice = Visitor::new(&lane.gate);
    log_in(&mut alice, "/", "alice");
    recorder.take();
    Bench { recorder, lane, alice }
}

impl Bench {
    /// The one head that a request causes, in lower case.
    #[track_caller]
    pub fn head(&self, request: &Request) -> String {
        let answer = self.lane.gate.send(request);
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
