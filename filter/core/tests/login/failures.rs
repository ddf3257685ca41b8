//! Logins that fail: one more attempt by itself, never a loop, always a way on.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::answer::reply::Reply;
use crate::login::ticket::Remembered;
use crate::testing::browser::{Browser, SCRIPT};
use crate::testing::idp::Mood;
use crate::testing::{World, code, header, reply_header};
use crate::wire::http::query::only;

const FAILED: &str = "__Host-lictor-failed";

const STRAY: &str = "/oauth2/callback?state=a.b&code=c";

fn state_of(reply: &Reply) -> String {
    let location = reply_header(reply, "location").expect("a redirect");
    only(location.split_once('?').unwrap().1, "state").unwrap().unwrap().into_owned()
}

/// Whether Lictor started the attempt of this `state` by itself.
fn is_again(state: &str) -> bool {
    Remembered::of(state).again
}

fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.clone()).unwrap()
}

#[test]
fn a_stray_callback_is_one_fresh_login() {
    for path in [STRAY, "/oauth2/callback", "/oauth2/callback?"] {
        let (mut world, mut browser) = (World::new(), Browser::default());
        let reply = browser.load(&mut world, path).reply();
        assert_eq!(reply.status, 302, "{path}");
        let state = state_of(&reply);
        assert!(is_again(&state), "{state}");
        // That login works, and leaves nothing behind.
        let location = reply_header(&reply, "location").unwrap().to_owned();
        let query = location.split_once('?').unwrap().1;
        world.idp.nonce = only(query, "nonce").unwrap().unwrap().into_owned();
        let iss = crate::wire::http::query::encode_value(crate::testing::ISSUER);
        let back = format!("/oauth2/callback?state={state}&code=c&iss={iss}");
        assert_eq!(browser.load(&mut world, &back).reply().status, 302);
        assert!(browser.session().is_some() && !browser.cookies.contains_key(FAILED));
        assert_eq!(browser.cookies.len(), 1, "{:?}", browser.cookies.keys());
    }
}

#[test]
fn a_browser_that_keeps_no_cookies_does_not_go_round() {
    let mut world = World::new();
    let reply = Browser::default().load(&mut world, STRAY).reply();
    let state = state_of(&reply);
    // The provider sends it straight back; nothing of what was set has been kept.
    let back = format!("/oauth2/callback?state={state}&code=c");
    let reply = Browser::default().load(&mut world, &back).reply();
    assert_eq!(reply.status, 400);
    assert!(text(&reply).contains("/oauth2/start"), "a way on by hand");
}

#[test]
fn three_failures_in_two_minutes_are_a_loop() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    assert_eq!(browser.load(&mut world, STRAY).reply().status, 302);
    world.pass(60);
    assert_eq!(browser.load(&mut world, STRAY).reply().status, 302);
    world.pass(59);
    let looped = browser.clone().load(&mut world, STRAY).reply();
    assert_eq!(looped.status, 400);
    assert!(text(&looped).contains("several times") && text(&looped).contains("/oauth2/start"));
    let last = crate::refusal::Reason::UnknownAttempt.meaning().text;
    assert!(text(&looped).contains("Last error") && text(&looped).contains(last), "{last}");
    assert!(world.log.iter().any(|line| line.contains("login_loop")), "{:?}", world.log);
    let mut by_hand = browser.clone();
    by_hand.load(&mut world, STRAY);
    assert!(!by_hand.cookies.contains_key(FAILED), "the count begins anew");
    // A second later the first of them is two minutes old.
    world.pass(1);
    assert_eq!(browser.load(&mut world, STRAY).reply().status, 302);
}

#[test]
fn a_count_of_another_key_or_purpose_is_none() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    browser.start_login(&mut world, "/");
    let login = browser.cookies.values().next().unwrap().clone();
    for planted in [login.as_str(), "x", "", "A"] {
        let mut browser = Browser::default();
        browser.cookies.insert(FAILED.to_owned(), planted.to_owned());
        assert_eq!(browser.load(&mut world, STRAY).reply().status, 302, "{planted}");
    }
}

#[test]
fn a_script_gets_no_login_and_no_cookie_from_a_stray_callback() {
    let mut world = World::new();
    let headers = Browser::default().headers("GET", STRAY, &SCRIPT);
    let reply = world.request(&headers).1.reply();
    assert_eq!((reply.status, code(&reply).as_str()), (400, "unknown_login"));
    assert_eq!(reply_header(&reply, "set-cookie"), None);
}

#[test]
fn a_code_that_the_provider_does_not_know_is_one_fresh_login() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let callback = browser.start_login(&mut world, "/runs");
    world.idp.code_refused = true;
    let reply = browser.load(&mut world, &callback).reply();
    assert!(is_again(&state_of(&reply)));
    let state = state_of(&reply);
    let iss = crate::wire::http::query::encode_value(crate::testing::ISSUER);
    let back = format!("/oauth2/callback?state={state}&code=c&iss={iss}");
    let reply = browser.load(&mut world, &back).reply();
    assert_eq!(reply.status, 400, "once, not for ever");
    assert_eq!(world.idp.called("/realms/prefect/token"), 2);
}

#[test]
fn whoever_signs_in_is_not_somebody_else_meanwhile() {
    let mut world = World::new();
    let mut browser = world.log_in();
    assert_eq!(browser.load(&mut world, "/oauth2/sign_in").reply().status, 302);
    assert!(browser.session().is_none());
    // A callback that was used before, in a browser that is logged in: it goes on.
    let callback = browser.start_login(&mut world, "/");
    browser.load(&mut world, &callback);
    let reply = browser.load(&mut world, &callback).reply();
    assert_eq!(
        reply_header(&reply, "location"),
        Some(format!("{}/", crate::testing::PUBLIC).as_str())
    );
    let seen = browser.fetch(&mut world, "GET", "/api/flows/1").forwarded();
    assert_eq!(header(&seen, "cookie"), None);
}

/// A page that waits for the provider does not become a "login loop".
#[test]
fn an_outage_during_a_login_is_not_a_login_loop() {
    let mut world = World::new();
    let mut browser = Browser::default();
    let callback = browser.start_login(&mut world, "/");
    world.idp.mood = Mood::Away;
    world.pass(31);
    world.work();
    for _ in 0..5 {
        assert_eq!(browser.load(&mut world, &callback).reply().status, 503);
        world.pass(10);
        world.work();
    }
}
