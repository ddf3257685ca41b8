//! A session is confirmed at the provider every `session.recheck`, and gets what the provider then
//! says.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::rc::Rc;

use crate::Site;
use crate::testing::browser::{Browser, SCRIPT};
use crate::testing::idp::Mood;
use crate::testing::store::MemoryStore;
use crate::testing::{Outcome, World, code, compile, configuration, host};
use crate::tests::sessions::cookies_set;
use crate::workers::SharedStore;
use serde_json::json;

#[test]
fn parallel_requests_of_a_due_session_cause_one_refresh() {
    let mut world = World::new();
    let mut browser = world.log_in();
    world.pass(300);
    let headers = browser.headers("POST", "/api/flows/filter", &SCRIPT);
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let (gate, outcome) = world.begin(&headers);
            assert!(matches!(outcome, Outcome::Waiting));
            (gate, headers.clone())
        })
        .collect();
    let outcomes = world.finish_waiting(waiting);
    assert_eq!(world.idp.called("/realms/prefect/token"), 2, "the login and one refresh");
    for (mut gate, outcome) in outcomes {
        outcome.forwarded();
        let edit = world.answer(&mut gate, "200");
        let cookie = edit
            .add
            .iter()
            .find(|(name, _)| *name == "set-cookie")
            .expect("every tab gets the new cookie");
        assert!(edit.set.contains(&("cache-control", "no-store".into())));
        browser.keep_line(&cookie.1);
    }
    // A tab whose Set-Cookie was lost shows the old cookie and goes on without another refresh.
    world.request(&headers).1.forwarded();
    assert_eq!(world.idp.called("/realms/prefect/token"), 2);
}

#[test]
fn a_refused_refresh_ends_the_session() {
    let mut world = World::new();
    let mut browser = world.log_in();
    world.pass(300);
    world.idp.mood = Mood::RefreshRefused;
    let reply = browser.fetch(&mut world, "POST", "/api/flows/filter").reply();
    assert_eq!((reply.status, code(&reply).as_str()), (401, "session_ended"));
    assert!(browser.session().is_none(), "its cookie is cleared");
    assert_eq!(browser.load(&mut world, "/").reply().status, 302, "a page load logs in again");
}

#[test]
fn roles_are_read_again_at_every_refresh() {
    let mut world = World::new();
    let mut browser = world.log_in();
    let run = "/api/deployments/1/create_flow_run";
    browser.fetch(&mut world, "POST", run).forwarded();
    world.idp.claims = json!({"realm_access": {"roles": ["prefect-viewer"]}});
    world.pass(300);
    let reply = browser.fetch(&mut world, "POST", run).reply();
    assert_eq!((reply.status, code(&reply).as_str()), (403, "role_missing"));
}

#[test]
fn a_refreshed_id_token_of_somebody_else_ends_the_session() {
    for patch in [
        json!({"sub": "bob-1"}),
        json!({"auth_time": 1_799_900_000}),
        json!({"sid": "another"}),
        json!({"iss": "https://x"}),
        json!({"aud": "x"}),
    ] {
        let mut world = World::new();
        let mut browser = world.log_in();
        world.idp.claims = patch.clone();
        world.pass(300);
        assert_eq!(browser.fetch(&mut world, "GET", "/api/flows/1").status(), 401, "{patch}");
    }
}

/// Without metadata a refresh can't be sent; the request used to wait for ever.
#[test]
fn a_due_session_gets_an_answer_while_the_provider_has_never_been_seen() {
    let mut first = World::new();
    let mut browser = first.log_in();
    let mut world = World::starting(&crate::testing::configuration());
    world.idp.mood = Mood::Away;
    world.work();
    world.pass(600);
    world.work();
    browser.fetch(&mut world, "GET", "/api/flows/1").forwarded();
    assert!(world.site.next_poll(world.now).as_millis() > 1, "nothing to hurry for");
}

/// A refresh that is signed with a new key used to lose the refresh token that came with it.
#[test]
fn a_refresh_with_an_unknown_key_keeps_the_rotated_token() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    world.pass(200);
    browser.log_in(&mut world, "/");
    world.pass(150);
    world.work();
    world.pass(150);
    world.idp.rotate("k2");
    browser.fetch(&mut world, "GET", "/api/flows/1").forwarded();
    world.work();
    world.pass(6);
    let (mut gate, outcome) = world.request(&browser.asks());
    outcome.forwarded();
    assert_eq!(cookies_set(&mut world, &mut gate).len(), 1, "confirmed by the second refresh");
    assert_eq!(world.idp.redeemed, ["planted-refresh-token-1", "planted-refresh-token-2"]);
}

/// The end of an old cookie's refresh used to end the newest cookie of the session, too.
#[test]
fn a_stale_cookie_that_is_refused_does_not_end_the_session() {
    let mut world = World::new();
    let mut browser = world.log_in();
    let old = browser.clone();
    let mut other_worker = World::new();
    other_worker.pass(300);
    let headers = browser.asks();
    let (mut gate, outcome) = other_worker.request(&headers);
    outcome.forwarded();
    for cookie in cookies_set(&mut other_worker, &mut gate) {
        browser.keep_line(&cookie);
    }
    world.pass(300);
    world.idp.mood = Mood::RefreshRefused;
    assert_eq!(old.clone().fetch(&mut world, "GET", "/api/flows/1").status(), 401);
    world.idp.mood = Mood::Well;
    world.pass(1);
    browser.fetch(&mut world, "GET", "/api/flows/1").forwarded();
}

/// A refresh token that came without a verdict is put into the cookie.
#[test]
fn a_rotated_token_survives_a_restart() {
    let mut settings = configuration();
    settings["idp"] = json!({"userinfo": true});
    let mut world = World::with(&settings);
    world.idp.userinfo =
        Some(json!({"sub": "alice-1", "realm_access": {"roles": ["prefect-operator"]}}));
    world.idp.claims = json!({"realm_access": null});
    world.idp.strict_rotation = true;
    let mut browser = world.log_in();
    world.pass(301);
    world.work();
    world.idp.userinfo = None;
    let (mut gate, outcome) = world.request(&browser.asks());
    outcome.forwarded();
    browser.keep_edit(&world.answer(&mut gate, "200"));
    // another replica, or this one after a restart
    let store: Rc<dyn SharedStore> = Rc::new(MemoryStore::default());
    world.site = Site::new(compile(&settings), host(store));
    world.work();
    world.idp.userinfo =
        Some(json!({"sub": "alice-1", "realm_access": {"roles": ["prefect-operator"]}}));
    assert_eq!(world.request(&browser.asks()).1.status(), 200);
}

/// Too many that wait are no outage.
#[test]
fn requests_beyond_the_waiting_ones_are_not_let_through() {
    let mut world = World::new();
    let browser = world.log_in();
    world.pass(301);
    world.work();
    world.idp.mood = Mood::RefreshRefused; // the provider has ended the session
    let asks = browser.asks();
    let waiting: Vec<_> = (0..1024).map(|_| world.begin(&asks)).collect();
    assert!(waiting.iter().all(|(_, o)| matches!(o, Outcome::Waiting)));
    let (_, outcome) = world.begin(&asks);
    assert!(!matches!(outcome, Outcome::Forwarded(_)), "an ended session");
}
