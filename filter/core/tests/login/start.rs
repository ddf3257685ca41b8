//! What begins a login, and what an attempt leaves in the browser.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::rc::Rc;

use crate::testing::browser::{Browser, NAVIGATION, SCRIPT};
use crate::testing::store::MemoryStore;
use crate::testing::{PUBLIC, World, reply_header, request};

#[test]
fn only_page_loads_begin_a_login() {
    let mut world = World::new();
    for headers in [
        request("GET", "/", &SCRIPT),
        request("POST", "/", &NAVIGATION),
        request("GET", "/", &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")]),
        request(
            "GET",
            "/",
            &[
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
                ("sec-purpose", "prefetch"),
            ],
        ),
        request("GET", "/", &[("accept", "*/*")]),
        request("GET", "/oauth2/start?rd=/x", &SCRIPT),
    ] {
        let reply = world.request(&headers).1.reply();
        assert_eq!(reply.status, 401, "{headers:?}");
        assert_eq!(reply_header(&reply, "set-cookie"), None);
    }
}

#[test]
fn two_tabs_log_in_at_once() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let first = browser.start_login(&mut world, "/a");
    let nonce = world.idp.nonce.clone();
    let second = browser.start_login(&mut world, "/b");
    let reply = browser.load(&mut world, &second).reply();
    assert_eq!(reply_header(&reply, "location"), Some(format!("{PUBLIC}/b").as_str()));
    world.idp.nonce = nonce;
    let reply = browser.load(&mut world, &first).reply();
    assert_eq!(reply_header(&reply, "location"), Some(format!("{PUBLIC}/a").as_str()));
}

#[test]
fn a_browser_keeps_at_most_five_attempts() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    for _ in 0..9 {
        browser.start_login(&mut world, "/");
        world.pass(1);
    }
    assert_eq!(browser.cookies.len(), 5);
}

/// Each planted login cookie used to be opened as often as its name stood there.
#[test]
fn planted_login_cookies_are_looked_at_in_bounds() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    browser.start_login(&mut world, "/");
    let (name, value) = browser.cookies.pop_first().unwrap();
    let same = format!("{name}={}; ", &value[..64]).repeat(300);
    let others: String = (0..300).map(|n| format!("__Host-lictor-login-{n}=x; ")).collect();
    for cookies in [same, others] {
        let mut lines = NAVIGATION.to_vec();
        lines.push(("cookie", &cookies));
        let reply = world.request(&request("GET", "/", &lines)).1.reply();
        let answers = reply.headers().iter().filter(|(name, _)| *name == "set-cookie").count();
        assert!((2..=11).contains(&answers), "{answers} cookies set");
    }
}

/// A link elsewhere to a login used to clear a session that counts.
#[test]
fn a_link_to_a_login_signs_nobody_out() {
    let mut world = World::new();
    let mut browser = world.log_in();
    let link = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    let reply = world.request(&browser.headers("GET", "/oauth2/start", &link)).1.reply();
    browser.keep(&reply);
    browser.fetch(&mut world, "GET", "/api/flows/1").forwarded();
}

/// Better a page that tries again by itself than the browser's own at a provider that is gone.
#[test]
fn nobody_is_sent_to_a_provider_that_is_gone() {
    let mut world = World::starting_worker(&Rc::new(MemoryStore::default()));
    world.work();
    let mut browser = Browser::default();
    assert_eq!(browser.load(&mut world, "/x").reply().status, 302);
    world.idp.mood = crate::testing::idp::Mood::Away;
    world.pass(31);
    for _ in 0..3 {
        let mut other = Browser::default();
        let reply = other.load(&mut world, "/x").reply();
        assert_eq!((reply.status, other.cookies.len()), (503, 0));
        assert!(crate::testing::reply_header(&reply, "retry-after").is_some());
        world.pass(1);
    }
    world.idp.mood = crate::testing::idp::Mood::Well;
    world.pass(1);
    world.work();
    assert_eq!(browser.load(&mut world, "/x").reply().status, 302, "it is back, and so are we");
}

/// What another worker heard a minute ago is no sign of life, and no reason to say that there is
/// none.
#[test]
fn a_login_waits_for_a_new_answer_not_for_an_old_one() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (World::starting_worker(&store), World::starting_worker(&store));
    first.work();
    second.work();
    for world in [&mut first, &mut second] {
        world.pass(100);
    }
    assert_eq!(Browser::default().load(&mut first, "/").reply().status, 302);
    for seconds in [31, 29, 60] {
        second.pass(seconds);
        assert_eq!(Browser::default().load(&mut second, "/").reply().status, 302);
    }
    let mut third = World::starting_worker(&store);
    third.pass(400);
    assert_eq!(Browser::default().load(&mut third, "/").reply().status, 302);
}
