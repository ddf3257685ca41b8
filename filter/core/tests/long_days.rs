//! Hours in virtual time: what people should never notice.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::testing::browser::{Browser, SCRIPT};
use crate::testing::idp::Mood;
use crate::testing::{Outcome, World, edited};
use crate::wire::http::request::ResponseView;

/// A script's request, as a tab that polls sends it; the browser keeps what Prefect's answer sets.
fn poll(world: &mut World, browser: &mut Browser) -> u16 {
    let headers = browser.headers("GET", "/api/flows/1", &SCRIPT);
    let (mut gate, outcome) = world.request(&headers);
    match outcome {
        Outcome::Forwarded(_) => {
            let lines = [(":status".to_owned(), b"200".to_vec())];
            let edit = edited(gate.on_response(ResponseView { headers: &lines }, &mut world.cx()));
            for (_, line) in edit.add.iter().filter(|(name, _)| *name == "set-cookie") {
                browser.keep_line(line);
            }
            200
        }
        Outcome::Reply(reply) => {
            browser.keep(&reply);
            reply.status
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn ten_minutes_without_the_provider_fail_no_request_of_ten_people() {
    let mut world = World::new();
    let mut people: Vec<Browser> = (0..10)
        .map(|_| {
            world.pass(37);
            world.work();
            let mut browser = Browser::default();
            browser.log_in(&mut world, "/");
            browser
        })
        .collect();
    for mood in [Mood::Away, Mood::NoCluster, Mood::ClientRefused] {
        world.idp.mood = mood;
        for _ in 0..600 {
            world.pass(1);
            world.work();
            for browser in &mut people {
                assert_eq!(poll(&mut world, browser), 200, "{mood:?}");
            }
        }
        world.idp.mood = Mood::Well;
        world.pass(10);
        world.work();
        for browser in &mut people {
            assert_eq!(poll(&mut world, browser), 200, "after {mood:?}");
        }
    }
}

#[test]
fn a_tab_that_polls_stays_for_the_whole_day_and_not_longer() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    world.idp.strict_rotation = true;
    browser.log_in(&mut world, "/");
    for minute in 1..600 {
        world.pass(60);
        world.work();
        assert_eq!(poll(&mut world, &mut browser), 200, "minute {minute}");
    }
    world.pass(60);
    world.work();
    assert_eq!(poll(&mut world, &mut browser), 401, "session.absolute is ten hours");
    assert!(browser.session().is_none(), "and nothing is left behind");
    // About one question in five minutes, whatever is polled.
    assert!((110..=121).contains(&world.idp.called("/realms/prefect/token")));
}

#[test]
fn a_clock_that_goes_back_lengthens_nothing() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    browser.log_in(&mut world, "/");
    let start = world.now;
    for back in [30, 60, 61, 3600] {
        world.now = crate::foundation::time::UnixTime::from_secs(start.secs() - back);
        let headers = browser.headers("GET", "/api/flows/1", &SCRIPT);
        let status = world.request(&headers).1.status();
        assert_eq!(status, if back <= 60 { 200 } else { 401 }, "{back} s back");
    }
    world.now = start;
    assert_eq!(poll(&mut world, &mut browser), 200);
}
