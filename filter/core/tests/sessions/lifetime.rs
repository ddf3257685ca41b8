//! How long a session lasts, whatever the clock does.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::rc::Rc;

use crate::Site;
use crate::config::Config;
use crate::foundation::time::UnixTime;
use crate::testing::browser::{Browser, SCRIPT};
use crate::testing::idp::Mood;
use crate::testing::store::MemoryStore;
use crate::testing::{COOKIE_KEY, World, configuration, environment, host};
use crate::workers::NoStore;
use serde_json::json;

#[test]
fn a_session_ends_at_idle_and_absolute() {
    let mut world = World::new();
    let mut browser = world.log_in();
    world.pass(30 * 60);
    assert_eq!(browser.fetch(&mut world, "GET", "/api/flows/1").status(), 401);
}

#[test]
fn a_tab_that_polls_stays_for_the_whole_day_and_not_longer() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    world.idp.strict_rotation = true;
    browser.log_in(&mut world, "/");
    for minute in 1..600 {
        world.pass(60);
        world.work();
        assert_eq!(browser.poll(&mut world), 200, "minute {minute}");
    }
    world.pass(60);
    world.work();
    assert_eq!(browser.poll(&mut world), 401, "session.absolute is ten hours");
    assert!(browser.session().is_none(), "and nothing is left behind");
    // About one question in five minutes, whatever is polled.
    assert!((110..=121).contains(&world.idp.called("/realms/prefect/token")));
}

#[test]
fn a_clock_that_goes_back_lengthens_nothing() {
    let mut world = World::new();
    let mut browser = world.log_in();
    let start = world.now;
    for back in [30, 60, 61, 3600] {
        world.now = crate::foundation::time::UnixTime::from_secs(start.secs() - back);
        let headers = browser.asks();
        let status = world.request(&headers).1.status();
        assert_eq!(status, if back <= 60 { 200 } else { 401 }, "{back} s back");
    }
    world.now = start;
    assert_eq!(browser.poll(&mut world), 200);
}

/// A sign-out counts whatever the clock does.
#[test]
fn a_clock_that_goes_back_revives_no_session() {
    let store = Rc::new(MemoryStore::default());
    let mut world = World::worker(&store);
    let mut browser = world.log_in();
    let stolen = browser.clone();
    world.pass(200);
    browser.load(&mut world, "/oauth2/sign_out");
    assert!(!stolen.counts(&mut world));
    world.now = UnixTime::from_millis(world.now.millis() - 100_000);
    assert!(!stolen.counts(&mut world), "signed out");
}

/// A clock that went back does not make old results news for ever.
#[test]
fn a_clock_that_goes_back_does_not_keep_a_session_from_being_asked_for() {
    let mut world = World::new();
    let browser = world.log_in();
    world.pass(700);
    world.work();
    world.idp.mood = Mood::Away;
    world.request(&browser.asks()).1.forwarded();
    world.now = UnixTime::from_millis(world.now.millis() - 300_000);
    world.idp.mood = Mood::RefreshRefused;
    let statuses: Vec<u16> = (0..3)
        .map(|_| {
            world.pass(10);
            world.work();
            world.request(&browser.asks()).1.status()
        })
        .collect();
    assert_eq!(statuses.last(), Some(&401), "{statuses:?}");
}

/// An operator reads in the log why a session has ended.
#[test]
fn the_log_says_why_a_session_has_ended() {
    for (settings, seconds, why) in [
        (json!({"idle": "10m"}), 601, "unused for session.idle"),
        (json!({"absolute": "30m", "idle": "30m"}), 1801, "older than session.absolute"),
        (json!({"not_before": "2027-01-15T08:10:00Z"}), 1, "session.not_before"),
    ] {
        let mut all = configuration();
        all["session"] = settings;
        let mut world = World::with(&all);
        let browser = match why {
            // Nobody can log in before that time: the cookie is of another configuration.
            "session.not_before" => World::new().log_in(),
            _ => world.log_in(),
        };
        world.pass(seconds);
        world.work();
        let reply = world.request(&browser.asks()).1.reply();
        assert_eq!(reply.status, 401, "{why}");
        let logged = world.log.iter().any(|line| line.contains(why));
        assert!(logged, "{why}: {:?}", world.log);
    }
}

/// An old key may be taken away once everybody's cookie has been sealed with the new one.
#[test]
fn a_session_of_an_older_key_is_sealed_anew() {
    const NEWER: &str = "HwAAAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4";
    let mut world = World::new();
    let browser = world.log_in();
    let with_keys = |keys: &str| {
        let environment = |name: &str| match name {
            "LICTOR_COOKIE_KEYS" => Some(keys.to_owned()),
            _ => environment(name),
        };
        Config::compile(configuration().to_string().as_bytes(), &environment).unwrap()
    };
    for (keys, renewed) in
        [(format!("{COOKIE_KEY},{NEWER}"), false), (format!("{NEWER},{COOKIE_KEY}"), true)]
    {
        world.site = Site::new(with_keys(&keys), host(Rc::new(NoStore)));
        world.work();
        let headers = browser.headers("GET", "/api/flows/1", &SCRIPT);
        let (mut gate, outcome) = world.request(&headers);
        outcome.forwarded();
        let edit = world.answer(&mut gate, "200");
        assert_eq!(edit.add.iter().any(|(name, _)| *name == "set-cookie"), renewed, "{keys}");
    }
}
