//! The first frame: judged, and replaced by one with Prefect's own credential.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::Gate;
use crate::foundation::stream::StreamId;
use crate::gate::decision::DataStep;
use crate::testing::{API_KEY, AUTH_STRING, World, auth_frame, header, request};
use crate::tests::sockets::{proved_socket, upgrade};
use crate::wire::http::request::RequestView;
use crate::wire::websocket;
use serde_json::json;

#[test]
fn a_first_frame_is_held_judged_and_rewritten() {
    let mut world = World::new();
    let (mut gate, outcome) = world.request(&upgrade(&[]));
    let seen = outcome.forwarded();
    assert_eq!(
        (header(&seen, "authorization"), header(&seen, "sec-websocket-extensions")),
        (None, None)
    );
    world.answer(&mut gate, "101");
    let ping = websocket::write(9, b"hi", [5; 4]);
    assert_eq!(gate.on_request_data(&ping, false, &mut world.cx()), DataStep::Pass);
    let bytes = auth_frame(&format!("etl:{API_KEY}"));
    for end in 1..bytes.len() {
        assert_eq!(
            gate.on_request_data(&bytes[..end], false, &mut world.cx()),
            DataStep::Hold,
            "{end}"
        );
    }
    let DataStep::Replace(sent) = gate.on_request_data(&bytes, false, &mut world.cx()) else {
        panic!("not rewritten")
    };
    let websocket::Read::Frame(sent) = websocket::read(&sent, 4096) else { panic!("no frame") };
    let text = String::from_utf8(sent.payload).unwrap();
    assert!(text.contains(AUTH_STRING) && !text.contains(API_KEY));
    assert_eq!(gate.on_request_data(b"anything", false, &mut world.cx()), DataStep::Pass);
    assert!(world.site.pending.is_empty());
}

#[test]
fn first_frames_that_prove_nobody_are_closed_with_1008() {
    for frame in [
        auth_frame("etl:lk_wrong"),
        auth_frame(AUTH_STRING),
        auth_frame(""),
        auth_frame("eyJ.eyJ.x"),
        websocket::write(websocket::TEXT, br#"{"type":"auth","token":null}"#, [0; 4]),
        websocket::write(websocket::TEXT, br#"{"type":"filter"}"#, [0; 4]),
        websocket::write(2, br#"{"type":"auth"}"#, [0; 4]),
    ] {
        let mut world = World::new();
        let (mut gate, outcome) = world.request(&upgrade(&[]));
        outcome.forwarded();
        world.answer(&mut gate, "101");
        let DataStep::Replace(sent) = gate.on_request_data(&frame, false, &mut world.cx()) else {
            panic!("not replaced")
        };
        let websocket::Read::Frame(close) = websocket::read(&sent, 4096) else {
            panic!("no frame")
        };
        assert_eq!(
            (close.opcode, &close.payload[..2]),
            (websocket::CLOSE, 1008_u16.to_be_bytes().as_slice())
        );
        assert_eq!(sent.len(), close.length, "nothing of the client's follows");
        let more =
            gate.on_request_data(&auth_frame(&format!("etl:{API_KEY}")), false, &mut world.cx());
        assert_eq!(more, DataStep::Replace(Vec::new()), "a refused socket stays refused");
        // Its place stays taken until Prefect has closed, or the time of a silent socket is over.
        world.pass(5);
        assert_eq!(world.site.pending.expire(world.now).len(), 1);
    }
}

/// An auth frame that could not be read used to pass on the events socket, credential and all.
#[test]
fn only_clients_without_subprotocol_may_skip_the_auth_frame() {
    let message = br#"{"type":"auth","token":"etl:lk_x"}"#;
    let whole = websocket::write(websocket::TEXT, message, [1; 4]);
    let fragment = [&[whole[0] & 0x7f], &whole[1..]].concat();
    let binary = websocket::write(2, message, [1; 4]);
    let twice = websocket::write(
        websocket::TEXT,
        br#"{"type":"auth","token":"a:b","token":"c:d"}"#,
        [1; 4],
    );
    let long = websocket::write(websocket::TEXT, &[b'x'; 30_000], [1; 4]);
    for bytes in [fragment, binary, twice, long] {
        let mut world = World::new();
        let mut gate = proved_socket(&mut world, "/api/events/in", true);
        assert_eq!(gate.on_request_data(&bytes, false, &mut world.cx()), DataStep::Reset);
        let mut old_client = proved_socket(&mut world, "/api/events/in", false);
        assert_eq!(old_client.on_request_data(&bytes, false, &mut world.cx()), DataStep::Pass);
    }
    let mut world = World::new();
    let token = "t".repeat(8000);
    let honest = websocket::write(
        websocket::TEXT,
        json!({"type": "auth", "token": format!("x:{token}")}).to_string().as_bytes(),
        [1; 4],
    );
    let mut gate = proved_socket(&mut world, "/api/events/in", true);
    let DataStep::Replace(sent) = gate.on_request_data(&honest, false, &mut world.cx()) else {
        panic!("not rewritten")
    };
    assert!(sent.len() < 200, "a large token is replaced as well");
}

/// Before the first frame, pings of so many bytes pass, at once or one after the other.
#[test]
fn pings_before_the_first_frame_are_bounded_by_their_bytes() {
    let ping = |size: usize| websocket::write(9, &vec![b'p'; size], [1; 4]);
    let largest = ping(125);
    assert_eq!(largest.len() * 4, crate::foundation::limits::PINGS);
    let four = largest.repeat(4);
    let table: [(&str, &[&[u8]], DataStep); 6] = [
        ("four at once", &[&four], DataStep::Pass),
        ("four in turn", &[&largest, &largest, &largest, &largest], DataStep::Pass),
        ("a byte more than four at once", &[&[&four[..], &ping(0)].concat()], DataStep::Reset),
        ("five at once", &[&largest.repeat(5)], DataStep::Reset),
        ("four and a small one", &[&four, &ping(0)], DataStep::Reset),
        ("four and a large one", &[&four, &largest], DataStep::Reset),
    ];
    for (what, reads, last) in table {
        let mut world = World::new();
        let mut gate = world.unproved_socket();
        let steps = reads.iter().map(|read| gate.on_request_data(read, false, &mut world.cx()));
        assert_eq!(steps.last(), Some(last), "{what}");
    }
}

/// Pings of a socket that is proved used to be counted, until it was reset.
#[test]
fn a_proved_socket_may_ping_as_long_as_it_likes() {
    let mut world = World::new();
    let mut gate = proved_socket(&mut world, "/api/events/in", false);
    for _ in 0..1000 {
        assert_eq!(
            gate.on_request_data(
                &websocket::write(9, b"keepalive!", [1; 4]),
                false,
                &mut world.cx()
            ),
            DataStep::Pass
        );
    }
}

/// Prefect's clients open sockets that they may close at once, while an Envoy is rolled over, say:
/// that is no refusal, neither in the log nor to Prefect.
#[test]
fn a_client_that_leaves_before_it_has_spoken_is_refused_nothing() {
    let ping = websocket::write(9, b"1234", [1, 2, 3, 4]);
    let close = websocket::write(websocket::CLOSE, &[3, 232, b'b', b'y', b'e'], [1, 2, 3, 4]);
    let mut world = World::new();
    let mut gate = world.unproved_socket();
    let step = gate.on_request_data(&[ping.as_slice(), &close].concat(), false, &mut world.cx());
    let DataStep::Replace(bytes) = step else { panic!("{step:?}") };
    let rest = bytes.strip_prefix(ping.as_slice()).expect("the ping as it was");
    let websocket::Read::Frame(left) = websocket::read(rest, 4096) else { panic!("no frame") };
    // With the code of whoever leaves, and nothing of what it says.
    assert_eq!((left.opcode, left.payload.as_slice()), (websocket::CLOSE, [3, 232].as_slice()));
    assert_eq!(left.length, rest.len());
    assert!(gate.take_event(&mut world.site, world.now).is_none());
    assert_eq!(
        gate.on_request_data(b"more", false, &mut world.cx()),
        DataStep::Replace(Vec::new())
    );
    // One that is broken off is none.
    let mut gate = world.unproved_socket();
    let step = gate.on_request_data(&close[..3], false, &mut world.cx());
    assert_eq!(step, DataStep::Hold);
}

/// The access log would say that it was forwarded, and nothing else.
#[test]
fn a_refused_key_is_in_the_access_log_however_many_others_are_refused() {
    let mut world = World::new();
    let mut shown = world.unproved_socket();
    let refused = |world: &mut World| world.request(&request("GET", "/api/flows/1", &[])).1.reply();
    for _ in 0..1001 {
        assert_eq!(refused(&mut world).status, 401);
    }
    let mut gate = Gate::new(StreamId(90_000));
    let headers = request("GET", "/api/flows/1", &[]);
    let _ = gate.on_request(RequestView { headers: &headers }, true, &mut world.cx());
    let fields = |gate: &mut Gate, world: &mut World| {
        let event = gate.take_event(&mut world.site, world.now).unwrap();
        assert_eq!(event.line, None, "the limit is reached");
        event.fields().next().map(|(name, value)| (name, value.to_owned()))
    };
    assert_eq!(fields(&mut gate, &mut world), None);
    let step = shown.on_request_data(&auth_frame("etl:lk_wrong"), false, &mut world.cx());
    assert!(matches!(step, DataStep::Replace(_)));
    assert_eq!(fields(&mut shown, &mut world), Some(("lictor.decision", "refused".to_owned())));
}
