//! Parts that are away: Keycloak at the start, Envoy itself while it starts.

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
use crate::recorder::Recorder;
use crate::world::{eventually, prefect_sees_nothing, progress, world};

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
