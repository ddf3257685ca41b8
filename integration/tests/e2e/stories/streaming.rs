//! What is large or long passes as it comes: nothing is held back, nothing is cut, and Prefect's
//! own word about load is not changed.

mod upstream;

use std::io::Write as _;
use std::time::{Duration, Instant};

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use self::upstream::{FIRST, REST, Upstream};
use super::{Story, story};
use crate::client::{Gate, Request, Tls};
use crate::cookie_client::CookieClient;
use crate::gateway::{Gateway, Plan};
use crate::http1::{Answer, Reader};
use crate::keycloak_admin::{allow_callback, basic};
use crate::keycloak_login::log_in;
use crate::prefect_client::server_with;
use crate::world::{eventually, world};

const ABOUT: &str = "streaming";
const SOME_RUN: &str = "00000000-0000-4000-8000-000000000001";
const LINES: usize = 100_000;
/// One transaction of Prefect's: it takes all of it or nothing.
const BATCH: usize = 2_500;
/// What Prefect's clients may send at once, with room: its log batches end at 4 MB.
const LARGE: usize = 8 * 1024 * 1024;

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "a download begins at once, and waits for who reads it", download).apart(),
        story(ABOUT, "a body of 8 MB reaches Prefect while it is sent, and whole", upload).apart(),
        story(ABOUT, "Prefect's own 413, 429, 503 and 504 pass as they are", statuses).apart(),
        story(ABOUT, "Prefect takes 8 MB of logs at once", large_batch),
        story(ABOUT, "100,000 lines of a run come down, the first long before the last", lines)
            .apart()
            .early()
            .heavy(),
    ]
}

/// A gate before the scripted upstream, and the ways to ask there.
struct Scene {
    upstream: Upstream,
    gateway: Gateway,
    alice: CookieClient,
}

fn scene(name: &'static str) -> Scene {
    let upstream = Upstream::start();
    let gateway = Plan::new(name).prefect(upstream.port).start();
    allow_callback(&gateway.gate.origin());
    let mut alice = CookieClient::new(&gateway.gate);
    log_in(&mut alice, "/", "alice");
    Scene { upstream, gateway, alice }
}

impl Scene {
    fn as_alice(&self, request: Request) -> Request {
        request.fetch().header("cookie", self.alice.jar.header().unwrap())
    }
}

fn as_machine(request: Request) -> Request {
    request.header("authorization", basic(&world().stack.machine.auth_string))
}

/// Sends a request and leaves the answer to be read bit by bit.
#[track_caller]
fn begin(gate: &Gate, request: &Request) -> Tls {
    let mut stream = gate.connect(&request.sni).unwrap();
    stream.write_all(&request.bytes(&gate.public_host())).unwrap();
    stream
}

/// The next chunk; an empty one is the last.
#[track_caller]
fn chunk(reader: &mut Reader<'_, Tls>) -> Vec<u8> {
    let size = reader.line().unwrap();
    let size = usize::from_str_radix(size.trim(), 16).unwrap_or_else(|_| panic!("no size: {size}"));
    let bytes = reader.take(size).unwrap();
    reader.line().unwrap();
    bytes
}

fn download() {
    let scene = scene("download");
    let asked = || Request::get(format!("/api/flow_runs/{SOME_RUN}/logs/download"));
    for request in [as_machine(asked()), scene.as_alice(asked())] {
        scene.upstream.go_on(false);
        let mut stream = begin(&scene.gateway.gate, &request);
        let mut reader = Reader { stream: &mut stream, held: Vec::new() };
        let head = reader.head().unwrap().expect(200);
        assert_eq!(head.header("content-type"), Some("text/csv; charset=utf-8"));
        // The upstream has not sent more, and will not before it is told.
        assert_eq!(String::from_utf8_lossy(&chunk(&mut reader)), FIRST);
        scene.upstream.go_on(true);

        // Nobody reads here, so the upstream can't get rid of it: no one on the way keeps it.
        let stuck = stands_still(&scene.upstream);
        assert!(stuck < REST / 4 * 3, "{stuck} of {REST} bytes are on the way");
        let paused = "cluster.prefect.upstream_flow_control_paused_reading_total";
        assert!(scene.gateway.admin.counter(paused) > 0, "Envoy went on reading");

        let mut rest = 0;
        loop {
            match chunk(&mut reader).len() {
                0 => break,
                size => rest += size,
            }
        }
        assert_eq!(rest, REST);
    }
    scene.gateway.admin.assert_vm_alive();
}

/// How much was sent when nothing more has gone out for a second.
#[track_caller]
fn stands_still(upstream: &Upstream) -> usize {
    let mut last = (upstream.sent(), Instant::now());
    eventually("the upstream has to wait", Duration::from_secs(30), || {
        let sent = upstream.sent();
        if sent != last.0 {
            last = (sent, Instant::now());
        }
        (last.1.elapsed() > Duration::from_secs(1) && sent > 0).then_some(sent)
    })
}

fn upload() {
    let scene = scene("upload");
    let body: String = ('a'..='z').cycle().take(LARGE).collect();
    let request = as_machine(Request::post("/api/logs/", &body));
    let bytes = request.bytes(&scene.gateway.gate.public_host());
    let (early, late) = bytes.split_at(LARGE / 2);
    let mut stream = scene.gateway.gate.connect(&request.sni).unwrap();
    stream.write_all(early).unwrap();
    // Not all: the last bytes may still be within Envoy.
    eventually("the beginning is there", Duration::from_secs(10), || {
        (scene.upstream.received() > LARGE / 4).then_some(())
    });
    stream.write_all(late).unwrap();
    let answer = Reader { stream: &mut stream, held: Vec::new() }.answer(false).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
    let whole = digest(&SHA256, body.as_bytes()).as_ref().to_vec();
    assert_eq!(scene.upstream.bodies(), [whole]);
}

fn statuses() {
    let scene = scene("statuses");
    let gate = &scene.gateway.gate;
    for (status, headers) in [
        ("413 Content Too Large", &[][..]),
        ("429 Too Many Requests", &[("retry-after", "7")][..]),
        ("503 Service Unavailable", &[("retry-after", "3")][..]),
        ("503 Service Unavailable", &[][..]),
        ("504 Gateway Timeout", &[][..]),
    ] {
        let body = json!({ "exception_message": format!("Prefect says {status}") }).to_string();
        let lines: String =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        scene.upstream.say(&format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{lines}content-length: {}\r\n\r\n{body}",
            body.len()
        ));
        let read = || Request::post("/api/flow_runs/filter", "{}");
        let requests = [
            as_machine(Request::get("/api/flows/1")),
            as_machine(Request::post("/api/logs/", "[]")),
            scene.as_alice(Request::get("/api/flows/1")),
            scene.as_alice(read()).header("origin", gate.origin()),
        ];
        for request in requests {
            let answer = gate.send(&request);
            assert_eq!(answer.status.to_string(), status[..3], "{request:?}");
            assert_eq!(answer.text(), body, "{status}");
            assert_eq!(answer.header("content-type"), Some("application/json"), "{status}");
            let wait: Vec<&str> = answer.all("retry-after").collect();
            assert_eq!(
                wait,
                headers.iter().map(|(_, value)| *value).collect::<Vec<_>>(),
                "{status}"
            );
            assert!(!answer.has("set-cookie") && !answer.has("location"), "{:?}", answer.headers);
        }
    }
    scene.gateway.admin.assert_vm_alive();
}

/// What Prefect answers once SQLite is not busy; its clients ask again, too.
#[track_caller]
fn post(gate: &Gate, path: &str, body: &Value) -> Answer {
    let request = as_machine(Request::post(path, &body.to_string()));
    eventually("Prefect can write", Duration::from_secs(60), || {
        Some(gate.send(&request)).filter(|answer| answer.status != 503)
    })
}

/// A run that only has logs.
#[track_caller]
fn make_run(gate: &Gate, name: &str) -> String {
    let flow = post(gate, "/api/flows/", &json!({ "name": name })).json();
    let state = json!({ "type": "COMPLETED" });
    let run = post(gate, "/api/flow_runs/", &json!({ "flow_id": flow["id"], "state": state }));
    run.expect(201).json()["id"].as_str().unwrap().to_owned()
}

/// Line `number` of a run. No two at the same time: Prefect pages by it.
fn line(run: &str, number: usize, message: &str) -> Value {
    let (seconds, micros) = (number / 1_000_000, number % 1_000_000);
    json!({
        "name": "e2e", "level": 20, "message": message, "flow_run_id": run,
        "timestamp": format!("2026-01-01T00:00:{seconds:02}.{micros:06}Z"),
    })
}

fn large_batch() {
    let gate = &world().gate;
    let run = make_run(gate, "large-batch");
    let message = "x".repeat(LARGE / 80);
    let batch: Vec<Value> = (0..80).map(|number| line(&run, number, &message)).collect();
    let batch = json!(batch);
    assert!(batch.to_string().len() > LARGE);
    assert_eq!(post(gate, "/api/logs/", &batch).expect(201).body, b"null");
    let wanted = json!({ "logs": { "flow_run_id": { "any_": [run] } }, "limit": 200 });
    let stored = post(gate, "/api/logs/filter", &wanted).expect(200).json();
    let lengths =
        stored.as_array().unwrap().iter().map(|log| log["message"].as_str().unwrap().len());
    assert_eq!(lengths.collect::<Vec<_>>(), [message.len(); 80]);
}

fn lines() {
    // Beside a Prefect that writes so much, others of that Prefect would wait.
    let port = server_with("prefect-lines", &[], "/api").port;
    let gateway = Plan::new("lines").prefect(port).start();
    let gate = &gateway.gate;
    let run = make_run(gate, "many-lines");
    for first in (0..LINES).step_by(BATCH) {
        let batch = (first..first + BATCH).map(|number| {
            line(&run, number, &format!("line {number} of a run that has much to say"))
        });
        post(gate, "/api/logs/", &batch.collect()).expect(201);
    }
    let request = as_machine(Request::get(format!("/api/flow_runs/{run}/logs/download")));
    let begun = Instant::now();
    let mut stream = begin(gate, &request);
    let mut reader = Reader { stream: &mut stream, held: Vec::new() };
    reader.head().unwrap().expect(200);
    let (mut text, mut first) = (Vec::new(), None);
    loop {
        let more = chunk(&mut reader);
        if more.is_empty() {
            break;
        }
        text.extend(more);
        // The table's head needs no look into the database.
        if text.iter().filter(|byte| **byte == b'\n').nth(1).is_some() {
            first.get_or_insert_with(|| begun.elapsed());
        }
    }
    let (first, all) = (first.unwrap(), begun.elapsed());
    crate::world::say(&format!("the first line after {first:.2?}, the last after {all:.2?}"));
    let text = String::from_utf8(text).unwrap();
    // The head of the table, and the lines in their order.
    assert_eq!(text.lines().count(), 1 + LINES);
    for (number, line) in text.lines().skip(1).enumerate() {
        assert!(line.contains(&format!(",line {number} of ")), "line {number} is {line}");
    }
    assert!(first < all / 4, "the first line came after {first:?}, the last after {all:?}");
}
