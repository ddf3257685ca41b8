//! Prefect's sockets, judged by header or by first frame.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::who_is_let_in::assert_alive;
use super::{Story, story};
use crate::client::Request;
use crate::gateway::Plan;
use crate::keycloak_admin::{basic, worker_token};
use crate::recorder::Recorder;
use crate::sockets::{End, Socket, auth, client_frame, upgrade};
use crate::world::{eventually, prefect_sees_nothing, world};

pub const ABOUT: &str = "sockets";
const SOON: Duration = Duration::from_secs(5);
/// A silent socket ends after 5 s.
pub const SILENCE: Duration = Duration::from_secs(8);

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "the right key in the first frame opens every known one", right_key),
        story(ABOUT, "a token in the first frame, or a header, opens one too", other_credentials)
            .counting(),
        story(ABOUT, "wrong, empty and odd first frames are closed with 1008", wrong_frames),
        story(ABOUT, "a silent one ends after five seconds", silent),
        story(
            ABOUT,
            "until it is judged Prefect sees pings at most, and never the client's key",
            replaced,
        )
        .apart(),
        story(ABOUT, "a first frame byte by byte is judged once it is whole", dribbled),
    ]
}

/// The five kinds; the last only where there is such a pool.
fn known() -> Vec<&'static str> {
    let mut known = vec![
        "/api/events/in",
        "/api/events/out",
        "/api/logs/out",
        "/api/task_runs/subscriptions/scheduled",
    ];
    if !world().stack.prefect.version.starts_with("3.4")
        && !world().stack.prefect.version.starts_with("3.6")
    {
        known.push("/api/work_pools/e2e-sockets/workers/connect");
    }
    known
}

pub fn key() -> &'static str {
    &world().stack.machine.auth_string
}

fn make_pool() {
    let pool = json!({"name": "e2e-sockets", "type": "process"}).to_string();
    let made = world()
        .gate
        .send(&Request::post("/api/work_pools/", &pool).header("authorization", basic(key())));
    assert!(matches!(made.status, 201 | 409), "{} {}", made.status, made.text());
}

#[track_caller]
pub fn assert_authenticated(socket: &mut Socket, path: &str) {
    let frame = socket.next(SOON).unwrap_or_else(|end| panic!("{path}: {end:?}"));
    let told: Value = serde_json::from_slice(&frame.payload).unwrap();
    assert_eq!(told["type"], "auth_success", "{path}");
}

fn right_key() {
    make_pool();
    for path in known() {
        let mut socket = Socket::opened(&world().gate, &upgrade(path));
        socket.send_text(&auth(key()));
        assert_authenticated(&mut socket, path);
    }
}

fn other_credentials() {
    let token = worker_token();
    let path = "/api/events/out";
    for presented in [
        token.clone(),
        format!("etl-worker:{token}"),
        format!("Bearer {token}"),
        world().secrets.api_key.clone(),
    ] {
        let mut socket = Socket::opened(&world().gate, &upgrade(path));
        socket.send_text(&auth(presented.as_str()));
        assert_authenticated(&mut socket, &presented[..12]);
    }
    for header in [basic(key()), format!("Bearer {token}")] {
        let mut socket =
            Socket::opened(&world().gate, &upgrade(path).header("authorization", header));
        // Clients with only a custom header send null.
        socket.send_text(&auth(Value::Null));
        assert_authenticated(&mut socket, "by header");
    }
    let wrong = upgrade(path).header("authorization", basic("etl:lk_wrong"));
    let answer = prefect_sees_nothing(world().admin, || Socket::refused(&world().gate, &wrong));
    assert_eq!(answer.status, 401);
}

fn wrong_frames() {
    let frames = [
        auth("etl:lk_wrong"),
        auth("etl:wrong"),
        auth(Value::Null),
        auth(""),
        auth(1),
        auth("a.b.c"),
        auth(world().secrets.prefect_auth_string.as_str()),
        json!({"type": "auth"}).to_string(),
        json!({"type": "filter", "filter": {}}).to_string(),
        "not json".into(),
        "[]".into(),
        format!("{{\"type\":\"auth\",\"token\":\"{}\",\"token\":null}}", key()),
    ];
    for path in known() {
        for frame in &frames {
            let mut socket = Socket::opened(&world().gate, &upgrade(path));
            socket.send_text(frame);
            assert_eq!(socket.end(SOON), End::Close(1008), "{path}: {frame}");
        }
    }
    // No frame that a client may send: the connection goes.
    for bytes in [
        client_frame(2, auth(key()).as_bytes()),
        vec![0x81, 0x01, b'x'],
        vec![0xc1, 0x80, 0, 0, 0, 0],
        client_frame(1, &[b'x'; 5000]),
        client_frame(0, b"x"),
    ] {
        let mut socket = Socket::opened(&world().gate, &upgrade("/api/events/out"));
        socket.send(&bytes);
        let end = socket.end(SILENCE);
        assert!(matches!(end, End::Lost | End::Close(1008)), "{end:?}");
    }
    assert_alive(world().admin);
}

fn silent() {
    let mut one = Socket::opened(&world().gate, &upgrade("/api/events/out"));
    let mut two = Socket::opened(&world().gate, &upgrade("/api/logs/out"));
    let begun = Instant::now();
    // Pings keep nothing open.
    two.send(&client_frame(9, b"still here"));
    assert_eq!(one.end(SILENCE), End::Lost);
    assert!(begun.elapsed() >= Duration::from_secs(4), "ended too soon: {:?}", begun.elapsed());
    assert_eq!(two.next(SOON).unwrap().opcode, 10);
    assert_eq!(two.end(SILENCE), End::Lost);
}

fn replaced() {
    let recorder = Recorder::start();
    let gateway = Plan::new("replaced").prefect(recorder.port).workers(1).start();
    let mut socket = Socket::opened(&gateway.gate, &upgrade("/api/events/out"));
    socket.send(&client_frame(9, b"ping"));
    let pong = socket.next(SOON).unwrap();
    assert_eq!((pong.opcode, pong.payload.as_slice()), (10, b"ping".as_slice()));
    let frames = recorder.look().frames;
    assert_eq!(frames.len(), 1, "{frames:?}");
    socket.send_text(&auth(key()));
    let frames = eventually("the auth frame", SOON, || {
        let frames = recorder.look().frames;
        (frames.len() == 2).then_some(frames)
    });
    let sent: Value = serde_json::from_slice(&frames[1].payload).unwrap();
    assert_eq!(sent, json!({"type": "auth", "token": world().secrets.prefect_auth_string}));
    let bytes = String::from_utf8_lossy(&recorder.take().socket_bytes).into_owned();
    assert!(!bytes.contains("lk_"));
    // Afterwards bytes pass as they are.
    socket.send_text("{\"type\":\"filter\"}");
    eventually("the next frame", SOON, || {
        recorder
            .look()
            .frames
            .first()
            .filter(|frame| frame.text() == "{\"type\":\"filter\"}")
            .cloned()
    });
    // A refused one: Prefect gets a close frame in its place, nothing else.
    recorder.take();
    let mut wrong = Socket::opened(&gateway.gate, &upgrade("/api/events/out"));
    wrong.send(
        &[client_frame(1, auth("etl:lk_wrong").as_bytes()), client_frame(1, b"smuggled")].concat(),
    );
    assert_eq!(wrong.end(SOON), End::Close(1008));
    let seen = recorder.take();
    assert!(seen.frames.iter().all(|frame| frame.opcode == 8), "{:?}", seen.frames);
}

fn dribbled() {
    let mut socket = Socket::opened(&world().gate, &upgrade("/api/events/out"));
    for byte in client_frame(1, auth(key()).as_bytes()) {
        socket.send(&[byte]);
        thread::yield_now();
    }
    assert_authenticated(&mut socket, "dribbled");
}
