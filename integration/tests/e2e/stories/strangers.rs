//! Clients without a credential: what they may keep busy, and for how long, while others work.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use super::{Story, story};
use crate::client::{Gate, Request, Tls, plain};
use crate::gateway::{Gateway, Plan};
use crate::http1::{Answer, Reader};
use crate::http2::Http2;
use crate::keycloak_admin::basic;
use crate::recorder::{Recorder, read_head};
use crate::sockets::{End, Socket, upgrade};
use crate::tcp_server;
use crate::world::{eventually, say, world};

const ABOUT: &str = "strangers";

pub fn stories() -> Vec<Story> {
    vec![
        story(
            ABOUT,
            "silent sockets leave room for workers, however many threads Envoy has",
            threads,
        )
        .apart(),
        story(ABOUT, "a connection that says nothing ends within two minutes", silent_connection)
            .apart()
            .early(),
        story(
            ABOUT,
            "half bodies are answered after ten seconds, and leave others room",
            half_bodies,
        )
        .apart(),
        story(ABOUT, "floods of health checks leave Prefect's API alone", health).apart(),
        story(
            ABOUT,
            "when memory is short Envoy refuses, and serves again once it is free",
            overload,
        )
        .apart(),
        story(ABOUT, "without Prefect there is a page, or JSON, that says when to try again", away)
            .apart(),
        story(ABOUT, "a browser with 180 cookies gets in by HTTP/2", many_cookies),
        story(ABOUT, "a page at a host for machines leads to the one for people", other_host),
    ]
}

fn by_key(gate: &Gate, request: Request) -> Request {
    let key = basic(&world().stack.machine.auth_string);
    request.host(gate.machine_host()).header("authorization", key)
}

fn silent_connection() {
    let gate = &world().gate;
    let mut connection = gate.connect("localhost").unwrap();
    connection.flush().unwrap();
    connection.sock.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    let begun = Instant::now();
    let mut bytes = Vec::new();
    // Envoy closes it, with or without a word of TLS.
    let _ = connection.read_to_end(&mut bytes);
    let lasted = begun.elapsed();
    assert!(bytes.is_empty(), "{bytes:?}");
    assert!((60..110).contains(&lasted.as_secs()), "{lasted:?}");
}

/// From two addresses, more silent sockets than may be open, at as many Envoy workers as a large
/// machine has; twice, the first time while Envoy starts.
fn threads() {
    let envoys = [("threads-1", 1), ("threads-2", 2), ("threads-8", 8), ("threads-16", 16)];
    for (name, workers) in envoys {
        let recorder = Recorder::start();
        let gateway = Plan::new(name).workers(workers).prefect(recorder.port).start_unready();
        gateway.wait_live();
        let rounds: Vec<_> = (0..2).map(|_| silent_sockets(&gateway)).collect();
        let held: Vec<_> = rounds.iter().map(|(held, _)| *held).collect();
        let waited = rounds.iter().map(|(_, waited)| *waited).max().unwrap();
        say(&format!(
            "{workers} Envoy workers: {held:?} silent sockets held, a worker waited {waited:.2?}"
        ));
        // The worker that is proved may be among them.
        assert!(held.iter().all(|held| (1..=33).contains(held)), "{name}: {held:?}");
        assert!(waited < Duration::from_secs(2), "{name}: {waited:?}");
        gateway.admin.assert_vm_alive();
    }
}

/// Opens silent sockets, and one of a worker that is proved by its header while they are open.
///
/// Returns the largest number of silent ones at Prefect, and how long the worker took to connect.
fn silent_sockets(gateway: &Gateway) -> (u64, Duration) {
    let open = || gateway.admin.counter("cluster.prefect_ws.upstream_rq_active");
    thread::scope(|scope| {
        let asked: Vec<_> = (0..120)
            .map(|number| {
                let gate = gateway.gate.from(if number % 2 == 0 { 3 } else { 4 });
                scope.spawn(move || Socket::open(&gate, &upgrade("/api/events/out")))
            })
            .collect();
        let mut held = eventually("silent sockets are open", Duration::from_secs(10), || {
            Some(open()).filter(|open| *open > 0)
        });
        let begun = Instant::now();
        let key = basic(&world().stack.machine.auth_string);
        let proved = upgrade("/api/events/in").header("authorization", key);
        drop(Socket::opened(&gateway.gate, &proved));
        let waited = begun.elapsed();
        eventually("all are answered", Duration::from_secs(30), || {
            held = held.max(open());
            asked.iter().all(thread::ScopedJoinHandle::is_finished).then_some(())
        });
        // Those that were opened stay silent until Lictor ends them.
        let opened = asked.into_iter().filter_map(|socket| socket.join().unwrap().ok()?.ok());
        for mut socket in opened.collect::<Vec<_>>() {
            assert_eq!(socket.end(Duration::from_secs(10)), End::Lost);
        }
        (held, waited)
    })
}

/// Begins to send a form and stops in the middle.
pub fn half_body(gate: &Gate, path: &str) -> Tls {
    let host = gate.public_host();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: 60000\r\n\r\n{}",
        "a".repeat(30_000)
    );
    let mut connection = gate.connect("localhost").unwrap();
    connection.write_all(head.as_bytes()).unwrap();
    connection.flush().unwrap();
    connection
}

/// The answer to what was sent.
pub fn answer(connection: &mut Tls) -> Answer {
    Reader { stream: connection, held: Vec::new() }.answer(false).unwrap()
}

fn half_bodies() {
    // One worker: the bound is for each.
    let gateway = Plan::new("half-bodies").workers(1).start();
    for path in ["/oauth2/token", "/oauth2/backchannel_logout"] {
        let begun = Instant::now();
        let held: Vec<_> = (0..16).map(|_| half_body(&gateway.gate, path)).collect();
        let mut refused = half_body(&gateway.gate, path);
        assert_eq!(answer(&mut refused).status, 503, "{path}: the 17th of an address");
        assert!(begun.elapsed() < Duration::from_secs(9), "{path}: at once");
        // A form from another address is read meanwhile.
        let form = Request::post(path, "").form("code=x&code_verifier=y");
        assert_eq!(gateway.gate.from(2).send(&form).status, 400, "{path}");
        for mut connection in held {
            let answer = answer(&mut connection);
            assert_eq!(answer.status, 408, "{path}: {}", answer.text());
        }
        let lasted = begun.elapsed();
        assert!((10..25).contains(&lasted.as_secs()), "{path}: {lasted:?}");
        // And their places are free again.
        assert_eq!(gateway.gate.send(&form).status, 400, "{path}");
    }
    gateway.admin.assert_vm_alive();
}

/// Answers health checks late, and all else immediately.
fn late_health(mut stream: TcpStream) {
    let mut held = Vec::new();
    while let Some(head) = read_head(&mut stream, &mut held) {
        held.clear();
        if head.starts_with("GET /api/health") {
            thread::sleep(Duration::from_millis(300));
        }
        let answer =
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4\r\n\r\ntrue";
        if stream.write_all(answer).is_err() {
            return;
        }
    }
}

fn health() {
    let port = tcp_server::serve(late_health);
    let gateway = Plan::new("health-flood").prefect(port).start();
    let (served, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let until = Instant::now() + Duration::from_secs(6);
    let slowest = thread::scope(|scope| {
        for _ in 0..60 {
            scope.spawn(|| {
                while Instant::now() < until {
                    let answer = gateway.gate.send(&Request::get("/api/health"));
                    let counter = if answer.status == 200 { &served } else { &refused };
                    counter.fetch_add(1, Relaxed);
                }
            });
        }
        let mut slowest = Duration::ZERO;
        while Instant::now() < until {
            let begun = Instant::now();
            let request = by_key(&gateway.gate, Request::get("/api/admin/version"));
            gateway.gate.send(&request).expect(200);
            slowest = slowest.max(begun.elapsed());
        }
        slowest
    });
    let open = gateway.admin.counter("cluster.prefect_public.upstream_cx_total");
    let (served, refused) = (served.into_inner(), refused.into_inner());
    say(&format!(
        "{served} health checks served, {refused} refused, a machine waited {slowest:?} at most"
    ));
    assert!(served > 0 && refused > 0, "{served} served, {refused} refused");
    assert!(open > 0 && slowest < Duration::from_secs(3), "{open} connections, {slowest:?}");
}

/// The samples' limits, at a heap that few connections fill.
fn overload() {
    const REFUSES: &str = "overload.envoy.overload_actions.stop_accepting_requests.active";
    let used = {
        let gateway = Plan::new("usual-heap").start();
        let memory = plain(gateway.admin.0, &Request::get("/memory")).unwrap().json();
        let bytes = |name: &str| memory[name].as_str().unwrap().parse::<u64>().unwrap();
        bytes("heap_size") - bytes("pageheap_unmapped")
    };
    let limit = format!("max_heap_size_bytes: {}", used + (32 << 20));
    let gateway = Plan::new("small-heap").envoy("max_heap_size_bytes: 1073741824", limit).start();
    let served = || {
        let request = by_key(&gateway.gate, Request::get("/api/admin/version"));
        gateway.gate.try_send(&request).is_ok_and(|answer| answer.status == 200)
    };
    assert!(served());
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\nx-long: {}", "a".repeat(40_000));
    let mut held = Vec::new();
    eventually("Envoy refuses requests", Duration::from_secs(60), || {
        for last in 3..6 {
            for _ in 0..10 {
                let connected = gateway.gate.from(last).connect("localhost");
                // Once Envoy refuses, connections fail.
                let Ok(mut connection) = connected else { continue };
                let _ = connection.write_all(head.as_bytes()).and_then(|()| connection.flush());
                held.push(connection);
            }
        }
        (gateway.admin.counter(REFUSES) == 1).then_some(())
    });
    eventually("requests are refused", Duration::from_secs(5), || (!served()).then_some(()));
    let connections = held.len();
    drop(held);
    let ended = Instant::now();
    eventually("Envoy serves again", Duration::from_secs(20), || served().then_some(()));
    say(&format!(
        "32 MiB were full with {connections} connections; served again after {:.1?}",
        ended.elapsed()
    ));
    eventually("nothing is refused", Duration::from_secs(20), || {
        (gateway.admin.counter(REFUSES) == 0).then_some(())
    });
    gateway.admin.assert_vm_alive();
}

fn away() {
    // Nobody listens there once it is dropped.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let gateway = Plan::new("no-prefect").prefect(port).start();
    let asked = by_key(&gateway.gate, Request::get("/api/flows/1"));
    let answer = eventually("Envoy gives up", Duration::from_secs(20), || {
        Some(gateway.gate.send(&asked)).filter(|answer| answer.status == 503)
    });
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert_eq!(answer.json()["code"], "prefect_unreachable");
    let page = by_key(&gateway.gate, Request::get("/runs").navigation());
    let page = gateway.gate.send(&page).expect(503);
    assert_eq!(page.header("retry-after"), Some("5"));
    assert!(page.text().contains("Prefect is unavailable"), "{}", page.text());
    let health = gateway.gate.send(&Request::get("/api/health")).expect(503);
    assert_eq!(health.json()["code"], "prefect_unreachable");
    gateway.admin.assert_vm_alive();
}

fn many_cookies() {
    let gate = &world().gate;
    let cookies: Vec<String> = (0..180).map(|number| format!("c{number}=1")).collect();
    let host = gate.public_host();
    let mut head = vec![
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/runs"),
        (":authority", host.as_str()),
        ("accept", "text/html"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    head.extend(cookies.iter().map(|cookie| ("cookie", cookie.as_str())));
    let mut connection = Http2::begin(gate.http2().connect("localhost").unwrap()).unwrap();
    let (status, _) = connection.ask(&head, b"").unwrap();
    assert_eq!(status, 302, "sent to the login");
}

/// Workers print links to the host in `PREFECT_API_URL`.
fn other_host() {
    let gate = &world().gate;
    let at = |path: &str| gate.send(&Request::get(path).host(gate.machine_host()).navigation());
    let answer = at("/runs/flow-run/1?tab=logs").expect(302);
    assert_eq!(answer.location(), format!("{}/runs/flow-run/1?tab=logs", gate.origin()));
    for path in ["/oauth2/start", "/oauth2/nowhere"] {
        let page = at(path).expect(404).text();
        assert!(page.contains(&format!("href=\"{}/", gate.origin())), "{page}");
    }
}
