//! Cookies that no browser of ours should send (F-22): absent, never a fault, never another's
//! session.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::testing::browser::{NAVIGATION, SCRIPT};
use crate::testing::{Outcome, World, header, reply_header, request};

const NAME: &str = "__Host-lictor";

fn logged_in() -> (World, String) {
    let mut world = World::new();
    let browser = world.log_in();
    (world, browser.session().unwrap().clone())
}

/// A script's request with exactly these `Cookie` lines.
fn fetch(world: &mut World, lines: &[String]) -> Outcome {
    let mut all = SCRIPT.to_vec();
    all.extend(lines.iter().map(|line| ("cookie", line.as_str())));
    world.request(&request("GET", "/api/flows/1", &all)).1
}

#[test]
fn what_does_not_open_is_absent_and_is_cleared() {
    let (mut world, good) = logged_in();
    let other_key = {
        let (_, sealed) = logged_in();
        let mut bytes = sealed.into_bytes();
        // The key's id is in front.
        bytes[2] = if bytes[2] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let longer = format!("{good}AAAA");
    for value in [
        "",
        "A",
        "x",
        "=",
        "\"\"",
        "....",
        "4.",
        "2.x",
        &good[1..],
        &good[..good.len() - 1],
        &good[..40],
        &longer,
        &other_key,
        &good.to_uppercase(),
        &good.replace('-', "+"),
    ] {
        let reply = fetch(&mut world, &[format!("{NAME}={value}")]).reply();
        assert_eq!(reply.status, 401, "{value}");
        let cleared = reply_header(&reply, "set-cookie").unwrap_or_default();
        assert!(cleared.starts_with(&format!("{NAME}=;")), "{value}: {cleared}");
        let mut lines = NAVIGATION.to_vec();
        let cookie = format!("{NAME}={value}");
        lines.push(("cookie", &cookie));
        assert_eq!(world.request(&request("GET", "/", &lines)).1.reply().status, 302, "{value}");
    }
}

#[test]
fn a_planted_cookie_of_the_same_name_hides_nobody_s_session() {
    let (mut world, good) = logged_in();
    for lines in [
        vec![format!("{NAME}=planted; {NAME}={good}")],
        vec![format!("{NAME}={good}; {NAME}=planted")],
        vec![format!("{NAME}=planted"), format!("{NAME}={good}")],
        vec![format!("{NAME}=; {NAME}={good}")],
    ] {
        let seen = fetch(&mut world, &lines).forwarded();
        assert_eq!(header(&seen, "x-auth-request-preferred-username"), Some("alice"), "{lines:?}");
        assert_eq!(header(&seen, "cookie"), None, "Prefect sees neither");
    }
}

#[test]
fn a_hundred_foreign_cookies_go_on_and_ours_do_not() {
    let (mut world, good) = logged_in();
    let foreign: Vec<String> = (0..100).map(|number| format!("c{number}=v{number}")).collect();
    let line = format!("{}; {NAME}={good}; {}", foreign[..50].join("; "), foreign[50..].join("; "));
    let seen = fetch(&mut world, &[line]).forwarded();
    assert_eq!(header(&seen, "cookie"), Some(foreign.join("; ").as_str()));
}

#[test]
fn the_header_is_bounded_and_the_bound_is_told() {
    let (mut world, good) = logged_in();
    let own = format!("{NAME}={good}; x=");
    let fits = format!("{own}{}", "y".repeat(32 * 1024 - own.len()));
    fetch(&mut world, core::slice::from_ref(&fits)).forwarded();
    for size in [1, 32 * 1024] {
        let reply = fetch(&mut world, &[fits.clone(), "y".repeat(size)]).reply();
        assert_eq!(reply.status, 431);
    }
}

#[test]
fn bytes_of_any_kind_are_no_session_and_no_fault() {
    let (mut world, _) = logged_in();
    let mut seed = 7_u32;
    for _ in 0..2_000 {
        let bytes: Vec<u8> = (0..48)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8
            })
            .collect();
        let mut headers = request("GET", "/api/flows/1", &SCRIPT);
        headers.push(("cookie".into(), [NAME.as_bytes(), b"=", &bytes].concat()));
        assert_eq!(world.request(&headers).1.reply().status, 401, "{bytes:?}");
    }
}
