//! Events of block documents carry texts of their blocks: people get them without, by socket not at
//! all.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::Gate;
use crate::gate::decision::DataStep;
use crate::identity::role::Role;
use crate::site::sockets::SocketVerdict;
use crate::testing::{World, request};
use crate::tests::roles::{key, settings};
use crate::wire::websocket;
use crate::wire::websocket::Read;
use serde_json::{Value, json};

const MASK: [u8; 4] = [1, 2, 3, 4];
const FILTER: &str = r#"{"type":"filter","filter":{"event":{"prefix":["prefect."]}}}"#;

fn text(message: &str) -> Vec<u8> {
    websocket::write(websocket::TEXT, message.as_bytes(), MASK)
}

fn auth(role: Role) -> Vec<u8> {
    text(&json!({"type": "auth", "token": format!("{}:{}", role.name(), key(role))}).to_string())
}

fn world(settings: &Value) -> World {
    World::with(settings)
}

/// A socket to `/events/out` that Prefect has accepted, with or without a credential in its head.
fn socket(world: &mut World, role: Role, by_header: bool) -> Gate {
    if !by_header {
        return world.unproved_socket();
    }
    let key = key(role);
    let upgrade = [("upgrade", "websocket"), ("connection", "Upgrade"), ("x-api-key", &key)];
    let (mut gate, outcome) = world.request(&request("GET", "/api/events/out", &upgrade));
    outcome.forwarded();
    world.answer(&mut gate, "101");
    gate
}

/// What reaches Prefect of what a client sends, in pieces.
fn reaches(world: &mut World, gate: &mut Gate, sent: &[u8], piece: usize) -> Vec<u8> {
    let (mut held, mut on) = (Vec::new(), Vec::new());
    for part in sent.chunks(piece) {
        held.extend_from_slice(part);
        match gate.on_request_data(&held, false, &mut world.cx()) {
            DataStep::Hold => {}
            DataStep::Pass => on.append(&mut held),
            DataStep::Replace(bytes) => {
                held.clear();
                on.extend(bytes);
            }
            other => panic!("{other:?}"),
        }
    }
    on
}

fn messages(mut bytes: &[u8]) -> Vec<Value> {
    let mut all = Vec::new();
    while let Read::Frame(frame) = websocket::read(bytes, 1 << 20) {
        all.push(serde_json::from_slice(&frame.payload).unwrap_or(Value::Null));
        bytes = &bytes[frame.length..];
    }
    assert!(bytes.is_empty());
    all
}

#[test]
fn whoever_may_have_no_secrets_asks_for_no_events_of_blocks() {
    let mut world = world(&settings());
    for (role, excluded) in [
        (Role::Viewer, json!(["prefect.block-document."])),
        (Role::Operator, json!(["prefect.block-document."])),
        (Role::Worker, Value::Null),
        (Role::Admin, Value::Null),
    ] {
        for by_header in [true, false] {
            for piece in [1, 7, 1000] {
                let mut gate = socket(&mut world, role, by_header);
                // At once, too: the second message may come with the first.
                let sent = [auth(role), text(FILTER), text("\"behind\"")].concat();
                let told = messages(&reaches(&mut world, &mut gate, &sent, piece));
                assert_eq!(told.len(), 3, "{} {told:?}", role.name());
                assert_eq!(told[0]["type"], "auth");
                let event = &told[1]["filter"]["event"];
                assert_eq!(event["prefix"], json!(["prefect."]));
                assert_eq!(event["exclude_prefix"], excluded, "{}", role.name());
                assert_eq!(told[2], "behind");
                gate.finish(&mut world.site);
            }
        }
    }
}

#[test]
fn what_is_no_filter_does_not_reach_prefect() {
    let mut world = world(&settings());
    for odd in [r#"{"type":"filter"}"#, r#"{"type":"other","filter":{}}"#, "planted"] {
        let mut gate = socket(&mut world, Role::Viewer, false);
        let sent = [auth(Role::Viewer), text(odd), text(FILTER)].concat();
        let on = reaches(&mut world, &mut gate, &sent, 5);
        let Read::Frame(first) = websocket::read(&on, 1 << 20) else { panic!("no auth frame") };
        let Read::Frame(close) = websocket::read(&on[first.length..], 1 << 20) else {
            panic!("none")
        };
        assert_eq!((close.opcode, &close.payload[..2]), (8, 1002_u16.to_be_bytes().as_slice()));
        assert_eq!(first.length + close.length, on.len(), "{odd}");
        gate.finish(&mut world.site);
    }
}

/// What was asked for in whole ends where it may be had in part only.
#[test]
fn a_socket_that_gets_everything_ends_when_it_may_not() {
    let mut relaxed = settings();
    relaxed["roles"] = json!({ "report_only": true });
    let (mut reporting, mut enforcing) = (world(&relaxed), world(&settings()));
    let mut gate = socket(&mut reporting, Role::Viewer, true);
    let sent = [auth(Role::Viewer), text(FILTER)].concat();
    let told = messages(&reaches(&mut reporting, &mut gate, &sent, 1000));
    assert_eq!(told[1]["filter"]["event"]["exclude_prefix"], Value::Null);
    assert!(reporting.log.join("\n").contains("reported reason=masked"), "{:?}", reporting.log);
    let (_, open) = reporting.site.sockets.to_be_judged(true, reporting.now).remove(0);
    assert_ne!(reporting.site.socket_verdict(&open, reporting.now), SocketVerdict::Close);
    assert_eq!(enforcing.site.socket_verdict(&open, enforcing.now), SocketVerdict::Close);
    let gate = socket(&mut enforcing, Role::Viewer, true);
    let (_, open) = enforcing.site.sockets.to_be_judged(true, enforcing.now).remove(0);
    assert_ne!(enforcing.site.socket_verdict(&open, enforcing.now), SocketVerdict::Close);
    drop(gate);
}
