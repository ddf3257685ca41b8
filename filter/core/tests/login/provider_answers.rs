//! Answers of the token endpoint that are of no use (F-5, F-6): a login ends on a page with a way
//! on and no session; a session that is rechecked goes on, since none of them is the provider's
//! verdict.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::testing::browser::Browser;
use crate::testing::{World, reply_header};
use serde_json::json;

fn answers() -> Vec<(&'static str, u16, Vec<u8>)> {
    let good =
        json!({"token_type": "Bearer", "access_token": "a", "id_token": "a.b.c"}).to_string();
    let utf16 = good.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let long = format!("{{\"access_token\":\"{}\"}}", "x".repeat(1024 * 1024));
    vec![
        ("500", 500, Vec::new()),
        ("502", 502, b"<html>Bad gateway</html>".to_vec()),
        ("503", 503, Vec::new()),
        ("504", 504, Vec::new()),
        ("429", 429, b"{\"error\":\"slow_down\"}".to_vec()),
        ("404", 404, b"<html>".to_vec()),
        ("301", 301, Vec::new()),
        ("204", 204, Vec::new()),
        ("no body", 200, Vec::new()),
        ("a login page", 200, b"<!doctype html><html><form>".to_vec()),
        ("half of it", 200, good.as_bytes()[..20].to_vec()),
        ("a byte order mark", 200, [b"\xef\xbb\xbf".as_slice(), good.as_bytes()].concat()),
        ("UTF-16", 200, utf16),
        ("not UTF-8", 200, b"{\"access_token\":\"\xff\"}".to_vec()),
        ("a list", 200, b"[]".to_vec()),
        ("a text", 200, b"\"token\"".to_vec()),
        ("NaN", 200, b"{\"access_token\":\"a\",\"expires_in\":NaN}".to_vec()),
        ("a member twice", 200, b"{\"access_token\":\"a\",\"access_token\":\"b\"}".to_vec()),
        ("a million brackets", 200, b"[".repeat(1_000_000)),
        ("more than 1 MiB", 200, long.into_bytes()),
        ("no token_type", 200, b"{\"access_token\":\"a\"}".to_vec()),
        ("another token_type", 200, b"{\"token_type\":\"mac\",\"access_token\":\"a\"}".to_vec()),
        ("no access_token", 200, b"{\"token_type\":\"Bearer\"}".to_vec()),
        ("an empty one", 200, b"{\"token_type\":\"Bearer\",\"access_token\":\"\"}".to_vec()),
        ("a number", 200, b"{\"token_type\":\"Bearer\",\"access_token\":1}".to_vec()),
        ("a wrong secret", 401, b"{\"error\":\"invalid_client\"}".to_vec()),
        ("an unknown error", 400, b"{\"error\":\"teapot\"}".to_vec()),
        ("an error of another type", 400, b"{\"error\":{}}".to_vec()),
    ]
}

#[test]
fn a_login_ends_on_a_page_without_a_session() {
    for (what, status, body) in answers() {
        let (mut world, mut browser) = (World::new(), Browser::default());
        let callback = browser.start_login(&mut world, "/");
        world.idp.instead_of_tokens = Some((status, body));
        let reply = browser.load(&mut world, &callback).reply();
        assert!(matches!(reply.status, 502 | 503), "{what}: {}", reply.status);
        assert_eq!(reply_header(&reply, "location"), None, "{what}");
        let html = String::from_utf8(reply.body).unwrap();
        assert!(html.starts_with("<!doctype html>") && html.contains("<a "), "{what}: a way on");
        assert!(browser.cookies.is_empty(), "{what}: {:?}", browser.cookies.keys());
        // The provider is well again: the person gets in.
        world.idp.instead_of_tokens = None;
        browser.log_in(&mut world, "/");
        assert!(browser.session().is_some(), "{what}");
    }
}

#[test]
fn a_session_goes_on() {
    for (what, status, body) in answers() {
        let mut world = World::new();
        let browser = world.log_in();
        world.pass(300);
        world.idp.instead_of_tokens = Some((status, body));
        let headers = browser.asks();
        assert_eq!(world.request(&headers).1.status(), 200, "{what}");
        world.pass(6);
        world.work();
        world.idp.instead_of_tokens = None;
        assert_eq!(world.request(&headers).1.status(), 200, "{what}, and well again");
        assert_eq!(world.idp.redeemed, ["planted-refresh-token-1"], "{what}: the same token");
    }
}

#[test]
fn grace_does_not_outlast_idleness() {
    let mut world = World::new();
    let browser = world.log_in();
    world.idp.instead_of_tokens = Some((503, Vec::new()));
    let headers = browser.asks();
    let mut status = |minutes: u64| {
        world.pass(60 * minutes);
        world.work();
        world.request(&headers).1.status()
    };
    // An hour of grace, but half an hour of idleness ends it before.
    assert_eq!((status(29), status(1)), (200, 401));
}
