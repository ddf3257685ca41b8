//! One exchange proves the client for all its requests.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::foundation::crypto::to_base64;
use crate::foundation::id::{CredentialId, Id as _};
use crate::provider::callout::CalloutReply;
use crate::site::Call;
use crate::site::SiteCall;
use crate::testing::machines::{PAIR, asks};
use crate::testing::{AUTH_STRING, Outcome, World, basic, code, configuration, header};
use serde_json::json;

#[test]
fn they_are_exchanged_once_and_prove_the_client() {
    let mut world = World::new();
    let headers = world.request(&asks(PAIR)).1.forwarded();
    assert_eq!(header(&headers, "authorization"), Some(basic(AUTH_STRING).as_str()));
    assert_eq!(header(&headers, "x-auth-request-user"), Some("client:etl-worker"));
    for _ in 0..100 {
        assert_eq!(world.status_of(PAIR), 200);
    }
    assert_eq!(world.exchanges(), 1);
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
    assert_eq!(world.exchanges(), 1);
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
        assert_eq!(world.status_of(PAIR), 503, "{answer}: not at once");
        world.pass(5);
        assert_eq!(world.status_of(PAIR), 200, "{answer}");
    }
}

/// The provider signs with a key that is not known yet.
#[test]
fn a_new_key_costs_no_worker_its_place() {
    let mut world = World::new();
    assert_eq!(world.status_of(PAIR), 200);
    let end = world.now.secs() + 3600;
    world.idp.client_claims = json!({ "exp": end });
    world.pass(300);
    world.idp.rotate("k2");
    for _ in 0..5 {
        assert_eq!(world.status_of(PAIR), 200);
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
    let mut world = World::with(&settings);
    assert_eq!(world.status_of(PAIR), 200);
    let reply = world.request(&asks("admin:secret")).1.reply();
    assert_eq!(code(&reply), "credential_not_accepted");
    settings["machines"]["client_credentials"] = json!(false);
    let mut world = World::with(&settings);
    assert_eq!(code(&world.request(&asks(PAIR)).1.reply()), "credential_not_accepted");
    assert_eq!(world.exchanges(), 0);
}

/// RFC 6749 §2.3.1: both are form-encoded before they are joined.
#[test]
fn oa_3_odd_secrets_arrive_as_they_are() {
    let mut world = World::new();
    let secret = "a:b%2B+c dé&=";
    world.idp.clients.insert("ö:t".replace(':', "."), secret.into());
    assert_eq!(world.status_of(&format!("ö.t:{secret}")), 200);
}

#[test]
fn an_answer_to_nobody_is_dropped() {
    let mut world = World::new();
    let reply = CalloutReply::Answer { status: 200, encoded: false, body: b"{}" };
    world.site.on_callout(
        SiteCall(Call::Grant(CredentialId::from_bytes([7; 16]))),
        reply,
        world.now,
    );
    assert_eq!(world.status_of(PAIR), 200);
}

/// What is no client's name and secret never leaves for the provider.
#[test]
fn only_a_name_and_a_secret_are_shown_to_the_provider() {
    let (name, secret) = ("n".repeat(255), "s".repeat(1024));
    let table = [
        (PAIR.to_owned(), true),
        (format!("{name}:{secret}"), true),
        (format!("{name}n:{secret}"), false),
        (format!("{name}:{secret}s"), false),
        (":secret".to_owned(), false),
        ("etl-worker:".to_owned(), false),
        ("Bearer planted:secret".to_owned(), false),
        ("Basic planted:secret".to_owned(), false),
        (format!("Basic {}", to_base64(b"Bearer planted:secret")), false),
        (format!("Basic {}", to_base64(b"Basic planted:secret")), false),
        ("lk_planted:secret".to_owned(), false),
        ("lt_planted:secret".to_owned(), false),
        ("eyJhbGciOiJub25lIn0.e30.AA:secret".to_owned(), false),
    ];
    for (pair, shown) in table {
        let mut world = World::new();
        let reply = world.request(&asks(&pair)).1;
        assert_eq!(world.exchanges(), usize::from(shown), "{pair}");
        if !shown {
            assert_eq!(reply.status(), 401, "{pair}");
            assert!(!world.log.join("").contains("planted"), "{pair}: {:?}", world.log);
        }
    }
}
