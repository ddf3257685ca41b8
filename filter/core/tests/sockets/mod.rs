//! WebSockets: the handshake, the first frame that proves the client, and the end.

mod end;
mod end_in_outages;
mod first_frame;
mod frames;
mod handshake;
mod held;

use crate::Gate;
use crate::foundation::stream::StreamId;
use crate::gate::decision::DataStep;
use crate::testing::machines::PAIR;
use crate::testing::{API_KEY, World, auth_frame, basic, request};
use crate::wire::websocket;
use serde_json::{Value, json};

/// A handshake of a client that has shown nothing.
pub fn upgrade(extra: &[(&str, &str)]) -> crate::testing::Headers {
    let own = [
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-extensions", "permessage-deflate"),
    ];
    request("GET", "/api/events/out", &[own.as_slice(), extra].concat())
}

/// A socket that the client credentials of etl-worker have opened.
fn open_socket(world: &mut World) -> Gate {
    let mut gate = world.unproved_socket();
    let held = auth_frame(PAIR);
    let mut step = gate.on_request_data(&held, false, &mut world.cx());
    if gate.waits_with_data().is_some() {
        world.work();
        step = gate.on_data_wake(&held, &mut world.cx());
    }
    assert!(matches!(step, DataStep::Replace(_)), "{step:?}");
    assert!(!world.site.sockets.to_be_judged(true, world.now).is_empty(), "not open");
    gate
}

fn ended(world: &mut World) -> Vec<StreamId> {
    world.site.sockets_to_end(None, world.now)
}

/// What Prefect got for a first frame.
pub fn rewritten(step: DataStep) -> Value {
    let DataStep::Replace(bytes) = step else { panic!("{step:?}") };
    let websocket::Read::Frame(frame) = websocket::read(&bytes, 4096) else { panic!("no frame") };
    assert_eq!(frame.length, bytes.len());
    match frame.opcode {
        websocket::TEXT => serde_json::from_slice(&frame.payload).unwrap(),
        _ => json!(u16::from_be_bytes([frame.payload[0], frame.payload[1]])),
    }
}

/// A socket whose client has shown its key in the handshake, and which Prefect has accepted.
fn proved_socket(world: &mut World, path: &str, subprotocol: bool) -> Gate {
    let key = basic(&format!("etl:{API_KEY}"));
    let mut lines =
        vec![("upgrade", "websocket"), ("connection", "Upgrade"), ("authorization", key.as_str())];
    if subprotocol {
        lines.push(("sec-websocket-protocol", "prefect"));
    }
    let (mut gate, outcome) = world.request(&request("GET", path, &lines));
    outcome.forwarded();
    world.answer(&mut gate, "101");
    gate
}
