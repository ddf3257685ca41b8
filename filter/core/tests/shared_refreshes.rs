//! One refresh for each session in all workers of a process (F-13, F-14): the others wait for its
//! result, whoever dies on the way, and what stands in the store is believed only if it opens.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use core::time::Duration;
use std::rc::Rc;

use crate::testing::browser::{Browser, SCRIPT};
use crate::testing::idp::Mood;
use crate::testing::store::MemoryStore;
use crate::testing::{Headers, Outcome, World, compile, configuration, edited, host, reply_of};
use crate::wire::http::request::ResponseView;
use crate::workers::SharedStore;
use crate::{Gate, Site};

const TOKEN: &str = "/realms/prefect/token";

fn worker(store: &Rc<MemoryStore>) -> World {
    let mut world = World::starting(&configuration());
    let store: Rc<dyn SharedStore> = Rc::<MemoryStore>::clone(store);
    world.site = Site::new(compile(&configuration()), host(store));
    world.work();
    world
}

/// Two workers, and somebody whose session is due.
fn due() -> (Rc<MemoryStore>, World, World, Browser) {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (worker(&store), worker(&store));
    let mut browser = Browser::default();
    browser.log_in(&mut first, "/");
    first.pass(300);
    second.pass(300);
    first.work();
    second.work();
    (store, first, second, browser)
}

fn asks(browser: &Browser) -> Headers {
    browser.headers("GET", "/api/flows/1", &SCRIPT)
}

/// So many requests at once, all of which wait.
fn burst(world: &mut World, browser: &Browser, count: usize) -> Vec<(Gate, Headers)> {
    (0..count)
        .map(|_| {
            let headers = asks(browser);
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
            let lines = [(":status".to_owned(), b"200".to_vec())];
            let edit = edited(gate.on_response(ResponseView { headers: &lines }, &mut world.cx()));
            assert!(edit.add.iter().any(|(name, _)| *name == "set-cookie"), "the renewed cookie");
        }
    }
    assert_eq!(redeemed(&first) + redeemed(&second), 2);
}

/// Two workers that get requests at the same instant read the clock one after the other, and may come to
/// the store the other way round.
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
    first.request(&asks(&browser)).1.forwarded();
    second.request(&asks(&browser)).1.forwarded();
    assert_eq!(second.idp.called(TOKEN), 0);
    // Due again, the next refresh starts from the token that the first one got.
    second.pass(301);
    second.work();
    second.request(&asks(&browser)).1.forwarded();
    assert_eq!(second.idp.redeemed, ["planted-refresh-token-2"]);
}

#[test]
fn a_session_that_has_ended_has_ended_everywhere() {
    let (_, mut first, mut second, browser) = due();
    first.idp.mood = Mood::RefreshRefused;
    assert_eq!(first.request(&asks(&browser)).1.status(), 401);
    assert_eq!(second.request(&asks(&browser)).1.status(), 401);
    assert_eq!(second.idp.called(TOKEN), 0, "nobody asks twice");
}

#[test]
fn an_outage_that_one_worker_met_is_grace_at_the_others() {
    let (_, mut first, mut second, browser) = due();
    first.idp.mood = Mood::Away;
    first.request(&asks(&browser)).1.forwarded();
    second.request(&asks(&browser)).1.forwarded();
    assert_eq!(second.idp.called(TOKEN), 0);
    second.pass(6);
    second.request(&asks(&browser)).1.forwarded();
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
    first.request(&asks(&browser)).1.forwarded();
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
                let mut other = worker(&store);
                other.now = second.now;
                other.work();
                other.request(&asks(&browser)).1.forwarded();
                assert_eq!(other.idp.called(TOKEN), 1, "it asks for itself: byte {at}");
            }
        }
    }
    second.request(&asks(&browser)).1.forwarded();
}

#[test]
fn a_thousand_sessions_are_each_refreshed_once_and_the_store_stays_small() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (worker(&store), worker(&store));
    let browsers: Vec<Browser> = (0..1000)
        .map(|_| {
            let mut browser = Browser::default();
            browser.log_in(&mut first, "/");
            browser
        })
        .collect();
    first.pass(300);
    second.pass(300);
    first.work();
    second.work();
    for browser in &browsers {
        first.request(&asks(browser)).1.forwarded();
        second.request(&asks(browser)).1.forwarded();
    }
    assert_eq!((first.idp.called(TOKEN), second.idp.called(TOKEN)), (2000, 0));
    let bytes: usize = store.0.borrow().values().map(|(value, _)| value.len()).sum();
    assert!(bytes < 4 * 1024 * 1024, "{bytes}");
}
