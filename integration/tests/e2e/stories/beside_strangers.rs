//! Strangers of every kind at once, beside a worker, a person and a CI job who work on.

use std::fs;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use super::prefect_runs::{assert_connected, count_runs};
use super::strangers::{answer, half_body};
use super::{Story, story};
use crate::client::{Gate, Request, Tls};
use crate::cookie_client::CookieClient;
use crate::gateway::{Gateway, Plan};
use crate::http1::exchange;
use crate::keycloak_admin::allow_callback;
use crate::keycloak_login::log_in;
use crate::members::{Ending, Served, machine, person};
use crate::prefect_client::{Client, Credential, Setup, newest, server_with};
use crate::sockets::{Socket, upgrade};
use crate::world::{eventually, say};

const ABOUT: &str = "beside strangers";
/// Flow runs that a CI job starts each time.
const RUNS: usize = 2;
/// Requests without a credential during each attack.
const REFUSED: usize = 50_000;
/// The longest that anybody may wait because of strangers.
const WAIT: Duration = Duration::from_secs(5);
/// Sizes of one line about a stranger: in the access log, and in the log of Envoy.
const ENTRY: u64 = 448;
const LINE: u64 = 384;

pub fn stories() -> Vec<Story> {
    vec![
        story(
            ABOUT,
            "a worker, a person and a CI job work on, and heap, metrics and logs stay small",
            attacks,
        )
        .apart()
        .alone(),
    ]
}

/// How often strangers have done each thing.
#[derive(Debug, Default)]
struct Done {
    refused: AtomicUsize,
    health: AtomicUsize,
    halves: AtomicUsize,
    silent: AtomicUsize,
}

/// What Envoy uses.
#[derive(Debug)]
struct Size {
    heap: u64,
    stats: usize,
    logs: u64,
}

impl Size {
    fn of(gateway: &Gateway) -> Self {
        let memory = crate::client::plain(gateway.admin.0, &Request::get("/memory"));
        let memory = memory.unwrap().expect(200).json();
        let log = |part: &str| fs::metadata(gateway.layout.log(part)).map(|file| file.len());
        Self {
            heap: memory["allocated"].as_str().unwrap().parse().unwrap(),
            stats: gateway.admin.stats().lines().count(),
            logs: log("access").unwrap() + log("envoy").unwrap(),
        }
    }
}

/// Strangers from these addresses, until the work is done and enough of their requests have been
/// refused; what a person and a machine got meanwhile.
fn beside(gateway: &Gateway, addresses: &[Gate], done: &Done, work: impl FnOnce()) -> [Served; 2] {
    allow_callback(&gateway.gate.origin());
    let mut alice = CookieClient::new(&gateway.gate);
    log_in(&mut alice, "/", "alice");
    let (about, over) = (format!("stranger-of-{}", addresses.len()), AtomicBool::new(false));
    let is_over = || over.load(Relaxed);
    thread::scope(|scope| {
        let ending = Ending(&over);
        let person = scope.spawn(|| person(alice, &over));
        let machine = scope.spawn(|| machine(&gateway.gate, &over));
        let address = |number: usize| addresses[number % addresses.len()].clone();
        let silence = |gate: Gate| {
            while !is_over() {
                silent_socket(&gate, &done.silent);
            }
        };
        let halves = |gate: Gate, path| {
            while !is_over() {
                half_bodies(&gate, path, &done.halves);
            }
        };
        // A connection that is closed is opened again.
        let health = |gate: Gate| {
            while !is_over() {
                let _closed = health_checks(&gate, &about, &done.health, &over);
            }
        };
        let refused = |gate: Gate| {
            while !is_over() && done.refused.load(Relaxed) < REFUSED {
                let _closed = refusals(&gate, &done.refused);
            }
        };
        for number in 0..100 {
            scope.spawn(move || silence(address(number)));
        }
        for number in 0..10 {
            scope.spawn(move || health(address(number)));
        }
        for number in 0..4 {
            scope.spawn(move || refused(address(number)));
        }
        for (number, path) in ["/oauth2/token", "/oauth2/backchannel_logout"].iter().enumerate() {
            scope.spawn(move || halves(address(number), path));
        }
        let idle: Vec<Tls> = (0..200)
            .map(|number| {
                let mut connection = address(number).connect("localhost").unwrap();
                connection.flush().unwrap();
                connection
            })
            .collect();
        work();
        eventually("enough requests are refused", Duration::from_secs(300), || {
            (done.refused.load(Relaxed) >= REFUSED).then_some(())
        });
        drop((idle, ending));
        [person.join().unwrap(), machine.join().unwrap()]
    })
}

/// Opens a socket and says nothing until it ends.
fn silent_socket(gate: &Gate, opened: &AtomicUsize) {
    match Socket::open(gate, &upgrade("/api/events/out")) {
        Ok(Ok(mut socket)) => {
            opened.fetch_add(1, Relaxed);
            let _ended = socket.next(Duration::from_secs(10));
        }
        // Its pace.
        _ => thread::sleep(Duration::from_millis(50)),
    }
}

/// Begins as many forms as one address may, and more.
fn half_bodies(gate: &Gate, path: &str, begun: &AtomicUsize) {
    let held: Vec<_> = (0..20).map(|_| half_body(gate, path)).collect();
    begun.fetch_add(held.len(), Relaxed);
    for mut connection in held {
        let status = answer(&mut connection).status;
        assert!(matches!(status, 408 | 503), "{path}: {status}");
    }
}

/// Asks for Prefect's health again and again, each time with another name for Envoy's metrics.
fn health_checks(
    gate: &Gate,
    about: &str,
    asked: &AtomicUsize,
    over: &AtomicBool,
) -> io::Result<()> {
    let mut connection = gate.connect("localhost")?;
    while !over.load(Relaxed) {
        let name = format!("{about}-{}", asked.fetch_add(1, Relaxed));
        let request =
            Request::get("/api/health").header("x-envoy-upstream-alt-stat-name", name.as_str());
        exchange(&mut connection, &request.bytes(&gate.public_host()), false)?;
    }
    Ok(())
}

/// Asks for Prefect's API without a credential.
fn refusals(gate: &Gate, refused: &AtomicUsize) -> io::Result<()> {
    let request = Request::get("/api/flows/1").bytes(&gate.machine_host());
    let mut connection = gate.connect("localhost")?;
    while refused.load(Relaxed) < REFUSED {
        assert_eq!(exchange(&mut connection, &request, false)?.status, 401);
        refused.fetch_add(1, Relaxed);
    }
    Ok(())
}

fn access_log(gateway: &Gateway) -> String {
    fs::read_to_string(gateway.layout.log("access")).unwrap()
}

fn attacks() {
    // In a database that others write to as well, SQLite may be locked for a minute.
    let port = server_with("prefect-beside", &[], "/api").port;
    // The access log as in production.
    let gateway = Plan::new("beside")
        .prefect(port)
        .envoy("access_log.others: 100", "access_log.others: 1")
        .start();
    let setup = |credential: Credential| Setup {
        api_url: format!("https://{}/api", gateway.gate.machine_host()),
        ..newest().with(&credential.pair())
    };
    let ci = Client::new("ci-job", setup(Credential::OfClient));
    ci.deploy("beside", RUNS);
    let at_work = Client::new("worker-beside", setup(Credential::ApiKey));
    let worker = at_work.start_worker("beside", &["--limit", "2"]);
    let completed = |count: usize| {
        eventually("the flow runs have ended", Duration::from_secs(180), || {
            assert!(worker.is_alive(), "{}", at_work.log("worker"));
            let ended = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"];
            (count_runs(&gateway.gate, "beside", &ended) == count).then_some(())
        });
        assert_eq!(count_runs(&gateway.gate, "beside", &["COMPLETED"]), count);
    };
    completed(RUNS);
    let mut asked_in_all = [0; 2];
    for (number, (about, addresses)) in [("one address", 3..=3), ("ten addresses", 4..=13)]
        .map(|(about, range)| {
            (about, range.map(|last| gateway.gate.from(last)).collect::<Vec<_>>())
        })
        .into_iter()
        .enumerate()
    {
        let (before, begun) = (Size::of(&gateway), Instant::now());
        let done = Done::default();
        let served = beside(&gateway, &addresses, &done, || {
            let script = ci.folder().join("deploy.py").to_string_lossy().into_owned();
            ci.python(&[&script]).expect_success();
            completed(RUNS * (number + 2));
        });
        let lasted = begun.elapsed();
        let in_time = served.iter().all(|served| served.slowest < WAIT);
        assert!(in_time, "a person and a machine beside {about}: {served:?}");
        eventually("the strangers have gone", Duration::from_secs(30), || {
            (gateway.admin.counter("http.prefect.downstream_cx_active") < 20).then_some(())
        });
        let after = Size::of(&gateway);
        let logs = after.logs - before.logs;
        say(&format!(
            "{about}, {lasted:.0?}: {done:?}; {served:?}; heap {} kB, {} metrics, {} kB of logs more",
            (after.heap as i64 - before.heap as i64) / 1024,
            after.stats as i64 - before.stats as i64,
            logs / 1024
        ));
        // What Envoy and Lictor count for the first time is there after the first attack.
        assert!(after.stats < before.stats + 60, "{before:?} {after:?}");
        assert!(number == 0 || after.heap < before.heap + (8 << 20), "{before:?} {after:?}");
        for (what, times) in
            [("health", &done.health), ("half", &done.halves), ("silent", &done.silent)]
        {
            assert!(times.load(Relaxed) > 20, "{what}: no attack");
        }
        // Nothing of theirs is left out.
        let entries = access_log(&gateway);
        let members = ["user:", "client:etl-worker"].iter().zip(&served).zip(&mut asked_in_all);
        for ((principal, served), asked) in members {
            *asked += served.requests;
            let entry = format!("\"principal\":\"{principal}");
            let count = entries.lines().filter(|line| line.contains(&entry)).count();
            assert!(count >= *asked, "{count} entries of {principal}, of {asked}: {served:?}");
        }
        // Two workers, each with a burst of a thousand lines and 20 lines in each second. The access
        // log has an entry for each of them, as many for requests without a line, such as health
        // checks, and one in a hundred of the rest.
        let lines = 2 * (1000 + 20 * (lasted.as_secs() + 1));
        let asked = done.refused.load(Relaxed) + done.health.load(Relaxed);
        let of_members = served.iter().map(|served| served.requests + 1000).sum::<usize>();
        let entries = 2 * lines + (asked / 75 + of_members) as u64;
        let bound = lines * LINE + entries * ENTRY;
        assert!(logs < bound, "{about}: {logs} bytes of logs, not below {bound}");
    }
    worker.stop().unwrap();
    assert_connected(&at_work.log("worker"));
    gateway.admin.assert_vm_alive();
}
