//! What ends a personal token, and what does not.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::rc::Rc;

use crate::Site;
use crate::foundation::id::{Id as _, SessionId};
use crate::gate::decision::DataStep;
use crate::testing::logout::buffered;
use crate::testing::store::MemoryStore;
use crate::testing::{FORM, World, auth_frame, compile, host, request};
use crate::tests::credentials::personal_tokens::{made, refused, used};
use crate::wire::http::query::encode;
use crate::workers::SharedStore;
use serde_json::json;

#[test]
fn it_ends_in_time_and_by_every_word_of_the_operator() {
    let mut world = World::with(&buffered());
    let pair = made(&mut world);
    world.pass(35_999);
    used(&mut world, &pair).forwarded();
    world.pass(1);
    refused(&mut world, &pair);
    let mut world = World::with(&buffered());
    let pair = made(&mut world);
    world.work();
    let id = world.log.iter().find_map(|line| {
        let (_, rest) = line.split_once("personal_token: id=")?;
        Some(rest.split_once(' ')?.0.to_owned())
    });
    let id = id.expect("the log names it");
    for machines in [
        json!({ "personal_tokens": { "max": "1s" } }),
        json!({ "personal_tokens": { "revoked": [id] } }),
        json!({ "personal_tokens": false }),
    ] {
        let mut settings = buffered();
        settings["machines"] = machines.clone();
        let mut later = World::with(&settings);
        later.pass(1);
        refused(&mut later, &pair);
    }
    let mut settings = buffered();
    settings["session"] = json!({ "not_before": "2027-01-15T08:00:01Z" });
    refused(&mut World::with(&settings), &pair);
    settings["session"] = json!({ "not_before": "2027-01-15T08:00:00Z" });
    used(&mut World::with(&settings), &pair).forwarded();
    used(&mut world, &pair).forwarded();
}

#[test]
fn a_back_channel_logout_ends_it_at_every_worker() {
    for subject in [json!({ "sid": "sid-1" }), json!({ "sub": "alice-1" })] {
        let store: Rc<dyn SharedStore> = Rc::new(MemoryStore::default());
        let worker = || {
            let mut world = World::with(&buffered());
            world.site = Site::new(compile(&buffered()), host(Rc::clone(&store)));
            world.work();
            world
        };
        let (mut first, mut second) = (worker(), worker());
        let pair = made(&mut first);
        used(&mut second, &pair).forwarded();
        let mut claims = json!({
            "iss": crate::testing::ISSUER, "aud": "prefect", "iat": first.now.secs(),
            "exp": first.now.secs() + 120, "jti": subject.to_string(), "typ": "Logout",
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        });
        crate::testing::idp::merge(&mut claims, &subject);
        let token = first.idp.sign(&claims);
        let body = encode([("logout_token", token.as_str())]);
        let headers = request("POST", "/oauth2/backchannel_logout", &[FORM]);
        assert_eq!(first.post(&headers, body.as_bytes(), 100).status(), 200);
        refused(&mut first, &pair);
        refused(&mut second, &pair);
        // One that is made after it is another.
        first.pass(1);
        let pair = made(&mut first);
        used(&mut first, &pair).forwarded();
    }
}

#[test]
fn a_socket_ends_with_its_personal_token() {
    let mut world = World::with(&buffered());
    let pair = made(&mut world);
    let mut gate = world.unproved_socket();
    let held = auth_frame(&pair);
    let step = gate.on_request_data(&held, false, &mut world.cx());
    assert!(matches!(step, DataStep::Replace(_)), "{step:?}");
    world.pass(35_999);
    assert_eq!(gate.on_request_data(&[], false, &mut world.cx()), DataStep::Pass);
    world.pass(1);
    assert_eq!(gate.on_request_data(&[], false, &mut world.cx()), DataStep::Reset);
}

#[test]
fn a_personal_token_that_was_revoked_stays_revoked() {
    for (session, tokens, life) in [
        (json!({ "absolute": "1h" }), json!({}), 3600),
        (json!({}), json!({ "max": "720h" }), 36_000),
    ] {
        let mut settings = buffered();
        settings["session"] = session;
        settings["machines"]["personal_tokens"] = tokens;
        let mut world = World::with(&settings);
        let pair = made(&mut world);
        let claims = json!({
            "iss": crate::testing::ISSUER, "aud": "prefect", "iat": world.now.secs(), "sid": "sid-1",
            "sub": "alice-1", "exp": world.now.secs() + 120, "jti": "j1", "typ": "Logout",
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        });
        let token = world.idp.sign(&claims);
        let body = encode([("logout_token", token.as_str())]);
        let headers = request("POST", "/oauth2/backchannel_logout", &[FORM]);
        assert_eq!(world.post(&headers, body.as_bytes(), 100).status(), 200);
        assert_eq!(world.status_of(&pair), 401);
        world.pass(life - 1);
        assert_eq!(world.status_of(&pair), 401);
        world.pass(1);
        assert_eq!(world.status_of(&pair), 401, "a revoked token has come back to life");
    }
}

#[test]
fn sign_outs_of_others_end_nobody_s_personal_token() {
    let mut settings = buffered();
    settings["machines"]["personal_tokens"] = json!({ "max": "720h" });
    let mut world = World::with(&settings);
    let pair = made(&mut world);
    assert_eq!(world.status_of(&pair), 200);
    let mut id = 0_u128;
    for day in 1..=25 {
        world.pass(86_400);
        for _ in 0..200 {
            id += 1;
            let now = world.now;
            world.site.sign_out(SessionId::from_bytes(id.to_be_bytes()), now);
        }
        world.work();
        assert_eq!(world.status_of(&pair), 200, "day {day}");
    }
}
