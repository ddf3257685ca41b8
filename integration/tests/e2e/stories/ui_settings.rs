//! Prefect's own login page never shows: `/ui-settings` is rewritten.

use super::{Story, story};
use crate::client::Request;
use crate::cookie_client::CookieClient;
use crate::http1::exchange;
use crate::keycloak_login::logged_in;
use crate::world::world;

const ABOUT: &str = "ui settings";

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "say that no password is needed and where the API is", rewritten),
        story(ABOUT, "are rewritten whatever the browser accepts or has", conditional),
        story(ABOUT, "leave the connection in order, for HEAD too", in_order),
    ]
}

fn settings(visitor: &mut CookieClient, headers: &[(&str, &str)]) -> serde_json::Value {
    let answer = visitor.send(Request::get("/ui-settings").fetch().headers(headers)).expect(200);
    assert!(!answer.has("content-encoding") && !answer.has("etag"), "{:?}", answer.headers);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    if let Some(length) = answer.header("content-length") {
        assert_eq!(length.parse(), Ok(answer.body.len()));
    }
    answer.json()
}

fn rewritten() {
    let told = settings(&mut logged_in("carol"), &[]);
    assert_eq!((&told["auth"], &told["api_url"]), (&serde_json::Value::Null, &"/api".into()));
    assert!(
        told["flags"].is_array() || told.get("default_ui").is_some(),
        "the rest is lost: {told}"
    );
}

fn conditional() {
    let mut carol = logged_in("carol");
    for headers in [
        [("accept-encoding", "gzip, br, deflate, zstd")],
        [("if-none-match", "*")],
        [("if-modified-since", "Wed, 21 Oct 2099 07:28:00 GMT")],
        [("range", "bytes=0-10")],
        [("if-range", "\"x\"")],
    ] {
        let told = settings(&mut carol, &headers);
        assert!(told["auth"].is_null() && told["api_url"] == "/api", "{headers:?}: {told}");
    }
}

fn in_order() {
    let carol = logged_in("carol");
    let cookie = carol.jar.header().unwrap();
    let request = |method: &str, path: &str| {
        Request::new(method, path)
            .fetch()
            .header("cookie", &cookie)
            .bytes(&world().gate.public_host())
    };
    // One connection: a length that does not fit would show in the next answer.
    let mut stream = world().gate.connect("prefect.localhost").unwrap();
    for _ in 0..3 {
        let head = exchange(&mut stream, &request("HEAD", "/ui-settings"), true).unwrap();
        assert_eq!(head.status, if head.status == 405 { 405 } else { 200 });
        assert!(!head.has("etag") && !head.has("content-encoding"));
        let answer = exchange(&mut stream, &request("GET", "/ui-settings"), false).unwrap();
        assert!(answer.json()["auth"].is_null());
        let after = exchange(&mut stream, &request("GET", "/api/admin/version"), false).unwrap();
        assert_eq!(after.text().trim_matches('"'), world().stack.prefect.version);
        if let (200, Some(length)) = (head.status, head.header("content-length")) {
            assert_eq!(length.parse(), Ok(answer.body.len()), "HEAD names another length");
        }
    }
}
