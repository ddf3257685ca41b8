//! Client credentials: exchanged at the real Keycloak, on HTTP and in first frames.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::story;
use crate::client::Request;
use crate::keycloak_admin::basic;
use crate::lane::Plan;
use crate::recorder::Recorder;
use crate::sockets::{Socket, auth, upgrade};
use crate::world::{eventually, world};

const ABOUT: &str = "client credentials";
const SOON: Duration = Duration::from_secs(5);

pub fn stories() -> Vec<Trial> {
    vec![
        story(ABOUT, "a worker's own are exchanged, on HTTP", on_http),
        story(
            ABOUT,
            "they are exchanged for a held first frame, and what follows it passes",
            first_frame,
        ),
    ]
}

/// The realm's worker client, as `PREFECT_API_AUTH_STRING` has it.
fn worker() -> String {
    format!("etl-worker:{}", world().secrets.worker_client_secret)
}

fn version(pair: &str) -> Request {
    Request::get("/api/admin/version").header("authorization", basic(pair))
}

fn on_http() {
    let lane = Plan::new("exchange").start();
    let answer = lane.gate.send(&version(&worker()).host(lane.gate.machine_host())).expect(200);
    assert_eq!(answer.text().trim_matches('"'), world().stack.prefect.version);
}

fn first_frame() {
    let recorder = Recorder::start();
    let lane = Plan::new("exchanged-frame").prefect(recorder.port).workers(1).start();
    let mut socket = Socket::opened(&lane.gate, &upgrade("/api/events/out"));
    socket.send_text(&auth(worker()));
    let frames = eventually("the auth frame", SOON, || {
        let frames = recorder.look().frames;
        (!frames.is_empty()).then_some(frames)
    });
    let sent: Value = serde_json::from_slice(&frames[0].payload).unwrap();
    assert_eq!(sent, json!({"type": "auth", "token": world().secrets.prefect_auth_string}));
    for number in 1..5 {
        let text = json!({"type": "filter", "number": number}).to_string();
        socket.send_text(&text);
        eventually("the next frame", SOON, || {
            let frames = recorder.look().frames;
            frames.last().filter(|frame| frame.text() == text).cloned()
        });
        assert_eq!(recorder.look().frames.len(), 1 + number);
    }
    assert!(!String::from_utf8_lossy(&recorder.take().socket_bytes).contains("etl-worker"));
}
