//! Which replies of the provider are silence. Silence is an outage for everybody who would ask; any other
//! answer concerns the one question that was asked.

use crate::config::Config;
use crate::provider::callout::CalloutReply;
use crate::testing::browser::{Browser, SCRIPT};
use crate::testing::{Headers, Outcome, World, basic, compile, configuration, request};
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
    status.map_or(CalloutReply::NotSent, |status| CalloutReply::Answer {
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
        let people: Vec<Headers> = ["alice-1", "bob-1"]
            .map(|subject| {
                world.idp.claims["sub"] = subject.into();
                let mut browser = Browser::default();
                browser.log_in(&mut world, "/");
                browser
            })
            .iter()
            .map(|browser| browser.headers("GET", "/api/flows/1", &SCRIPT))
            .collect();
        world.pass(config().session.recheck.as_secs());
        world.work();
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

/// A stranger's attempt may be what the provider chokes on: its silence keeps nobody else from asking.
#[test]
fn silence_for_a_stranger_is_no_outage_for_a_known_client() {
    let mut world = World::new();
    world.idp.clients.insert("one".to_owned(), "secret".to_owned());
    let headers = |pair: &str| request("GET", "/api/flows/1", &[("authorization", &basic(pair))]);
    assert_eq!(world.request(&headers("one:secret")).1.status(), 200);
    world.pass(config().session.recheck.as_secs());
    world.work();
    let (stranger, known) = (headers("stranger:guess"), headers("one:secret"));
    assert!(second_is_asked(&mut world, &stranger, &known, CalloutReply::NotSent));
}
