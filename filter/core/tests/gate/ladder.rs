//! Whom a request counts as, and what is done when an event comes that nobody waits for.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::Gate;
use crate::foundation::stream::StreamId;
use crate::gate::decision::Decision;
use crate::testing::browser::{Browser, NAVIGATION, SCRIPT};
use crate::testing::idp::Mood;
use crate::testing::machines::{PAIR, asks};
use crate::testing::{API_KEY, World, code, reply_header, request, request_to};
use crate::wire::http::request::RequestView;
use serde_json::json;

#[test]
fn a_wake_without_waiting_or_a_reply_to_no_call_refuses() {
    let mut world = World::new();
    let headers = request("GET", "/api/flows/1", &[("x-api-key", API_KEY)]);
    let view = RequestView { headers: &headers };
    for event in 0..3 {
        let (mut gate, outcome) = world.request(&headers);
        outcome.forwarded();
        let decision = match event {
            0 => gate.on_request(view, false, &mut world.cx()),
            1 => gate.on_wake(view, &mut world.cx()),
            _ => gate.on_callout(crate::testing::reply_of(None), view, &mut world.cx()),
        };
        let Decision::Reply(reply) = decision else { panic!("event {event} was not refused") };
        assert_eq!(reply.status, 503);
    }
}

#[test]
fn while_the_provider_is_away_at_start_only_keys_are_served() {
    let mut world = World::starting(&crate::testing::configuration());
    world.idp.mood = Mood::Away;
    world.work();
    let page = world.request(&request("GET", "/", &NAVIGATION)).1.reply();
    assert_eq!((page.status, reply_header(&page, "retry-after")), (503, Some("1")));
    let bearer = world.bearer();
    assert_eq!(
        world
            .request(&request("GET", "/api/flows/1", &[("authorization", &bearer)]))
            .1
            .reply()
            .status,
        503
    );
    assert_eq!(world.request(&request("GET", "/oauth2/ready", &[])).1.reply().status, 503);
    world.request(&request("GET", "/api/flows/1", &[("x-api-key", API_KEY)])).1.forwarded();
    world.idp.mood = Mood::Well;
    world.pass(1);
    world.work();
    assert_eq!(world.request(&request("GET", "/oauth2/ready", &[])).1.reply().status, 200);
    assert_eq!(world.request(&request("GET", "/", &NAVIGATION)).1.reply().status, 302);
}

/// A subject with a quote used to forge a field of the log line.
#[test]
fn a_subject_can_not_forge_a_field_of_the_log() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    world.idp.claims = json!({"sub": "x\" seen=\"nothing", "realm_access": {"roles": []}});
    browser.log_in(&mut world, "/");
    let reply = browser.fetch(&mut world, "GET", "/api/flows/1").reply();
    assert_eq!(
        (code(&reply).as_str(), reply_header(&reply, "www-authenticate")),
        ("no_role", None)
    );
    let line = world.log.iter().find(|line| line.starts_with("refused reason=no_role")).unwrap();
    assert_eq!(line.matches(" seen=\"").count(), 1, "{line}");
}

/// A browser sends its cookie to every host that the cookie's name and scope allow.
#[test]
fn a_session_proves_nobody_at_a_host_for_machines() {
    let leftover = ("authorization", "Basic eDp5");
    for (host, wanted) in [("prefect.example.com", 200), ("api.prefect.example.com", 401)] {
        for extra in [&[][..], &[leftover]] {
            let mut world = World::new();
            let browser = world.log_in();
            let cookie = browser.cookie_header();
            let lines = [&SCRIPT[..], extra, &[("cookie", cookie.as_str())]].concat();
            for path in ["/api/flows/1", "/", "/ui-settings"] {
                let seen = world.request(&request_to(host, "GET", path, &lines)).1.status();
                assert_eq!(seen, wanted, "{host} {path} {extra:?}");
            }
        }
    }
}

/// A request that is woken without a verdict is answered. It does not wait again.
#[test]
fn a_request_waits_once() {
    let mut world = World::new();
    let browser = world.log_in();
    world.pass(301);
    world.idp.rotate("k2");
    let bearer = world.bearer();
    let table = [
        ("a client that the provider has not judged", asks(PAIR), 503),
        ("a token with a new key", request("GET", "/", &[("authorization", &bearer)]), 503),
        ("a session that is due", browser.headers("GET", "/api/flows/1", &SCRIPT), 200),
    ];
    for (what, headers, wanted) in table {
        let mut gate = Gate::new(StreamId(7));
        let view = RequestView { headers: &headers };
        let first = gate.on_request(view, true, &mut world.cx());
        assert!(matches!(first, Decision::AwaitSite), "{what}: {first:?}");
        let seen = match gate.on_wake(view, &mut world.cx()) {
            Decision::Reply(reply) => reply.status,
            Decision::Forward { .. } => 200,
            other => panic!("{what}: {other:?}"),
        };
        assert_eq!(seen, wanted, "{what}");
    }
}
