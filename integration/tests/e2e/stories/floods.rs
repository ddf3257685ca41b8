//! Many sockets at once: bursts of flow runs, which must all come in, and attackers, who must not
//! bring Prefect down.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::sockets::{assert_authenticated, key};
use super::{Story, story};
use crate::client::Request;
use crate::gateway::{Gateway, Plan};
use crate::keycloak_admin::basic;
use crate::prefect_client::Credential;
use crate::sockets::{Socket, auth, upgrade};
use crate::world::eventually;

const ABOUT: &str = "floods of sockets";

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "fifty flow runs that start at once from one host all connect", burst).apart(),
        story(ABOUT, "silent ones, renewed for a minute, leave Prefect serving", silent)
            .apart()
            .alone(),
        story(ABOUT, "holding the first frame costs less than a millisecond", cost).apart().alone(),
    ]
}

fn burst() {
    // One worker: the bound is for each.
    let gateway = Plan::new("burst").workers(1).start();
    for credential in [key().to_owned(), Credential::OfClient.pair()] {
        let sockets = thread::scope(|scope| {
            let runs: Vec<_> = (0..50)
                .map(|_| {
                    let (gate, credential) = (&gateway.gate, credential.as_str());
                    scope.spawn(move || {
                        let mut socket = Socket::opened(gate, &upgrade("/api/events/in"));
                        socket.send_text(&auth(credential));
                        assert_authenticated(&mut socket, "one of fifty");
                        socket
                    })
                })
                .collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(sockets.len(), 50);
        drop(sockets);
        eventually("they have gone", Duration::from_secs(10), || {
            let open = gateway.admin.counter("cluster.prefect_ws.upstream_rq_active");
            (open == 0).then_some(())
        });
    }
    gateway.admin.assert_vm_alive();
}

/// What Prefect's people get meanwhile: answers, and how long the slowest took.
fn served(gateway: &Gateway) -> Duration {
    let begun = Instant::now();
    gateway.gate.get("/api/health").expect(200);
    let filter = Request::post("/api/flows/filter", "{\"limit\": 1}")
        .host(gateway.gate.machine_host())
        .header("authorization", basic(key()));
    gateway.gate.send(&filter).expect(200);
    begun.elapsed()
}

fn silent() {
    let gateway = Plan::new("silent-flood").start();
    let over = AtomicBool::new(false);
    let (opened, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut slowest = Duration::ZERO;
    let mut most = 0;
    thread::scope(|scope| {
        // Three hosts, more sockets each than one may have open, and a new one for each that ends.
        for last in 2..5 {
            for _ in 0..40 {
                let (gate, over, opened, refused) =
                    (gateway.gate.from(last), &over, &opened, &refused);
                scope.spawn(move || {
                    while !over.load(Relaxed) {
                        match Socket::open(&gate, &upgrade("/api/events/out")) {
                            Ok(Ok(mut socket)) => {
                                opened.fetch_add(1, Relaxed);
                                let _ended = socket.next(Duration::from_secs(10));
                            }
                            _ => {
                                refused.fetch_add(1, Relaxed);
                                // Its pace; nothing is waited for.
                                thread::sleep(Duration::from_millis(50));
                            }
                        }
                    }
                });
            }
        }
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(60) {
            slowest = slowest.max(served(&gateway));
            most = most.max(gateway.admin.counter("cluster.prefect_ws.upstream_rq_active"));
            // A worker that shows its key in a header has nothing to do with that.
            let proved = upgrade("/api/events/in").header("authorization", basic(key()));
            let mut proved = Socket::opened(&gateway.gate, &proved);
            proved.send_text(&auth(Value::Null));
            assert_authenticated(&mut proved, "beside silent ones");
        }
        over.store(true, Relaxed);
    });
    let (opened, refused) = (opened.load(Relaxed), refused.load(Relaxed));
    crate::world::say(&format!(
        "{opened} silent sockets in a minute and {refused} refused, at most {most} at once at Prefect, \
         whose slowest answer took {slowest:.2?}"
    ));
    assert!(opened > 300, "no flood: {opened} opened");
    // 32 places in all workers, and the one that is proved.
    assert!(most <= 33, "{most} at once at Prefect");
    assert!(slowest < Duration::from_secs(5), "Prefect's slowest answer took {slowest:?}");
    gateway.admin.assert_vm_alive();
}

fn cost() {
    let gateway = Plan::new("frame-cost").workers(1).start();
    let by_header = upgrade("/api/events/out").header("authorization", basic(key()));
    let time = |request: &Request, message: &str| {
        let mut socket = Socket::opened(&gateway.gate, request);
        let begun = Instant::now();
        socket.send_text(message);
        assert_authenticated(&mut socket, "timed");
        begun.elapsed()
    };
    let (mut held, mut known) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        held.push(time(&upgrade("/api/events/out"), &auth(key())));
        known.push(time(&by_header, &auth(Value::Null)));
    }
    held.sort();
    known.sort();
    let (held, known) = (held[50], known[50]);
    let added = held.saturating_sub(known);
    crate::world::say(&format!(
        "median to auth_success: judged by frame {held:?}, by header {known:?}"
    ));
    assert!(added < Duration::from_millis(1), "{added:?}");
}
