//! While the provider is away, sessions go on for the time of grace.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::testing::browser::{Browser, SCRIPT};
use crate::testing::idp::Mood;
use crate::testing::{Outcome, World, code};
use serde_json::json;

#[test]
fn sessions_outlive_an_absent_provider_for_the_time_of_grace() {
    for mood in [Mood::Away, Mood::NoCluster, Mood::ClientRefused] {
        let mut world = World::new();
        let mut browser = world.log_in();
        world.idp.mood = mood;
        // Recheck is 5 minutes, grace an hour; the tab keeps asking, so idle does not end it.
        for minutes in (5..65).step_by(5) {
            world.pass(300);
            let headers = browser.asks();
            let (mut gate, outcome) = world.request(&headers);
            assert_eq!(outcome.status(), 200, "{mood:?} after {minutes} minutes");
            browser.keep_edit(&world.answer(&mut gate, "200"));
        }
        world.pass(300);
        let reply = browser.fetch(&mut world, "GET", "/api/flows/1").reply();
        assert_eq!((reply.status, code(&reply).as_str()), (503, "idp_unreachable"));
        assert!(browser.session().is_some(), "our trouble does not end a session");
    }
}

/// Requests used to wait for a silent provider in batches, one after the other.
#[test]
fn an_outage_answers_all_that_wait_for_a_recheck() {
    let mut world = World::new();
    let sessions: Vec<Browser> = world.log_in_many(130);
    world.pass(300);
    world.work();
    let mut waiting = Vec::new();
    for browser in &sessions {
        let headers = browser.asks();
        let (gate, outcome) = world.begin(&headers);
        assert!(matches!(outcome, Outcome::Waiting));
        waiting.push((gate, headers));
    }
    let mut calls = Vec::new();
    while let Some((call, _)) = world.poll() {
        calls.push(call);
    }
    assert!(calls.len() >= 64);
    world.site.on_callout(calls[0], crate::testing::reply_of(Some(&(504, Vec::new()))), world.now);
    let mut woken = world.site.take_woken(world.now);
    assert!(
        woken.len() > 60,
        "those that were queued, and the one whose call failed: {}",
        woken.len()
    );
    for call in &calls[1..] {
        world.site.on_callout(*call, crate::testing::reply_of(Some(&(504, Vec::new()))), world.now);
        woken.extend(world.site.take_woken(world.now));
    }
    assert_eq!(woken.len(), 130);
    for (_, outcome) in world.finish_waiting(waiting) {
        outcome.forwarded();
    }
    assert!(world.poll().is_none(), "nobody asks again at once");
}

/// An old cookie does not bring back a role that the provider has taken away, not even in grace.
#[test]
fn an_old_cookie_in_grace_has_the_newest_known_role() {
    let mut world = World::new();
    let mut browser = Browser::default();
    world.idp.claims = json!({"realm_access": {"roles": ["prefect-admin"]}});
    browser.log_in(&mut world, "/");
    let old = browser.clone();
    let asks = |b: &Browser| b.headers("DELETE", "/api/flows/1", &SCRIPT);
    assert!(matches!(world.request(&asks(&old)).1, Outcome::Forwarded(_)), "admin");
    world.pass(301);
    world.work();
    world.idp.claims = json!({"realm_access": {"roles": ["prefect-viewer"]}});
    assert_eq!(world.request(&asks(&old)).1.status(), 403, "rechecked: viewer");
    world.pass(301);
    world.idp.mood = Mood::Away;
    world.work();
    assert_eq!(
        world.request(&asks(&old)).1.status(),
        403,
        "still viewer while the provider is away"
    );
}

#[test]
fn ten_minutes_without_the_provider_fail_no_request_of_ten_people() {
    let mut world = World::new();
    let mut people: Vec<Browser> = (0..10)
        .map(|_| {
            world.pass(37);
            world.work();

            world.log_in()
        })
        .collect();
    for mood in [Mood::Away, Mood::NoCluster, Mood::ClientRefused] {
        world.idp.mood = mood;
        for _ in 0..600 {
            world.pass(1);
            world.work();
            for browser in &mut people {
                assert_eq!(browser.poll(&mut world), 200, "{mood:?}");
            }
        }
        world.idp.mood = Mood::Well;
        world.pass(10);
        world.work();
        for browser in &mut people {
            assert_eq!(browser.poll(&mut world), 200, "after {mood:?}");
        }
    }
}
