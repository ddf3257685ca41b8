//! One refresh for each session in all workers of a process (F-13, F-14): the others wait for its
//! result, whoever dies on the way, and what stands in the store is believed only if it opens.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use core::time::Duration;
use std::rc::Rc;

use crate::provider::callout::{Callout, CalloutReply};
use crate::site::SiteCall;
use crate::testing::browser::{Browser, NAVIGATION};
use crate::testing::idp::Mood;
use crate::testing::logout::buffered;
use crate::testing::store::MemoryStore;
use crate::testing::{Headers, Outcome, World, compile, host, reply_of};
use crate::tests::sessions::TOKEN;
use crate::workers::SharedStore;
use crate::{Gate, Site};
use serde_json::json;

/// Two workers, and somebody whose session is due.
fn due() -> (Rc<MemoryStore>, World, World, Browser) {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (World::worker(&store), World::worker(&store));
    let browser = first.log_in();
    first.pass(300);
    second.pass(300);
    first.work();
    second.work();
    (store, first, second, browser)
}

/// So many requests at once, all of which wait.
fn burst(world: &mut World, browser: &Browser, count: usize) -> Vec<(Gate, Headers)> {
    (0..count)
        .map(|_| {
            let headers = browser.asks();
            let (gate, outcome) = world.begin(&headers);
            assert!(matches!(outcome, Outcome::Waiting));
            (gate, headers)
        })
        .collect()
}

/// Everything due but what the provider is asked about sessions, which is given back.
fn next_refresh(world: &mut World) -> (crate::site::SiteCall, crate::provider::callout::Callout) {
    let call = world.poll().expect("a call");
    assert!(matches!(call.0, crate::site::SiteCall(crate::site::Call::Refresh(_))), "{:?}", call.0);
    call
}

#[test]
fn fifty_requests_at_two_workers_are_one_refresh() {
    let (_, mut first, mut second, browser) = due();
    let redeemed = |world: &World| world.idp.called(TOKEN);
    assert_eq!((redeemed(&first), redeemed(&second)), (1, 0), "the login");
    let here = burst(&mut first, &browser, 25);
    let (call, callout) = next_refresh(&mut first);
    let there = burst(&mut second, &browser, 25);
    assert!(second.poll().is_none(), "the first one is asking");
    assert!(second.site.next_poll(second.now) <= Duration::from_millis(10), "it looks again soon");
    let answer = first.idp.answer(&callout, first.now);
    first.site.on_callout(call, reply_of(answer.as_ref()), first.now);
    for (world, waiting) in [(&mut first, here), (&mut second, there)] {
        for (mut gate, outcome) in world.finish_waiting(waiting) {
            outcome.forwarded();
            let edit = world.answer(&mut gate, "200");
            assert!(edit.add.iter().any(|(name, _)| *name == "set-cookie"), "the renewed cookie");
        }
    }
    assert_eq!(redeemed(&first) + redeemed(&second), 2);
}

/// Two workers that get requests at the same instant read the clock one after the other, and may
/// come to the store the other way round.
#[test]
fn a_worker_that_read_the_clock_earlier_sees_the_lease_of_a_later_reading() {
    let (_, mut first, mut second, browser) = due();
    first.now = second.now.plus(Duration::from_millis(1));
    let _here = burst(&mut first, &browser, 1);
    let _call = next_refresh(&mut first);
    let _there = burst(&mut second, &browser, 1);
    assert!(second.poll().is_none(), "the first one is asking");
}

/// A client that lost its `Set-Cookie` goes on with the old cookie, at either worker.
#[test]
fn the_old_cookie_goes_on_at_another_worker() {
    let (_, mut first, mut second, browser) = due();
    first.request(&browser.asks()).1.forwarded();
    second.request(&browser.asks()).1.forwarded();
    assert_eq!(second.idp.called(TOKEN), 0);
    // Due again, the next refresh starts from the token that the first one got.
    second.pass(301);
    second.work();
    second.request(&browser.asks()).1.forwarded();
    assert_eq!(second.idp.redeemed, ["planted-refresh-token-2"]);
}

#[test]
fn a_session_that_has_ended_has_ended_everywhere() {
    let (_, mut first, mut second, browser) = due();
    first.idp.mood = Mood::RefreshRefused;
    assert_eq!(first.request(&browser.asks()).1.status(), 401);
    assert_eq!(second.request(&browser.asks()).1.status(), 401);
    assert_eq!(second.idp.called(TOKEN), 0, "nobody asks twice");
}

#[test]
fn an_outage_that_one_worker_met_is_grace_at_the_others() {
    let (_, mut first, mut second, browser) = due();
    first.idp.mood = Mood::Away;
    first.request(&browser.asks()).1.forwarded();
    second.request(&browser.asks()).1.forwarded();
    assert_eq!(second.idp.called(TOKEN), 0);
    second.pass(6);
    second.request(&browser.asks()).1.forwarded();
    assert_eq!(second.idp.called(TOKEN), 1, "after a pause it is tried again");
}

#[test]
fn a_worker_that_dies_while_it_asks_is_followed_by_another() {
    let (_, mut first, mut second, browser) = due();
    let _lost = burst(&mut first, &browser, 1);
    let _call = next_refresh(&mut first);
    let mut waiting = burst(&mut second, &browser, 3);
    second.pass(10);
    assert!(second.poll().is_none(), "the lease stands");
    second.pass(1);
    let outcomes = second.finish_waiting(core::mem::take(&mut waiting));
    assert!(outcomes.into_iter().all(|(_, outcome)| matches!(outcome, Outcome::Forwarded(_))));
    assert_eq!(second.idp.called(TOKEN), 1);
}

#[test]
fn what_others_wrote_into_the_store_is_not_believed() {
    let (store, mut first, mut second, browser) = due();
    first.request(&browser.asks()).1.forwarded();
    let records = store.0.borrow().clone();
    let records = records.iter().filter(|(name, _)| name.contains("refreshes"));
    // The others are empty.
    for (name, (value, _)) in records.filter(|(_, (value, _))| value.len() > 100) {
        assert!(!String::from_utf8_lossy(value).contains("planted"), "sealed, not only signed");
        for at in 0..value.len() {
            let mut changed = value.clone();
            changed[at] ^= 1;
            store.0.borrow_mut().insert(name.clone(), (changed, 50));
            if at % 97 == 0 {
                let mut other = World::worker(&store);
                other.now = second.now;
                other.work();
                other.request(&browser.asks()).1.forwarded();
                assert_eq!(other.idp.called(TOKEN), 1, "it asks for itself: byte {at}");
            }
        }
    }
    second.request(&browser.asks()).1.forwarded();
}

#[test]
fn a_thousand_sessions_are_each_refreshed_once_and_the_store_stays_small() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (World::worker(&store), World::worker(&store));
    // At another Envoy: the logins leave nothing in this store.
    let browsers = World::new().log_in_many(1000);
    first.pass(300);
    second.pass(300);
    first.work();
    second.work();
    for browser in &browsers {
        first.request(&browser.asks()).1.forwarded();
        second.request(&browser.asks()).1.forwarded();
    }
    assert_eq!((first.idp.called(TOKEN), second.idp.called(TOKEN)), (1000, 0));
    let bytes: usize = store.0.borrow().values().map(|(value, _)| value.len()).sum();
    assert!(bytes < 4 * 1024 * 1024, "{bytes}");
}

/// A refresh that has waited in the queue for longer than its lease.
#[test]
fn a_queued_refresh_is_not_sent_after_another_worker_made_it() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (World::worker(&store), World::worker(&store));
    let browsers: Vec<Browser> = first.log_in_many(65);
    for w in [&mut first, &mut second] {
        w.pass(300);
        w.work();
    }
    // 65 sessions are due at once at the first worker: 64 go out, one is queued; the provider is
    // slow.
    let mut waiting: Vec<_> = browsers
        .iter()
        .map(|b| {
            let headers = b.asks();
            let (gate, outcome) = first.begin(&headers);
            assert!(matches!(outcome, Outcome::Waiting));
            (gate, headers)
        })
        .collect();
    let mut calls = Vec::new();
    while let Some(call) = first.poll() {
        calls.push(call);
    }
    assert_eq!(calls.len(), 64);
    let last = browsers.last().unwrap();
    // Three answers of 4 s each later (a longer queue; here: time passes) the second worker asks.
    first.pass(12);
    second.pass(12);
    let mut at_second = last.clone();
    let (mut gate, outcome) = second.request(&last.asks());
    outcome.forwarded();
    at_second.keep_edit(&second.answer(&mut gate, "200"));
    assert_eq!(second.idp.called(TOKEN), 1);
    // The first worker's provider knows that this token was used.
    first.idp.strict_rotation = true;
    first.idp.redeemed.extend(second.idp.redeemed.clone());
    for (call, callout) in calls {
        let answer = first.idp.answer(&callout, first.now);
        first.site.on_callout(call, reply_of(answer.as_ref()), first.now);
    }
    let before = first.idp.called(TOKEN);
    let (gate, headers) = waiting.pop().unwrap();
    let outcomes = first.finish_waiting(vec![(gate, headers)]);
    // and it has overwritten the good result for everybody:
    let mut third = World::worker(&store);
    third.now = first.now;
    third.work();
    third.request(&last.asks()).1.forwarded();
    second.request(&at_second.asks()).1.forwarded();
    assert_eq!(first.idp.called(TOKEN) - before, 0, "one refresh per process");
    assert_eq!(outcomes[0].1.status(), 200);
}

type Calls = Vec<(SiteCall, Callout)>;

/// So many people whose sessions are due, and what the first worker has sent: all but the last.
fn one_too_many(first: &mut World, second: &mut World) -> (Browser, Vec<(Gate, Headers)>, Calls) {
    let browsers: Vec<Browser> = first.log_in_many(65);
    for world in [&mut *first, &mut *second] {
        world.pass(300);
        world.work();
    }
    let waiting = browsers.iter().map(|browser| {
        let headers = browser.asks();
        (first.begin(&headers).0, headers)
    });
    let waiting = waiting.collect();
    let calls: Calls = core::iter::from_fn(|| first.poll()).collect();
    assert_eq!(calls.len(), 64);
    (browsers.last().unwrap().clone(), waiting, calls)
}

/// Silence for what was never sent takes back nothing that another worker was told meanwhile.
#[test]
fn an_outage_takes_no_verdict_back() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (World::worker(&store), World::worker(&store));
    let (last, _waiting, calls) = one_too_many(&mut first, &mut second);
    first.pass(12);
    second.pass(12);
    second.idp.mood = Mood::RefreshRefused;
    assert_eq!(second.request(&last.asks()).1.status(), 401);
    first.pass(1);
    first.site.on_callout(calls[0].0, CalloutReply::NoAnswer, first.now);
    let mut third = World::worker(&store);
    third.now = first.now;
    third.work();
    for world in [&mut third, &mut first] {
        assert_eq!(world.request(&last.asks()).1.status(), 401);
    }
}

/// What is known to be over is over at a worker that has no provider yet.
#[test]
fn a_verdict_counts_without_a_provider() {
    let store = Rc::new(MemoryStore::default());
    let mut first = World::worker(&store);
    let browser = first.log_in();
    first.pass(300);
    first.work();
    first.idp.mood = Mood::RefreshRefused;
    assert_eq!(first.request(&browser.asks()).1.status(), 401);
    let mut fresh = World::worker(&store);
    let shared: Rc<dyn SharedStore> = Rc::<MemoryStore>::clone(&store);
    let mut settings = buffered();
    settings["idp"] = json!({"internal_url": "http://elsewhere:8080/realms/prefect"});
    fresh.site = Site::new(compile(&settings), host(shared));
    fresh.now = first.now;
    assert!(fresh.site.provider().is_none());
    assert_eq!(fresh.request(&browser.asks()).1.status(), 401);
}

/// A refusal is a sign of life: the session has ended, and the login is open.
#[test]
fn a_session_that_ended_at_the_provider_leads_to_the_login() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (World::starting_worker(&store), World::starting_worker(&store));
    first.work();
    second.work();
    let browser = second.log_in();
    for world in [&mut first, &mut second] {
        world.pass(300);
        world.work();
        world.pass(40);
    }
    second.idp.mood = crate::testing::idp::Mood::RefreshRefused;
    let headers = browser.headers("GET", "/runs", &NAVIGATION);
    assert_eq!(second.request(&headers).1.reply().status, 302);
}
