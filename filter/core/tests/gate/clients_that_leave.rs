//! Clients that leave at each stage (F-15): their places are free again, and nobody waits for them.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::Gate;
use crate::foundation::limits::{LOGINS_IN_FLIGHT, PENDING_SOCKETS, WAITING_REQUESTS};
use crate::foundation::stream::StreamId;
use crate::gate::decision::Decision;
use crate::testing::browser::{Browser, NAVIGATION};
use crate::testing::{Headers, Outcome, World, request};
use crate::wire::http::request::RequestView;
use serde_json::json;

/// A request that is begun and never answered; its gate.
fn begun(world: &mut World, stream: u32, headers: &Headers) -> (Gate, Decision) {
    let mut gate = Gate::new(StreamId(stream));
    world.peer.address = stream.to_be_bytes().to_vec();
    let view = RequestView { headers };
    let decision = gate.on_request(view, false, &mut world.cx());
    (gate, decision)
}

#[test]
fn while_a_code_is_at_the_provider() {
    let mut world = World::new();
    for stream in 0..u32::try_from(3 * LOGINS_IN_FLIGHT).unwrap() {
        let mut browser = Browser::default();
        let callback = browser.start_login(&mut world, "/");
        let headers = browser.headers("GET", &callback, &NAVIGATION);
        let (mut gate, decision) = begun(&mut world, 10_000 + stream, &headers);
        assert!(matches!(decision, Decision::Await(_)), "{stream}: {decision:?}");
        gate.finish(&mut world.site);
    }
    let browser = world.log_in();
    assert!(browser.session().is_some());
}

#[test]
fn while_a_session_is_rechecked() {
    let mut world = World::new();
    let browser = world.log_in();
    world.pass(300);
    let headers = browser.asks();
    for stream in 0..u32::try_from(3 * WAITING_REQUESTS).unwrap() {
        let (mut gate, decision) = begun(&mut world, 10_000 + stream, &headers);
        assert!(matches!(decision, Decision::AwaitSite), "{stream}: {decision:?}");
        gate.finish(&mut world.site);
    }
    // The refresh that they caused is made, and wakes nobody who has left.
    assert!(world.work().is_empty());
    world.request(&headers).1.forwarded();
    assert_eq!(world.idp.called("/realms/prefect/token"), 2);
}

#[test]
fn while_keys_are_fetched() {
    let mut world = World::new();
    world.pass(20);
    world.idp.rotate("k2");
    let token = world.bearer();
    let headers = request("GET", "/api/admin/version", &[("authorization", &token)]);
    for stream in 0..u32::try_from(3 * WAITING_REQUESTS).unwrap() {
        let (mut gate, decision) = begun(&mut world, 10_000 + stream, &headers);
        assert!(matches!(decision, Decision::AwaitSite), "{stream}: {decision:?}");
        gate.finish(&mut world.site);
    }
    world.request(&headers).1.forwarded();
}

#[test]
fn while_a_socket_waits_for_its_first_frame() {
    let mut world = World::new();
    let upgrade = [("upgrade", "websocket"), ("connection", "Upgrade")];
    let headers = request("GET", "/api/events/out", &upgrade);
    for stream in 0..u32::try_from(3 * PENDING_SOCKETS).unwrap() {
        let (mut gate, decision) = begun(&mut world, 10_000 + stream, &headers);
        assert!(matches!(decision, Decision::Forward { .. }), "{stream}: {decision:?}");
        gate.finish(&mut world.site);
    }
    assert!(world.site.pending.is_empty());
}

#[test]
fn while_a_logout_token_is_read_or_waits_for_its_key() {
    let mut settings = crate::testing::configuration();
    settings["prefect"] = json!({"buffered_routes": true});
    let mut world = World::with(&settings);
    world.pass(20);
    world.idp.rotate("k2");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let headers = request("POST", "/oauth2/backchannel_logout", &form);
    let token = world.idp.sign(&json!({"iss": crate::testing::ISSUER}));
    let body = format!("logout_token={token}");
    for stream in 0..u32::try_from(3 * WAITING_REQUESTS).unwrap() {
        let (mut gate, decision) = begun(&mut world, 10_000 + stream, &headers);
        assert!(matches!(decision, Decision::ReadBody(_)));
        if stream % 2 == 0 {
            let step = gate.on_request_data(body.as_bytes(), true, &mut world.cx());
            assert!(matches!(step, crate::gate::decision::DataStep::Hold), "{stream}: {step:?}");
            assert!(gate.is_waiting());
        }
        gate.finish(&mut world.site);
    }
    assert!(world.work().is_empty());
    let answer = world.post(&headers, body.as_bytes(), 100);
    assert!(matches!(answer, Outcome::Reply(reply) if reply.status == 400));
}
