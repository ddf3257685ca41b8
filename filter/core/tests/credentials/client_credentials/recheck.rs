//! The provider is asked again every `session.recheck`: what it says then, and what counts while it
//! says nothing.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::rc::Rc;

use crate::foundation::time::UnixTime;
use crate::testing::idp::Mood;
use crate::testing::machines::{PAIR, asks};
use crate::testing::store::MemoryStore;
use crate::testing::{World, code, configuration};
use crate::tests::credentials::client_credentials::workers;
use serde_json::json;

/// At any rate of requests the provider is asked once in a `recheck`, by all workers together.
#[test]
fn the_provider_is_asked_once_in_a_recheck() {
    let mut settings = configuration();
    settings["session"] = json!({ "recheck": "60s" });
    let (mut first, mut second) = workers(&settings);
    for second_of_ten_minutes in 0..600 {
        for world in [&mut first, &mut second] {
            assert_eq!(world.status_of(PAIR), 200, "second {second_of_ten_minutes}");
            world.pass(1);
        }
    }
    assert_eq!(first.exchanges() + second.exchanges(), 10);
}

/// The token ends before `recheck`: the next one is fetched while the old one still counts.
#[test]
fn a_short_token_is_renewed_before_its_end() {
    let mut world = World::new();
    let now = world.now.secs();
    world.idp.client_claims = json!({ "exp": now + 40 });
    assert_eq!(world.status_of(PAIR), 200);
    world.idp.client_claims = json!({});
    // 40 s and a minute of leeway: half of it has passed.
    world.pass(50);
    let (_, outcome) = world.begin(&asks(PAIR));
    assert_eq!(outcome.status(), 200, "nobody waits");
    assert_eq!(world.exchanges(), 1);
    world.work();
    assert_eq!(world.exchanges(), 2);
    world.pass(51);
    assert_eq!(world.begin(&asks(PAIR)).1.status(), 200);
    assert_eq!(world.exchanges(), 2);
}

#[test]
fn a_provider_that_is_away_ends_nobody_before_the_token_does() {
    let mut world = World::new();
    let end = world.now.secs() + 1800;
    world.idp.client_claims = json!({ "exp": end });
    assert_eq!(world.status_of(PAIR), 200);
    world.idp.mood = Mood::Away;
    while world.now.secs() < end + 59 {
        world.pass(1);
        assert_eq!(
            world.status_of(PAIR),
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
    assert_eq!(world.status_of(PAIR), 200);
}

#[test]
fn grace_has_an_end() {
    let mut settings = configuration();
    settings["session"] = json!({ "recheck": "60s", "grace": "120s" });
    let mut world = World::with(&settings);
    let now = world.now.secs();
    world.idp.client_claims = json!({ "exp": now + 100_000 });
    assert_eq!(world.status_of(PAIR), 200);
    world.idp.mood = Mood::Away;
    world.pass(179);
    assert_eq!(world.status_of(PAIR), 200);
    world.pass(1);
    assert_eq!(world.status_of(PAIR), 503);
}

#[test]
fn a_client_that_was_revoked_stops_within_recheck_at_every_worker() {
    let (mut first, mut second) = workers(&configuration());
    for world in [&mut first, &mut second] {
        assert_eq!(world.status_of(PAIR), 200);
        world.idp.clients.clear();
        world.pass(299);
        assert_eq!(world.status_of(PAIR), 200);
        world.pass(1);
    }
    for world in [&mut first, &mut second] {
        let reply = world.request(&asks(PAIR)).1.reply();
        assert_eq!((reply.status, code(&reply).as_str()), (401, "client_credentials"));
    }
}

#[test]
fn a_clock_that_goes_back_costs_no_worker_its_place() {
    let mut world = World::worker(&Rc::new(MemoryStore::default()));
    assert_eq!(world.status_of(PAIR), 200);
    world.now = UnixTime::from_secs(world.now.secs() - 120);
    world.work();
    for n in 0..20 {
        assert_eq!(world.status_of(PAIR), 200, "request {n}, {} exchanges", world.idp.shown.len());
        world.pass(1);
    }
    assert!(world.idp.shown.len() <= 2);
}

#[test]
fn a_revoked_client_can_not_hold_off_its_end() {
    let mut world = World::new();
    let end = world.now.secs() + 3000;
    world.idp.client_claims = json!({ "exp": end });
    assert_eq!(world.status_of(PAIR), 200);
    world.idp.clients.clear();
    world.pass(300);
    for n in 0..100 {
        world.idp.instead_of_tokens = Some((503, Vec::new()));
        world.status_of(&format!("x{n}:{}", "é".repeat(5000)));
        world.idp.instead_of_tokens = None;
        assert_eq!(world.status_of(PAIR), 401, "{n}: a revoked client goes on");
        world.pass(4);
    }
}

#[test]
fn a_provider_that_says_no_in_other_words_ends_it() {
    let mut world = World::new();
    let end = world.now.secs() + 100_000;
    world.idp.client_claims = json!({ "exp": end });
    assert_eq!(world.status_of(PAIR), 200);
    world.idp.instead_of_tokens = Some((403, br#"{"error":"access_denied"}"#.to_vec()));
    world.pass(300);
    let first = world.status_of(PAIR);
    world.pass(3500);
    let later = world.status_of(PAIR);
    assert_eq!((first, later), (401, 401));
}
