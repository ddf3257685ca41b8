//! Client credentials in Basic: exchanged at the provider, remembered, renewed, ended.

use crate::foundation::id::{CredentialId, Id as _};
use crate::site::Call;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::rc::Rc;

use crate::Site;
use crate::foundation::limits::ATTEMPTS_PER_CLIENT;
use crate::gate::decision::DataStep;
use crate::provider::callout::CalloutReply;
use crate::site::SiteCall;
use crate::testing::idp::Mood;
use crate::testing::store::MemoryStore;
use crate::testing::{
    AUTH_STRING, Headers, Outcome, World, auth_frame, basic, code, compile, configuration, header,
    host, reply_of, request,
};
use crate::wire::http::request::RequestView;
use crate::wire::websocket;
use crate::workers::SharedStore;
use serde_json::{Value, json};

const PAIR: &str = "etl-worker:planted-secret-of-etl";

fn asks(pair: &str) -> Headers {
    request("GET", "/api/flows/1", &[("authorization", &basic(pair))])
}

fn status(world: &mut World, pair: &str) -> u16 {
    world.request(&asks(pair)).1.status()
}

fn exchanges(world: &World) -> usize {
    world.idp.shown.len()
}

/// A worker process's threads share a store.
fn workers(settings: &Value) -> (World, World) {
    let store: Rc<dyn SharedStore> = Rc::new(MemoryStore::default());
    let worker = || {
        let mut world = World::starting(settings);
        world.site = Site::new(compile(settings), host(Rc::clone(&store)));
        world.work();
        world
    };
    (worker(), worker())
}

#[test]
fn they_are_exchanged_once_and_prove_the_client() {
    let mut world = World::new();
    let headers = world.request(&asks(PAIR)).1.forwarded();
    assert_eq!(header(&headers, "authorization"), Some(basic(AUTH_STRING).as_str()));
    assert_eq!(header(&headers, "x-auth-request-user"), Some("client:etl-worker"));
    for _ in 0..100 {
        assert_eq!(status(&mut world, PAIR), 200);
    }
    assert_eq!(exchanges(&world), 1);
    let counted = world.log.iter().any(|line| line.contains("method=client_credentials"));
    assert!(counted, "{:?}", world.log);
    assert!(!world.log.join("").contains("planted"), "{:?}", world.log);
}

#[test]
fn requests_that_come_together_wait_for_one_exchange() {
    let mut world = World::new();
    let waiting: Vec<_> = (0..50).map(|_| (world.begin(&asks(PAIR)).0, asks(PAIR))).collect();
    let outcomes = world.finish_waiting(waiting);
    assert!(outcomes.iter().all(|(_, outcome)| outcome.status() == 200));
    assert_eq!(exchanges(&world), 1);
}

/// At any rate of requests the provider is asked once in a `recheck`, by all workers together.
#[test]
fn the_provider_is_asked_once_in_a_recheck() {
    let mut settings = configuration();
    settings["session"] = json!({ "recheck": "60s" });
    let (mut first, mut second) = workers(&settings);
    for second_of_ten_minutes in 0..600 {
        for world in [&mut first, &mut second] {
            assert_eq!(status(world, PAIR), 200, "second {second_of_ten_minutes}");
            world.pass(1);
        }
    }
    assert_eq!(exchanges(&first) + exchanges(&second), 10);
}

/// The token ends before `recheck`: the next one is fetched while the old one still counts.
#[test]
fn a_short_token_is_renewed_before_its_end() {
    let mut world = World::new();
    let now = world.now.secs();
    world.idp.client_claims = json!({ "exp": now + 40 });
    assert_eq!(status(&mut world, PAIR), 200);
    world.idp.client_claims = json!({});
    // 40 s and a minute of leeway: half of it has passed.
    world.pass(50);
    let (_, outcome) = world.begin(&asks(PAIR));
    assert_eq!(outcome.status(), 200, "nobody waits");
    assert_eq!(exchanges(&world), 1);
    world.work();
    assert_eq!(exchanges(&world), 2);
    world.pass(51);
    assert_eq!(world.begin(&asks(PAIR)).1.status(), 200);
    assert_eq!(exchanges(&world), 2);
}

#[test]
fn a_provider_that_is_away_ends_nobody_before_the_token_does() {
    let mut world = World::new();
    let end = world.now.secs() + 1800;
    world.idp.client_claims = json!({ "exp": end });
    assert_eq!(status(&mut world, PAIR), 200);
    world.idp.mood = Mood::Away;
    while world.now.secs() < end + 59 {
        world.pass(1);
        assert_eq!(
            status(&mut world, PAIR),
            200,
            "{} s before the end",
            end - world.now.secs().min(end)
        );
    }
    world.pass(1);
    let reply = world.request(&asks(PAIR)).1.reply();
    assert_eq!((reply.status, code(&reply).as_str()), (503, "idp_unreachable"));
    world.idp.mood = Mood::Well;
    world.idp.client_claims = json!({});
    world.pass(6);
    assert_eq!(status(&mut world, PAIR), 200);
}

#[test]
fn grace_has_an_end() {
    let mut settings = configuration();
    settings["session"] = json!({ "recheck": "60s", "grace": "120s" });
    let mut world = World::starting(&settings);
    world.work();
    let now = world.now.secs();
    world.idp.client_claims = json!({ "exp": now + 100_000 });
    assert_eq!(status(&mut world, PAIR), 200);
    world.idp.mood = Mood::Away;
    world.pass(179);
    assert_eq!(status(&mut world, PAIR), 200);
    world.pass(1);
    assert_eq!(status(&mut world, PAIR), 503);
}

#[test]
fn a_client_that_was_revoked_stops_within_recheck_at_every_worker() {
    let (mut first, mut second) = workers(&configuration());
    for world in [&mut first, &mut second] {
        assert_eq!(status(world, PAIR), 200);
        world.idp.clients.clear();
        world.pass(299);
        assert_eq!(status(world, PAIR), 200);
        world.pass(1);
    }
    for world in [&mut first, &mut second] {
        let reply = world.request(&asks(PAIR)).1.reply();
        assert_eq!((reply.status, code(&reply).as_str()), (401, "client_credentials"));
    }
}

#[test]
fn a_refusal_is_remembered_for_longer_each_time() {
    let mut world = World::new();
    for (number, pause) in [2, 4, 8, 16, 32, 64, 64].into_iter().enumerate() {
        for _ in 0..10 {
            assert_eq!(status(&mut world, "etl-worker:wrong"), 401);
        }
        assert_eq!(exchanges(&world), number + 1);
        world.pass(pause);
    }
    // Set right at the provider meanwhile.
    world.idp.clients.insert("etl-worker".into(), "wrong".into());
    assert_eq!(status(&mut world, "etl-worker:wrong"), 200);
    // Another secret of the same client is another matter.
    assert_eq!(status(&mut world, PAIR), 401);
}

#[test]
fn guesses_are_bounded_and_starve_nobody() {
    let mut world = World::new();
    world.idp.clients.insert("other".into(), "secret".into());
    assert_eq!(status(&mut world, PAIR), 200);
    let mut asked = 0;
    for number in 0..10_000 {
        let answer = status(&mut world, &format!("etl-worker:guess-{number}"));
        assert!(matches!(answer, 401 | 503), "{answer}");
        asked += usize::from(answer == 401);
        if number % 100 == 0 {
            assert_eq!(status(&mut world, PAIR), 200, "the known worker");
        }
    }
    // One was the worker's own.
    assert_eq!(asked + 1, ATTEMPTS_PER_CLIENT.burst as usize);
    // The same worker starts anew elsewhere, and another one at the same place.
    world.peer.address = b"198.51.100.7".to_vec();
    assert_eq!(status(&mut world, "other:secret"), 200);
    let mut fresh = World::new();
    fresh.idp.clients.insert("other".into(), "secret".into());
    for number in 0..100 {
        status(&mut fresh, &format!("etl-worker:guess-{number}"));
    }
    assert_eq!(status(&mut fresh, "other:secret"), 200);
    fresh.peer.address = b"198.51.100.7".to_vec();
    assert_eq!(status(&mut fresh, PAIR), 200);
}

/// Renewals have a budget of their own: a flood of guesses in flight holds up no worker.
#[test]
fn a_renewal_is_sent_while_guesses_fill_the_budget() {
    let mut world = World::new();
    assert_eq!(status(&mut world, PAIR), 200);
    world.pass(300);
    world.work();
    for number in 0..200_u32 {
        world.peer.address = number.to_be_bytes().to_vec();
        drop(world.begin(&asks(&format!("guess-{number}:x"))));
    }
    let in_flight: Vec<_> = core::iter::from_fn(|| world.poll())
        .filter(|(call, _)| matches!(call, SiteCall(Call::ClientGrant(_))))
        .collect();
    assert_eq!(in_flight.len(), 32);
    let (gate, outcome) = world.begin(&asks(PAIR));
    assert!(matches!(outcome, Outcome::Waiting));
    let outcomes = world.finish_waiting(vec![(gate, asks(PAIR))]);
    assert_eq!(outcomes[0].1.status(), 200);
}

#[test]
fn answers_that_are_not_this_client_s_are_refused() {
    let cases = [
        (json!({ "azp": "other" }), "azp"),
        (json!({ "azp": null }), "azp"),
        (json!({ "client_id": "other" }), "azp"),
        (json!({ "aud": "account" }), "aud"),
        (json!({ "iss": "https://evil.example" }), "iss"),
        (json!({ "typ": "ID" }), "typ"),
        (json!({ "cnf": { "jkt": "x" } }), "cnf"),
    ];
    for (claims, about) in cases {
        let mut world = World::new();
        world.idp.client_claims = claims.clone();
        let reply = world.request(&asks(PAIR)).1.reply();
        assert_eq!((reply.status, code(&reply).as_str()), (401, "invalid_token"), "{claims}");
        assert!(String::from_utf8(reply.body).unwrap().contains(about), "{claims}");
    }
    let mut world = World::new();
    world.idp.client_claims = json!({ "realm_access": null });
    let reply = world.request(&asks(PAIR)).1.reply();
    assert_eq!((reply.status, code(&reply).as_str()), (403, "no_role"));
}

/// No answer is a verdict that is none: 503, and the next try succeeds.
#[test]
fn useless_answers_refuse_for_a_moment() {
    let odd = [
        (200, &b"<html>Log in</html>"[..]),
        (200, b"{}"),
        (200, br#"{"token_type":"mac","access_token":"x"}"#),
        (400, br#"{"error":"invalid_request"}"#),
        (403, b"<html>HTTPS required</html>"),
        (429, br#"{"error":"slow_down"}"#),
        (500, br#"{"error":"unknown_error"}"#),
        (503, b""),
        (504, b""),
    ];
    for (answer, body) in odd {
        let mut world = World::new();
        world.idp.instead_of_tokens = Some((answer, body.to_vec()));
        let reply = world.request(&asks(PAIR)).1.reply();
        assert_eq!((reply.status, code(&reply).as_str()), (503, "idp_unreachable"), "{answer}");
        world.idp.instead_of_tokens = None;
        assert_eq!(status(&mut world, PAIR), 503, "{answer}: not at once");
        world.pass(5);
        assert_eq!(status(&mut world, PAIR), 200, "{answer}");
    }
}

/// The provider signs with a key that is not known yet.
#[test]
fn a_new_key_costs_no_worker_its_place() {
    let mut world = World::new();
    assert_eq!(status(&mut world, PAIR), 200);
    let end = world.now.secs() + 3600;
    world.idp.client_claims = json!({ "exp": end });
    world.pass(300);
    world.idp.rotate("k2");
    for _ in 0..5 {
        assert_eq!(status(&mut world, PAIR), 200);
        world.pass(1);
    }
}

#[test]
fn a_client_that_leaves_takes_nobody_with_it() {
    let mut world = World::new();
    let (mut first, _) = world.begin(&asks(PAIR));
    let (second, outcome) = world.begin(&asks(PAIR));
    assert!(matches!(outcome, Outcome::Waiting));
    first.finish(&mut world.site);
    let outcomes = world.finish_waiting(vec![(second, asks(PAIR))]);
    assert_eq!(outcomes[0].1.status(), 200);
}

#[test]
fn who_may_try_is_a_setting() {
    let mut settings = configuration();
    settings["machines"]["client_credentials"] = json!({ "clients": ["etl-*", "ci"] });
    let mut world = World::starting(&settings);
    world.work();
    assert_eq!(status(&mut world, PAIR), 200);
    let reply = world.request(&asks("admin:secret")).1.reply();
    assert_eq!(code(&reply), "credential_not_accepted");
    settings["machines"]["client_credentials"] = json!(false);
    let mut world = World::starting(&settings);
    world.work();
    assert_eq!(code(&world.request(&asks(PAIR)).1.reply()), "credential_not_accepted");
    assert_eq!(exchanges(&world), 0);
}

/// RFC 6749 §2.3.1: both are form-encoded before they are joined.
#[test]
fn oa_3_odd_secrets_arrive_as_they_are() {
    let mut world = World::new();
    let secret = "a:b%2B+c dé&=";
    world.idp.clients.insert("ö:t".replace(':', "."), secret.into());
    assert_eq!(status(&mut world, &format!("ö.t:{secret}")), 200);
}

/// What Prefect got for a first frame.
fn rewritten(step: DataStep) -> Value {
    let DataStep::Replace(bytes) = step else { panic!("{step:?}") };
    let websocket::Read::Frame(frame) = websocket::read(&bytes, 4096) else { panic!("no frame") };
    assert_eq!(frame.length, bytes.len());
    match frame.opcode {
        websocket::TEXT => serde_json::from_slice(&frame.payload).unwrap(),
        _ => json!(u16::from_be_bytes([frame.payload[0], frame.payload[1]])),
    }
}

#[test]
fn a_first_frame_is_held_until_the_provider_has_spoken() {
    let mut world = World::new();
    let mut gate = world.unproved_socket();
    let held = auth_frame(PAIR);
    for end in 1..held.len() {
        let step = gate.on_request_data(&held[..end], false, &mut world.cx());
        assert_eq!(step, DataStep::Hold);
        assert!(!gate.waits_with_data().is_some());
    }
    assert_eq!(gate.on_request_data(&held, false, &mut world.cx()), DataStep::Hold);
    assert!(gate.waits_with_data().is_some());
    // More bytes change nothing.
    let more = [held.as_slice(), b"more"].concat();
    assert_eq!(gate.on_request_data(&more, false, &mut world.cx()), DataStep::Hold);
    world.work();
    let step = gate.on_data_wake(&held, &mut world.cx());
    assert_eq!(rewritten(step)["token"], AUTH_STRING);
    // Known now: the next one does not wait.
    let mut gate = world.unproved_socket();
    let step = gate.on_request_data(&held, false, &mut world.cx());
    assert_eq!(rewritten(step)["token"], AUTH_STRING);
    assert_eq!(exchanges(&world), 1);
}

#[test]
fn a_first_frame_that_is_refused_or_not_judged_is_closed_with_the_right_code() {
    for (mood, pair, close) in [
        (Mood::Well, "etl-worker:wrong", 1008),
        (Mood::Away, PAIR, 1013),
        (Mood::NoCluster, PAIR, 1013),
    ] {
        let mut world = World::new();
        let mut gate = world.unproved_socket();
        world.idp.mood = mood;
        let held = auth_frame(pair);
        assert_eq!(gate.on_request_data(&held, false, &mut world.cx()), DataStep::Hold);
        world.work();
        let step = gate.on_data_wake(&held, &mut world.cx());
        assert_eq!(rewritten(step), json!(close), "{mood:?}");
    }
}

/// A socket goes on as long as somebody shows the credentials that opened it, and they are good.
#[test]
fn a_socket_ends_when_its_credentials_do() {
    let mut world = World::new();
    let mut gate = world.unproved_socket();
    let held = auth_frame(PAIR);
    let _ = gate.on_request_data(&held, false, &mut world.cx());
    world.work();
    rewritten(gate.on_data_wake(&held, &mut world.cx()));
    for _ in 0..4 {
        world.pass(200);
        assert_eq!(status(&mut world, PAIR), 200);
        assert_eq!(gate.on_request_data(&[], false, &mut world.cx()), DataStep::Pass);
    }
    world.idp.clients.clear();
    world.pass(300);
    assert_eq!(status(&mut world, PAIR), 401);
    assert_eq!(gate.on_request_data(&[], false, &mut world.cx()), DataStep::Reset);
}

#[test]
fn an_answer_to_nobody_is_dropped() {
    let mut world = World::new();
    let reply = CalloutReply::Answer { status: 200, encoded: false, body: b"{}" };
    world.site.on_callout(
        SiteCall(Call::ClientGrant(CredentialId::from_bytes([7; 16]))),
        reply,
        world.now,
    );
    assert_eq!(status(&mut world, PAIR), 200);
}

/// Another worker asks, and dies: this one asks in its place.
#[test]
fn a_lease_ends() {
    let (mut first, mut second) = workers(&configuration());
    let (_gate, outcome) = first.begin(&asks(PAIR));
    assert!(matches!(outcome, Outcome::Waiting));
    assert!(first.poll().is_some());
    let (mut gate, outcome) = second.begin(&asks(PAIR));
    assert!(matches!(outcome, Outcome::Waiting));
    assert!(second.poll().is_none(), "the other one is asking");
    second.pass(12);
    let (call, callout) = second.poll().expect("its turn");
    let answer = second.idp.answer(&callout, second.now);
    second.site.on_callout(call, reply_of(answer.as_ref()), second.now);
    let headers = asks(PAIR);
    let decision = gate.on_wake(RequestView { headers: &headers }, &mut second.cx());
    assert!(matches!(decision, crate::gate::decision::Decision::Forward { .. }), "{decision:?}");
}

/// A request that finds the other worker's answer before its own worker has looked for it, costs no second
/// exchange, and those that wait are served.
#[test]
fn an_answer_that_was_used_before_it_was_awaited_is_the_awaited_one() {
    let (mut first, mut second) = workers(&configuration());
    let (_gate, _) = first.begin(&asks(PAIR));
    let (call, callout) = first.poll().expect("an exchange");
    let (gate, outcome) = second.begin(&asks(PAIR));
    assert!(matches!(outcome, Outcome::Waiting));
    let answer = first.idp.answer(&callout, first.now);
    first.site.on_callout(call, reply_of(answer.as_ref()), first.now);
    assert_eq!(status(&mut second, PAIR), 200, "from the store");
    second.pass(1);
    let outcomes = second.finish_waiting(vec![(gate, asks(PAIR))]);
    assert_eq!(outcomes[0].1.status(), 200);
    assert_eq!(exchanges(&second), 0);
}
