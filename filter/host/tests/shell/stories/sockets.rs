//! WebSockets: by a credential in a header, or by the first frame.

use lictor_host::{StreamId, headers};

use super::{Story, Who};
use crate::frame;
use crate::provider::{CLIENT, CLIENT_SECRET, FIRST, machine, sign};
use crate::world::{Request, World, key};

pub const STORIES: &[Story] = &[
    Story::new("socket by header", by_header)
        .known(&["to Prefect as key:worker with the secret, auth with the secret, text, 101"])
        .stranger(&["401 unknown_api_key"]),
    Story::new("socket by first frame", by_first_frame)
        .known(&["to Prefect as nobody, auth with the secret, text, 101"])
        .stranger(&["to Prefect as nobody, close 1008, 101"]),
    Story::new("socket by client credentials", by_client_credentials)
        .known(&["to Prefect as nobody, auth with the secret, text, 101"])
        .stranger(&["to Prefect as nobody, close 1008, 101"]),
    Story::new("socket that stays silent", silent).stranger(&["to Prefect as nobody, 101, reset"]),
    Story::new("socket whose token has ended", ended).known(&[
        "to Prefect as client:etl-worker with the secret, auth with the secret, 101, reset",
    ]),
    Story::new("socket with bytes before it is open", early)
        .stranger(&["to Prefect as nobody, reset"]),
    Story::new("socket of before a configuration", superseded)
        .known(&["to Prefect as key:worker with the secret, auth with the secret, 101, reset"]),
    Story::new("socket with events that are not for it", in_part)
        .known(&["to Prefect as key:viewer with the secret, auth with the secret, text, 101"]),
];

fn upgrade(extra: &[(&str, &str)]) -> Request {
    let own = [
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-protocol", "prefect"),
        ("sec-websocket-extensions", "permessage-deflate"),
    ];
    Request::new("GET", "/api/events/out", &[own.as_slice(), extra].concat()).posing()
}

/// Opens a socket at Prefect; nothing comes of it if it was not forwarded.
fn open(world: &mut World, extra: &[(&str, &str)]) -> Option<StreamId> {
    let mut request = upgrade(extra);
    request.properties.push(("connection.mtls", vec![0]));
    let id = world.send_open(&request);
    world.vm.stream(id)?.upstream()?;
    world.vm.respond(id, headers::from_text(&[(":status", "101")]), false);
    Some(id)
}

/// Bytes of the client's.
fn send(world: &mut World, id: StreamId, step: &str, bytes: &[u8]) {
    world.vm.step(step);
    world.vm.body(id, bytes, false);
}

/// A socket by header: the token of its first frame is replaced all the same.
fn by_header(world: &mut World, who: Who) -> Option<()> {
    let key = if who == Who::Known { key("worker") } else { "lk_wrong".to_owned() };
    world.prepared();
    let id = open(world, &[("x-api-key", &key)])?;
    send(world, id, "auth frame", &frame::auth("x:y"));
    world.vm.response_body(id, &[0x81, 2, b'h', b'i'], false);
    send(world, id, "next frame", &frame::write(frame::TEXT, b"{}"));
    Some(())
}

/// The frame comes in two pieces.
fn by_first_frame(world: &mut World, who: Who) -> Option<()> {
    let pair =
        if who == Who::Known { format!("etl:{}", key("worker")) } else { "etl:lk_no".into() };
    world.prepared();
    let id = open(world, &[])?;
    let first = frame::auth(&pair);
    send(world, id, "auth frame, begun", &first[..9]);
    send(world, id, "auth frame, ended", &first[9..]);
    send(world, id, "next frame", &frame::write(frame::TEXT, b"{}"));
    Some(())
}

/// The frame is held while the provider is asked.
fn by_client_credentials(world: &mut World, who: Who) -> Option<()> {
    let secret = if who == Who::Known { CLIENT_SECRET } else { "wrong" };
    world.prepared();
    let id = open(world, &[])?;
    send(world, id, "auth frame", &frame::auth(&format!("{CLIENT}:{secret}")));
    world.work();
    send(world, id, "next frame", &frame::write(frame::TEXT, b"{}"));
    Some(())
}

fn silent(world: &mut World, _: Who) -> Option<()> {
    world.prepared();
    open(world, &[])?;
    for _ in 0..4 {
        world.pass(5);
        world.vm.tick();
    }
    Some(())
}

/// The next bytes end it, whoever sends them.
fn ended(world: &mut World, _: Who) -> Option<()> {
    let line = format!("Bearer {}", sign(FIRST, &machine(world.now())));
    world.prepared();
    let id = open(world, &[("authorization", &line)])?;
    send(world, id, "auth frame", &frame::auth("x:y"));
    world.pass(361);
    world.vm.step("answer after the end");
    world.vm.response_body(id, &[0x81, 2, b'h', b'i'], false);
    send(world, id, "next frame", &frame::write(frame::TEXT, b"{}"));
    Some(())
}

/// Nothing of a client's goes to Prefect before Prefect has accepted the upgrade.
fn early(world: &mut World, _: Who) -> Option<()> {
    world.prepared();
    let id = world.send_open(&upgrade(&[]));
    send(world, id, "early frame", &frame::auth(&format!("etl:{}", key("worker"))));
    Some(())
}

/// A configuration without the key that has opened it ends a socket.
fn superseded(world: &mut World, _: Who) -> Option<()> {
    world.prepared();
    let id = open(world, &[("x-api-key", &key("worker"))])?;
    send(world, id, "auth frame", &frame::auth("x:y"));
    let mut newer = crate::world::configuration();
    newer["machines"]["api_keys"] = serde_json::json!([]);
    world.vm.configure(&newer.to_string());
    for _ in 0..4 {
        world.pass(1);
        world.vm.tick();
    }
    send(world, id, "next frame", &frame::write(frame::TEXT, b"{}"));
    Some(())
}

/// A viewer's wish for events is rewritten.
fn in_part(world: &mut World, _: Who) -> Option<()> {
    world.prepared();
    let id = open(world, &[("x-api-key", &key("viewer"))])?;
    send(world, id, "auth frame", &frame::auth("x:y"));
    let filter = serde_json::json!({"type": "filter", "filter": {"event": {"prefix": [""]}}});
    let filter = frame::write(frame::TEXT, filter.to_string().as_bytes());
    send(world, id, "filter frame", &filter);
    Some(())
}
