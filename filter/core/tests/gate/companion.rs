//! Which pages are linked to the companion, and what is taken from their requests and answers for
//! it.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::gate::Interest;
use crate::gate::decision::DataStep;
use crate::testing::browser::{Browser, NAVIGATION, SCRIPT};
use crate::testing::{
    API_KEY, Headers, World, configuration, edited, header, reply_header, request,
};
use crate::wire::http::edit::HeaderEdit;
use crate::wire::http::request::ResponseView;
use serde_json::{Value, json};

const PAGE: &[u8] = b"<html><head></head></html>";

fn logged_in(settings: &Value) -> (World, Browser) {
    let (mut world, mut browser) = (World::starting(settings), Browser::default());
    world.work();
    browser.log_in(&mut world, "/");
    (world, browser)
}

/// What Prefect was asked, and what became of its page.
fn loaded(world: &mut World, headers: &Headers) -> (Headers, HeaderEdit, Option<String>) {
    let (mut gate, outcome) = world.request(headers);
    let asked = outcome.forwarded();
    let answer = [(":status", "200"), ("content-type", "text/html"), ("etag", "1")]
        .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    let edit = edited(gate.on_response(ResponseView { headers: &answer }, &mut world.cx()));
    let linked = (gate.response_data() == Interest::Whole).then(|| {
        match gate.on_response_data(PAGE, true, &mut world.cx()) {
            DataStep::Replace(bytes) => String::from_utf8(bytes).unwrap(),
            other => panic!("{other:?}"),
        }
    });
    (asked, edit, linked)
}

#[test]
fn a_page_that_a_session_loads_is_linked() {
    let (mut world, browser) = logged_in(&configuration());
    let mut headers = browser.headers("GET", "/v2/dashboard", &NAVIGATION);
    for (name, value) in [("accept-encoding", "gzip"), ("if-none-match", "1"), ("range", "x")] {
        headers.push((name.to_owned(), value.as_bytes().to_vec()));
    }
    let (asked, edit, linked) = loaded(&mut world, &headers);
    assert_eq!(header(&asked, "accept-encoding"), Some("identity"));
    assert!(header(&asked, "if-none-match").is_none() && header(&asked, "range").is_none());
    assert!(
        ["content-length", "etag"].iter().all(|name| edit.remove.iter().any(|own| own == name))
    );
    let caching = edit.set.iter().find(|(name, _)| *name == "cache-control").unwrap();
    assert_eq!(caching.1, b"private, no-cache");
    assert!(linked.unwrap().starts_with("<html><head><script defer src=\"/oauth2/companion.js?v="));
}

#[test]
fn a_page_that_sets_a_cookie_is_not_kept() {
    let (mut world, browser) = logged_in(&configuration());
    world.pass(600);
    let headers = browser.headers("GET", "/v2/dashboard", &NAVIGATION);
    let (_, edit, linked) = loaded(&mut world, &headers);
    assert!(linked.is_some() && edit.add.iter().any(|(name, _)| *name == "set-cookie"));
    let caching: Vec<_> = edit.set.iter().filter(|(name, _)| *name == "cache-control").collect();
    assert_eq!(caching.len(), 1);
    assert_eq!(caching[0].1, b"no-store");
}

#[test]
fn nothing_else_is_touched() {
    let (mut world, browser) = logged_in(&configuration());
    let gzip = ("accept-encoding".to_owned(), b"gzip".to_vec());
    for mut headers in [
        browser.headers("GET", "/v2/dashboard", &SCRIPT),
        browser.headers("GET", "/api/flows/1", &NAVIGATION),
        request("GET", "/dashboard", &[("x-api-key", API_KEY), ("accept", "text/html")]),
        request("GET", "/api/health", &NAVIGATION),
    ] {
        headers.push(gzip.clone());
        let (asked, edit, linked) = loaded(&mut world, &headers);
        assert_eq!(header(&asked, "accept-encoding"), Some("gzip"), "{headers:?}");
        assert!(linked.is_none() && !edit.remove.contains(&"etag".into()), "{headers:?}");
    }
}

#[test]
fn it_can_be_switched_off() {
    let mut settings = configuration();
    settings["ui"] = json!({ "companion": false });
    let (mut world, browser) = logged_in(&settings);
    let headers = browser.headers("GET", "/v2/dashboard", &NAVIGATION);
    assert!(loaded(&mut world, &headers).2.is_none());
    let reply = world.request(&request("GET", "/oauth2/companion.js", &[])).1.reply();
    assert_eq!(reply.status, 404);
}

#[test]
fn the_script_is_kept_under_its_own_version_alone() {
    let mut world = World::new();
    let own = crate::prefect::companion::version();
    for (query, caching) in [
        (format!("?v={own}"), "public, max-age=31536000, immutable"),
        (String::new(), "no-cache"),
        ("?v=other".to_owned(), "no-cache"),
        (format!("?v={own}&v={own}"), "no-cache"),
    ] {
        let path = format!("/oauth2/companion.js{query}");
        let reply = world.request(&request("GET", &path, &[])).1.reply();
        assert_eq!(reply_header(&reply, "cache-control"), Some(caching), "{query}");
    }
}
