//! Which replies of the provider are silence. Silence is an outage for everybody who would ask; any
//! other answer concerns the one question that was asked.

use crate::Gate;
use crate::config::Config;
use crate::foundation::limits::{CALLOUT_TIMEOUT, REFRESHES_IN_FLIGHT};
use crate::gate::decision::Decision;
use crate::provider::callout::CalloutReply;
use crate::testing::browser::{Browser, SCRIPT};
use crate::testing::{Headers, Outcome, World, basic, compile, configuration, request};
use crate::wire::http::request::RequestView;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A reply of the token endpoint, and whether it is silence.
const REPLIES: &[(Option<u16>, &str, bool)] = &[
    (None, "", true),
    (Some(502), "", true),
    (Some(503), "no healthy upstream", true),
    (Some(504), "", true),
    (Some(400), r#"{"error":"invalid_grant"}"#, false),
    (Some(400), r#"{"error":"invalid_client"}"#, false),
    (Some(400), r#"{"error":"invalid_scope"}"#, false),
    (Some(400), "", false),
    (Some(401), r#"{"error":"invalid_client"}"#, false),
    (Some(403), "<html>", false),
    (Some(404), "", false),
    (Some(429), "", false),
    (Some(500), "", false),
    (Some(501), "", false),
    (Some(505), "", false),
    (Some(200), "not JSON", false),
    (Some(200), r#"{"token_type":"Bearer"}"#, false),
];

fn reply(status: Option<u16>, body: &str) -> CalloutReply<'_> {
    status.map_or(CalloutReply::NoAnswer, |status| CalloutReply::Answer {
        status,
        encoded: false,
        body: body.as_bytes(),
    })
}

fn config() -> Config {
    compile(&configuration())
}

/// The first request's question gets the reply; whether the second one's is sent afterwards.
fn second_is_asked(
    world: &mut World,
    first: &Headers,
    second: &Headers,
    reply: CalloutReply<'_>,
) -> bool {
    let (_gate, outcome) = world.begin(first);
    assert!(matches!(outcome, Outcome::Waiting), "{outcome:?}");
    let (call, _) = world.poll().expect("the first question");
    world.site.on_callout(call, reply, world.now);
    let (_gate, outcome) = world.begin(second);
    let asked = world.poll().is_some();
    assert_eq!(asked, matches!(outcome, Outcome::Waiting), "{outcome:?}");
    asked
}

#[test]
fn an_odd_answer_to_one_session_is_no_outage_for_another() {
    for (status, body, silent) in REPLIES {
        let mut world = World::new();
        let people = due_sessions(&mut world, 2);
        let asked = second_is_asked(&mut world, &people[0], &people[1], reply(*status, body));
        assert_eq!(asked, !silent, "{status:?} {body}");
    }
}

#[test]
fn an_odd_answer_to_one_client_is_no_outage_for_another() {
    for (status, body, silent) in REPLIES {
        let mut world = World::new();
        let mut clients = Vec::new();
        for name in ["one", "two"] {
            world.idp.clients.insert(name.to_owned(), "secret".to_owned());
            let headers = request(
                "GET",
                "/api/flows/1",
                &[("authorization", &basic(&format!("{name}:secret")))],
            );
            // Both have been good before.
            assert_eq!(world.request(&headers).1.status(), 200);
            clients.push(headers);
        }
        world.pass(config().session.recheck.as_secs());
        world.work();
        let asked = second_is_asked(&mut world, &clients[0], &clients[1], reply(*status, body));
        assert_eq!(asked, !silent, "{status:?} {body}");
    }
}

/// A stranger's attempt may be what the provider chokes on: its silence keeps nobody else from
/// asking.
#[test]
fn silence_for_a_stranger_is_no_outage_for_a_known_client() {
    let mut world = World::new();
    world.idp.clients.insert("one".to_owned(), "secret".to_owned());
    let headers = |pair: &str| request("GET", "/api/flows/1", &[("authorization", &basic(pair))]);
    assert_eq!(world.request(&headers("one:secret")).1.status(), 200);
    world.pass(config().session.recheck.as_secs());
    world.work();
    let (stranger, known) = (headers("stranger:guess"), headers("one:secret"));
    assert!(second_is_asked(&mut world, &stranger, &known, CalloutReply::NoAnswer));
}

/// Requests with a session of which the provider must be asked again, one for each of `count`
/// people.
fn due_sessions(world: &mut World, count: usize) -> Vec<Headers> {
    let log_in = |number: usize| {
        world.idp.claims["sub"] = format!("person-{number}").into();
        let mut browser = Browser::default();
        browser.log_in(world, "/");
        browser.headers("GET", "/api/flows/1", &SCRIPT)
    };
    let people = (0..count).map(log_in).collect();
    world.pass(config().session.recheck.as_secs());
    world.work();
    people
}

/// A provider that answers each call late, with an error of its own, is no silence. Its queue must
/// not become a wait for everybody.
#[test]
fn a_session_waits_in_a_queue_for_no_longer_than_a_call_takes() {
    let mut world = World::new();
    let people = due_sessions(&mut world, REFRESHES_IN_FLIGHT + 2);
    let mut gates: Vec<Gate> = people.iter().map(|headers| world.begin(headers).0).collect();
    let calls: Vec<_> = core::iter::from_fn(|| world.poll()).collect();
    assert_eq!(calls.len(), REFRESHES_IN_FLIGHT);
    world.pass(CALLOUT_TIMEOUT.as_secs());
    assert!(world.poll().is_none());
    let queued: Vec<_> = gates.drain(REFRESHES_IN_FLIGHT..).collect();
    assert_eq!(world.site.take_woken(world.now).len(), queued.len());
    for (mut gate, headers) in queued.into_iter().zip(&people[REFRESHES_IN_FLIGHT..]) {
        let decision = gate.on_wake(RequestView { headers }, &mut world.cx());
        assert!(matches!(decision, Decision::Forward { .. }), "in grace: {decision:?}");
    }
    // The places in flight are not lost.
    for (call, _) in calls {
        world.site.on_callout(call, reply(Some(500), ""), world.now);
    }
    world.pass(CALLOUT_TIMEOUT.as_secs());
    assert!(matches!(world.begin(&people[0]).1, Outcome::Waiting));
    assert!(world.poll().is_some());
}

/// Any answer ends an outage, one without a verdict as well.
#[test]
fn an_odd_answer_ends_an_outage_for_the_others() {
    let mut world = World::new();
    let headers = |pair: &str| request("GET", "/api/flows/1", &[("authorization", &basic(pair))]);
    let names = ["one", "two", "three"];
    let pairs = names.map(|name| {
        world.idp.clients.insert(name.to_owned(), "secret".to_owned());
        headers(&format!("{name}:secret"))
    });
    for pair in &pairs {
        assert_eq!(world.request(pair).1.status(), 200);
    }
    world.pass(config().session.recheck.as_secs());
    world.work();
    let (_first, _) = world.begin(&pairs[0]);
    let (_second, _) = world.begin(&pairs[1]);
    let (silent, _) = world.poll().expect("the first question");
    let (odd, _) = world.poll().expect("the second question");
    world.site.on_callout(silent, CalloutReply::NoAnswer, world.now);
    world.site.on_callout(odd, reply(Some(500), ""), world.now);
    assert!(matches!(world.begin(&pairs[2]).1, Outcome::Waiting));
    assert!(world.poll().is_some(), "the third question");
}

/// Which replies show that a browser can be sent to the provider.
#[test]
fn an_error_of_the_providers_own_is_no_contact() {
    for (status, contact) in [
        (Some(200), true),
        (Some(302), true),
        (Some(404), true),
        (Some(429), true),
        (Some(500), false),
        (Some(501), false),
        (Some(503), false),
        (Some(505), false),
        (None, false),
    ] {
        let mut world = World::new();
        world.pass(3600);
        assert!(!world.site.has_contact(world.now), "nothing was heard for an hour");
        world.site.contacted(reply(status, ""), world.now);
        assert_eq!(world.site.has_contact(world.now), contact, "{status:?}");
    }
}
