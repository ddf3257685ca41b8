//! The provider sends the browser back: each attempt counts once, in its own browser and in time.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::rc::Rc;

use crate::foundation::time::UnixTime;
use crate::testing::browser::{Browser, NAVIGATION};
use crate::testing::store::MemoryStore;
use crate::testing::{AUTH_STRING, PUBLIC, World, basic, configuration, header, reply_header};
use serde_json::json;

const TOKEN: &str = "/realms/prefect/token";

#[test]
fn a_login_ends_on_the_deep_link() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let end = browser.log_in(&mut world, "/runs/flow-run/1?tab=logs&x=%20");
    assert_eq!(end, format!("{PUBLIC}/runs/flow-run/1?tab=logs&x=%20"));
    assert_eq!(browser.cookies.len(), 1, "the attempt's cookie is gone");
    assert!(browser.session().unwrap().len() < 1536);
    let seen = browser.fetch(&mut world, "POST", "/api/flows/filter").forwarded();
    assert_eq!(header(&seen, "authorization"), Some(basic(AUTH_STRING).as_str()));
    assert_eq!(header(&seen, "x-auth-request-user"), Some("user:alice-1"));
    assert_eq!(header(&seen, "cookie"), None);
    let page = browser.load(&mut world, "/dashboard").forwarded();
    assert_eq!(header(&page, "authorization"), None, "Prefect's credential goes to its API only");
}

#[test]
fn a_callback_counts_once_in_its_own_browser_and_in_time() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let callback = browser.start_login(&mut world, "/");
    let mut thief = Browser::default();
    assert!(thief.is_sent_to_the_provider(&mut world, &callback), "another browser");
    let late = browser.clone();
    let used = browser.clone();
    assert_eq!(browser.load(&mut world, &callback).reply().status, 302);
    assert!(used.clone().is_sent_to_the_provider(&mut world, &callback), "a state is used once");
    let home = browser.load(&mut world, &callback).reply();
    assert_eq!(
        reply_header(&home, "location"),
        Some(format!("{PUBLIC}/").as_str()),
        "logged in: go on"
    );
    world.pass(30 * 60);
    assert!(late.clone().is_sent_to_the_provider(&mut world, &callback), "too late");
    assert_eq!(world.idp.called("/realms/prefect/token"), 1);
}

#[test]
fn a_callback_of_another_issuer_redeems_nothing() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let callback = browser.start_login(&mut world, "/");
    let (before, _) = callback.split_once("&iss=").unwrap();
    for query in [before.to_owned(), format!("{before}&iss=https%3A%2F%2Fevil.example")] {
        let mut attempt = browser.clone();
        assert_eq!(attempt.load(&mut world, &query).reply().status, 400, "{query}");
    }
    assert_eq!(world.idp.called("/realms/prefect/token"), 0);
}

#[test]
fn a_rotated_key_is_fetched_while_the_login_waits() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let callback = browser.start_login(&mut world, "/x");
    world.idp.rotate("k2");
    let reply = browser.load(&mut world, &callback).reply();
    assert_eq!(reply_header(&reply, "location"), Some(format!("{PUBLIC}/x").as_str()));
    assert_eq!(world.idp.called("/realms/prefect/certs"), 2);
}

/// And so does the use of a state.
#[test]
fn a_state_is_used_once_whatever_the_clock_does() {
    let store = Rc::new(MemoryStore::default());
    let mut world = World::worker(&store);
    let mut browser = Browser::default();
    world.pass(0);
    let callback = browser.start_login(&mut world, "/");
    let copy = browser.clone();
    world.pass(120);
    browser.load(&mut world, &callback);
    let redeemed = world.idp.called(TOKEN);
    world.now = UnixTime::from_millis(world.now.millis() - 100_000);
    copy.clone().load(&mut world, &callback);
    assert_eq!(world.idp.called(TOKEN), redeemed, "the code goes to the provider once");
}

/// A new session that is over at once used to be another login, and so on for ever.
#[test]
fn a_not_before_ahead_of_the_clock_is_no_circle() {
    let mut settings = configuration();
    settings["session"] = json!({"not_before": "2027-02-01T00:00:00Z"});
    let mut world = World::with(&settings);
    let mut browser = Browser::default();
    let callback = browser.start_login(&mut world, "/");
    let reply = browser.load(&mut world, &callback).reply();
    assert_eq!(reply.status, 400);
    assert!(world.log.iter().any(|line| line.contains("session.not_before")), "{:?}", world.log);
}

/// Redeemed twice, a code makes Keycloak end the session.
#[test]
fn a_callback_that_comes_twice_is_redeemed_by_one_worker() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (World::starting_worker(&store), World::starting_worker(&store));
    first.work();
    second.work();
    let mut browser = Browser::default();
    let callback = browser.start_login(&mut first, "/");
    second.idp.nonce = first.idp.nonce.clone();
    let headers = browser.headers("GET", &callback, &NAVIGATION);
    assert_eq!(first.request(&headers).1.status(), 302);
    let reply = second.request(&headers).1.reply();
    let to = crate::testing::reply_header(&reply, "location").unwrap();
    assert!(to.starts_with(&format!("{}/auth?", crate::testing::ISSUER)), "a fresh login: {to}");
    assert_eq!(second.idp.called("/realms/prefect/token"), 0);
}

/// Without its cookie, a callback is a new login only if it could be one.
#[test]
fn a_malformed_callback_starts_no_login() {
    for (query, status) in
        [("", 302), ("?state=a.b&code=c", 302), ("?state=a.b", 400), ("?code=c&code=d", 400)]
    {
        let (mut world, mut browser) = (World::new(), Browser::default());
        let reply = browser.load(&mut world, &format!("/oauth2/callback{query}")).reply();
        assert_eq!(reply.status, status, "{query}");
    }
}

/// The page for personal tokens would start the same login again.
#[test]
fn a_session_is_no_end_of_a_login_for_a_personal_token() {
    let mut settings = configuration();
    settings["machines"]["personal_tokens"] = json!({});
    settings["prefect"]["buffered_routes"] = json!(true);
    let mut world = World::with(&settings);
    for (page, is_there) in [("/runs", true), ("/oauth2/token", false)] {
        let callback = Browser::default().start_login(&mut world, page);
        let mut browser = world.log_in();
        let reply = browser.load(&mut world, &callback).reply();
        let location = reply_header(&reply, "location").unwrap();
        assert_eq!(location == format!("{PUBLIC}{page}"), is_there, "{location}");
    }
}
