//! The handshake: who gets a place, and what a handshake may not bring.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::gate::decision::DataStep;
use crate::identity::role::Role;
use crate::testing::{API_KEY, Outcome, World, auth_frame, code, configuration};
use crate::tests::roles::{by, settings};
use crate::tests::sockets::{open_socket, upgrade};
use serde_json::json;

#[test]
fn sockets_without_a_place_or_by_cookie_are_refused() {
    let mut world = World::new();
    let browser = world.log_in();
    let cookies = browser.cookie_header();
    let reply = world.request(&upgrade(&[("cookie", &cookies)])).1.reply();
    assert_eq!((reply.status, code(&reply).as_str()), (403, "socket_by_cookie"));
    let gates: Vec<_> = (0..16).map(|_| world.request(&upgrade(&[])).0).collect();
    assert_eq!(world.request(&upgrade(&[])).1.reply().status, 503);
    for mut gate in gates {
        gate.finish(&mut world.site);
    }
    world.request(&upgrade(&[])).1.forwarded();
}

/// Without first frames, a handshake needs its credential.
#[test]
fn no_place_is_given_where_first_frames_are_off() {
    let mut settings = configuration();
    settings["websockets"] = json!({"first_frame": false});
    let mut world = World::with(&settings);
    let reply = world.request(&upgrade(&[])).1.reply();
    assert_eq!((reply.status, code(&reply).as_str()), (401, "not_authenticated"));
    world.request(&upgrade(&[("x-api-key", API_KEY)])).1.forwarded();
}

#[test]
fn bytes_before_the_101_end_the_socket() {
    let mut world = World::new();
    let (mut gate, outcome) = world.request(&upgrade(&[]));
    outcome.forwarded();
    let early =
        gate.on_request_data(&auth_frame(&format!("etl:{API_KEY}")), false, &mut world.cx());
    assert_eq!(early, DataStep::Reset);
}

/// Announced bytes would have stood before the first frame.
#[test]
fn a_handshake_with_a_body_is_refused() {
    let mut world = World::new();
    for (line, status) in [
        (("content-length", "5"), 400),
        (("content-length", ""), 400),
        (("transfer-encoding", "chunked"), 400),
        (("content-length", "0"), 200),
    ] {
        let key = crate::testing::basic(&format!("etl:{}", crate::testing::API_KEY));
        let lines = [
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("authorization", key.as_str()),
            line,
        ];
        let headers = crate::testing::request("GET", "/api/events/in", &lines);
        assert_eq!(world.request(&headers).1.status(), status, "{line:?}");
    }
}

/// A socket that trailers have ended gives its places back.
#[test]
fn trailers_leave_no_place_taken() {
    let mut world = World::new();
    let mut gate = open_socket(&mut world);
    assert_eq!(gate.on_request_trailers(&mut world.cx()), DataStep::Reset);
    gate.finish(&mut world.site);
    assert!(world.site.sockets.to_be_judged(true, world.now).is_empty());
    let mut gate = world.unproved_socket();
    assert_eq!(gate.on_request_trailers(&mut world.cx()), DataStep::Reset);
    gate.finish(&mut world.site);
    assert!(world.site.pending.is_empty());
}

/// Prefect itself has room for few sockets, and flow runs can't do without.
#[test]
fn viewers_and_operators_leave_room_for_workers() {
    let mut world = World::with(&settings());
    let mut open = Vec::new();
    let mut opened = |world: &mut World, role: Role, path: &str, count: usize| {
        let mut headers = by(role, "GET", path);
        headers.extend(
            [("upgrade", "websocket"), ("connection", "Upgrade")]
                .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())),
        );
        let gates = (0..count).map(|_| world.request(&headers));
        let forwarded = |outcome: &Outcome| matches!(outcome, Outcome::Forwarded(_));
        let before = open.len();
        open.extend(gates.filter(|(_, outcome)| forwarded(outcome)).map(|(gate, _)| gate));
        open.len() - before
    };
    let people: Vec<usize> =
        Role::for_people().map(|role| opened(&mut world, role, "/api/logs/out", 40)).collect();
    assert!(people.iter().all(|count| *count <= 12), "{people:?}");
    assert_eq!(people.iter().sum::<usize>(), 24, "{people:?}");
    assert_eq!(opened(&mut world, Role::Worker, "/api/events/in", 60), 60);
    assert_eq!(opened(&mut world, Role::Admin, "/api/events/out", 1), 1);
    open.remove(0).finish(&mut world.site);
    assert!(world.log.iter().any(|line| line.contains("too many open sockets")));
}
