//! People and machines with a credential, who use a gate at their pace while something else
//! happens. Every request of theirs must pass.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Gate, Request, Tls};
use crate::cookie_client::CookieClient;
use crate::http1::{Answer, exchange};
use crate::keycloak_admin::basic;
use crate::prefect_client::Credential;

const VERSION: &str = "/api/admin/version";

/// What somebody got.
#[derive(Clone, Copy, Debug, Default)]
pub struct Served {
    pub requests: usize,
    pub connections: usize,
    /// The longest that an answer took.
    pub slowest: Duration,
}

impl Served {
    fn timed(&mut self, request: impl FnOnce() -> Answer) -> Answer {
        let begun = Instant::now();
        let answer = request();
        self.requests += 1;
        self.slowest = self.slowest.max(begun.elapsed());
        answer.expect(200)
    }
}

/// Ends the others once it is dropped, whatever panics.
pub struct Ending<'a>(pub &'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Somebody with a session, and a connection for each request.
pub fn person(mut visitor: CookieClient, over: &AtomicBool) -> Served {
    let mut served = Served::default();
    while !over.load(Ordering::Relaxed) {
        served.timed(|| visitor.fetch(VERSION));
        served.connections += 1;
        // Their pace, not a wait.
        thread::sleep(Duration::from_millis(50));
    }
    served
}

/// A machine that keeps its connection until it is asked to close it.
pub fn machine(gate: &Gate, over: &AtomicBool) -> Served {
    let request = Request::get(VERSION)
        .host(gate.machine_host())
        .header("authorization", basic(&Credential::OfClient.pair()));
    let bytes = request.bytes("");
    let mut served = Served::default();
    let mut kept: Option<Tls> = None;
    while !over.load(Ordering::Relaxed) {
        let connection = kept.get_or_insert_with(|| {
            served.connections += 1;
            gate.connect("localhost").unwrap()
        });
        let answer = served.timed(|| exchange(connection, &bytes, false).unwrap());
        if answer.header("connection") == Some("close") {
            kept = None;
        }
        // Its pace.
        thread::sleep(Duration::from_millis(25));
    }
    served
}
