//! Masked responses of any size, by HTTP/1.1 and by HTTP/2, whose streams have small windows.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Mutex;

use serde_json::{Value, json};

use super::{ABOUT, Role, by, key, keys};
use crate::client::Request;
use crate::gateway::Plan;
use crate::http2::Http2;
use crate::recorder::{more, read_head};
use crate::stories::{Story, story};
use crate::tcp_server;

const PATH: &str = "/api/events/filter";
const PLANTED: &str = "planted-text-of-a-block";

pub fn stories() -> Vec<Story> {
    vec![story(
        ABOUT,
        "what is masked comes whole by HTTP/2, and too much is refused in words",
        sizes,
    )]
}

/// What the upstream answers: so many bytes of other events, with its length or in chunks.
static ANSWER: Mutex<(usize, bool)> = Mutex::new((0, false));

fn events(bytes: usize) -> String {
    json!({"events": [
        {"event": "prefect.block-document.created", "payload": {"data": PLANTED}},
        {"event": "etl.done", "payload": {"text": "x".repeat(bytes)}},
    ]})
    .to_string()
}

fn answer(mut stream: TcpStream) {
    let mut held = Vec::new();
    while read_head(&mut stream, &mut held).is_some() {
        while held.len() < 2 && more(&mut stream, &mut held) {}
        held.clear();
        let (bytes, chunked) = *ANSWER.lock().unwrap();
        let body = events(bytes);
        let mut answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n".to_vec();
        if chunked {
            answer.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
            for piece in body.as_bytes().chunks(30_000) {
                answer.extend(format!("{:x}\r\n", piece.len()).into_bytes());
                answer.extend_from_slice(piece);
                answer.extend_from_slice(b"\r\n");
            }
            answer.extend_from_slice(b"0\r\n\r\n");
        } else {
            answer.extend(format!("content-length: {}\r\n\r\n{body}", body.len()).into_bytes());
        }
        if stream.write_all(&answer).is_err() {
            return;
        }
    }
}

fn sizes() {
    let port = tcp_server::serve(answer);
    let gateway = Plan::new("masks").prefect(port).patch(json!({ "machines": keys() })).start();
    let gate = gateway.gate.clone();
    for (bytes, chunked, wanted) in [
        (1_000, false, 200),
        (70_000, false, 200),
        (70_000, true, 200),
        (500_000, false, 200),
        (500_000, true, 200),
        (950_000, false, 200),
        (1_100_000, false, 403),
    ] {
        *ANSWER.lock().unwrap() = (bytes, chunked);
        for role in [Role::Viewer, Role::Operator, Role::Worker] {
            let shows_all = role == Role::Worker;
            let wanted = if shows_all { 200 } else { wanted };
            let request = by(&gateway, role, Request::post(PATH, "{}"));
            let by_http1 = gate.send(&request).expect(wanted).json();
            let host = gate.machine_host();
            let mut connection = Http2::begin(gate.http2().connect("localhost").unwrap()).unwrap();
            let secret = key(role);
            let head = [
                (":method", "POST"),
                (":scheme", "https"),
                (":path", PATH),
                (":authority", host.as_str()),
                ("content-type", "application/json"),
                ("x-api-key", secret.as_str()),
            ];
            let about = format!("{bytes} bytes, chunked: {chunked}, {}", role.name());
            let (status, body) = connection.ask(&head, b"{}").unwrap_or_else(|cause| {
                panic!("{about}: {cause}");
            });
            assert_eq!(status, wanted, "{about}");
            let by_http2: Value = serde_json::from_slice(&body).unwrap();
            for seen in [by_http1, by_http2] {
                if wanted == 403 {
                    assert_eq!(seen["code"], "masked_too_large", "{about}");
                    continue;
                }
                assert_eq!(seen["events"][1]["payload"]["text"].as_str().unwrap().len(), bytes);
                assert_eq!(seen.to_string().contains(PLANTED), shows_all, "{about}");
            }
        }
    }
    gateway.admin.assert_vm_alive();
}
