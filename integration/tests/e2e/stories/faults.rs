//! Parts that are away: Keycloak at the start, Envoy itself while it starts, a table of Prefect's.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lictor_integration::download::KEYCLOAK;
use lictor_integration::keycloak;
use lictor_integration::process::Running;

use super::people::assert_refusal;
use super::{Story, story};
use crate::client::{Gate, Request};
use crate::gateway::Plan;
use crate::keycloak_admin::{basic, worker_token};
use crate::keycloak_login::logged_in;
use crate::prefect_client::{OwnServer, server_with};
use crate::recorder::Recorder;
use crate::world::{eventually, prefect_sees_nothing, progress, say, world};

const ABOUT: &str = "faults";

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "a storm of requests while Envoy starts lets nothing through", storm).apart().heavy(),
        story(
            ABOUT,
            "without Keycloak at the start people and tokens get 503, and two seconds after its return all is well",
            no_keycloak,
        )
        .alone(),
        story(ABOUT, "errors of Prefect's fail no reads of others", errors).apart().heavy(),
    ]
}

/// Sends one request after the other until it is over; gives the answers that let something
/// through.
fn hammer<'a>(
    gate: &Gate,
    mut requests: impl Iterator<Item = &'a Request>,
    over: &AtomicBool,
    answered: &AtomicUsize,
) -> Vec<String> {
    let mut wrong = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let request = requests.next().unwrap();
        // Envoy may be away just now.
        let Ok(answer) = gate.try_send(request) else {
            thread::yield_now();
            continue;
        };
        answered.fetch_add(1, Ordering::Relaxed);
        if !matches!(answer.status, 302 | 400..=499 | 503) {
            wrong.push(format!("{} for {request:?}", answer.status));
        }
    }
    wrong
}

fn storm() {
    let recorder = Recorder::start();
    let mut gateway = Plan::new("storm").prefect(recorder.port).start_unready();
    let over = AtomicBool::new(false);
    let answered = AtomicUsize::new(0);
    let alice = logged_in("alice").session();
    let garbage = basic("etl:lk_garbage");
    let requests = [
        Request::get("/api/admin/version"),
        Request::get("/").navigation(),
        Request::post("/api/flows/filter", "{}").header("authorization", &garbage),
        Request::get("/api/admin/settings").header("authorization", "Bearer a.b.c"),
        Request::get("/api/admin/version").header("cookie", "__Host-lictor=\u{ff}garbage").fetch(),
        // Sealed for another origin.
        Request::get("/api/admin/version")
            .header("cookie", format!("__Host-lictor={alice}"))
            .fetch(),
        Request::post("/api/flows/", &"x".repeat(4000)),
    ];
    let wrong = thread::scope(|scope| {
        let hammers: Vec<_> = (0..4)
            .map(|first| {
                let (gate, requests) = (gateway.gate.clone(), requests.iter().cycle().skip(first));
                let (over, answered) = (&over, &answered);
                scope.spawn(move || hammer(&gate, requests, over, answered))
            })
            .collect();
        for start in 0..3 {
            if start > 0 {
                gateway.restart();
            }
            gateway.wait_live();
            let before = answered.load(Ordering::Relaxed);
            eventually("the storm is answered", Duration::from_secs(20), || {
                (answered.load(Ordering::Relaxed) > before + 40).then_some(())
            });
        }
        over.store(true, Ordering::Relaxed);
        hammers.into_iter().flat_map(|hammer| hammer.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(recorder.take().heads, Vec::<String>::new(), "something reached the upstream");
    gateway.admin.assert_vm_alive();
    // And the way through is not simply broken.
    let good = Request::get("/api/admin/version")
        .header("authorization", basic(&world().stack.machine.auth_string));
    gateway.gate.send(&good).expect(200);
    assert_eq!(recorder.take().heads.len(), 1);
}

fn no_keycloak() {
    let world = world();
    let token = worker_token();
    let mut alice = logged_in("alice");
    Running::find(&world.layout, keycloak::PART).unwrap().stop().unwrap();
    let gateway = Plan::new("no-keycloak").start_unready();
    gateway.wait_live();
    let gate = &gateway.gate;
    let bearer =
        Request::get("/api/admin/version").header("authorization", format!("Bearer {token}"));
    prefect_sees_nothing(gateway.admin, || {
        assert_eq!(gate.get("/oauth2/ready").status, 503);
        let answer = gate.send(&bearer).expect(503);
        assert_refusal(&answer, "not_ready");
        let pause: u32 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=10).contains(&pause));
        let page = gate.send(&Request::get("/runs").navigation()).expect(503);
        assert!(page.has("retry-after") && !page.has("set-cookie"));
        assert!(page.header("content-type").unwrap().starts_with("text/html"));
        gate.send(&Request::get("/api/admin/version")).expect(401);
    });
    // Machines with a key and health checks need nobody.
    let key = Request::get("/api/admin/version")
        .header("authorization", basic(&world.stack.machine.auth_string));
    gate.send(&key).expect(200);
    gate.get("/api/health").expect(200);
    // Whoever was there before goes on.
    world.gate.send(&bearer).expect(200);
    alice.fetch("/api/admin/version").expect(200);

    let (home, java) = (&world.installed.keycloak, &world.installed.tools.java_home);
    let launch =
        keycloak::launch(&world.layout, home, java, &KEYCLOAK, &world.secrets, &world.pki).unwrap();
    keycloak::start(&world.layout, launch, &world.secrets, &progress()).unwrap();
    eventually("Keycloak's discovery answers", Duration::from_secs(240), || {
        keycloak::probe(&world.layout).ok()
    });
    let back = Instant::now();
    eventually("Lictor is ready", Duration::from_secs(2), || {
        gate.try_send(&Request::get("/oauth2/ready")).ok().filter(|answer| answer.status == 200)
    });
    // Each worker thread loads for itself.
    eventually(
        "every worker serves",
        Duration::from_secs(2).saturating_sub(back.elapsed()),
        || {
            let all = (0..12).all(|_| {
                gate.send(&bearer).status == 200
                    && gate.send(&Request::get("/runs").navigation()).status == 302
            });
            all.then_some(())
        },
    );
    gateway.admin.assert_vm_alive();
}

/// How many errors Prefect is to answer with.
const ERRORS: usize = 400;

/// Prefect closes a connection a moment after it has answered with an error on it, and does not say
/// so in the answer. Envoy may have sent the next request on it by then.
fn errors() {
    let server = server_with("prefect-errors", &[], "/api");
    let gateway = Plan::new("errors").prefect(server.port).start();
    let as_machine = |request: Request| {
        request
            .host(gateway.gate.machine_host())
            .header("authorization", basic(&world().stack.machine.auth_string))
    };
    let broken = as_machine(Request::post("/api/variables/filter", "{}"));
    gateway.gate.send(&broken).expect(200);
    lose_variables(&server);
    let reads = [
        as_machine(Request::get("/api/admin/version")),
        as_machine(Request::post("/api/flows/filter", r#"{"limit": 1}"#)),
    ];
    let (errors, ending) = (AtomicUsize::new(0), Instant::now() + Duration::from_secs(120));
    let is_over = || errors.load(Ordering::Relaxed) >= ERRORS || Instant::now() > ending;
    let ask = |request: &Request, wanted: u16| {
        let mut failed = Vec::new();
        while !is_over() {
            let answer = gateway.gate.send(request);
            if answer.status != wanted {
                failed.push(format!("{} instead of {wanted}: {}", answer.status, answer.text()));
            } else if wanted == 500 {
                errors.fetch_add(1, Ordering::Relaxed);
            }
        }
        failed
    };
    let failed: Vec<String> = thread::scope(|scope| {
        let [version, flows] = &reads;
        let asked = [(&broken, 500), (&broken, 500), (version, 200), (flows, 200)];
        let asked = asked.map(|(request, wanted)| scope.spawn(move || ask(request, wanted)));
        asked.into_iter().flat_map(|asking| asking.join().unwrap()).collect()
    });
    let errors = errors.load(Ordering::Relaxed);
    let again = gateway.admin.counter("cluster.prefect.upstream_rq_retry");
    say(&format!("{errors} errors of Prefect's; {again} reads were sent again"));
    assert!(errors >= ERRORS, "Prefect does not answer with errors");
    assert_eq!(failed, Vec::<String>::new());
    assert!(again > 0, "no read met a connection that was about to be closed");
    gateway.admin.assert_vm_alive();
}

/// Takes a table away, without which one operation of Prefect's fails.
fn lose_variables(server: &OwnServer) {
    let script = "import sqlite3, sys
with sqlite3.connect(sys.argv[1], timeout=60) as database:
    database.execute('ALTER TABLE variable RENAME TO variable_elsewhere')";
    let mut command = Command::new(&server.python);
    let ended = command.args(["-c", script]).arg(&server.database).status().unwrap();
    assert!(ended.success());
}
