//! Personal tokens: a person creates one after a fresh login and uses it like any other credential.

mod end;
mod page;
mod terminal;

use crate::answer::reply::Reply;
use crate::foundation::crypto::{sha256, to_base64url};
use crate::testing::browser::{Browser, FORM_POST, NAVIGATION};
use crate::testing::machines::asks;
use crate::testing::{Outcome, World, code};
use serde_json::json;

const VERIFIER: &str = "a-verifier-that-only-the-terminal-knows-0123456789";

/// Somebody who has logged in a moment ago, at this page.
fn person(world: &mut World, page: &str) -> Browser {
    let mut browser = Browser::default();
    world.idp.claims["auth_time"] = json!(world.now.secs());
    assert_eq!(browser.log_in(world, page), format!("{}{page}", crate::testing::PUBLIC));
    browser
}

/// The answer to a page, as its form sends it.
fn action(page: &Reply) -> String {
    let html = text(page);
    let (_, rest) = html.split_once("<form method=\"post\" action=\"").expect("a form");
    rest.split_once('"').unwrap().0.replace("&amp;", "&")
}

/// Presses the button of a page; without one the page's own address is posted to.
fn post(world: &mut World, browser: &Browser, page: &str) -> Outcome {
    let shown = world.request(&browser.headers("GET", page, &NAVIGATION)).1.reply();
    let address = if shown.status == 200 { action(&shown) } else { page.to_owned() };
    world.request(&browser.headers("POST", &address, &FORM_POST)).1
}

fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.clone()).unwrap()
}

/// What the page shows to be copied: `name:lt_…`.
pub fn made(world: &mut World) -> String {
    let browser = person(world, "/oauth2/token");
    let reply = post(world, &browser, "/oauth2/token").reply();
    assert_eq!(reply.status, 200, "{}", text(&reply));
    let page = text(&reply);
    let (_, rest) = page.split_once("PREFECT_API_AUTH_STRING=&#39;").expect("the setting");
    rest.split_once("&#39;").unwrap().0.to_owned()
}

fn used(world: &mut World, pair: &str) -> Outcome {
    world.request(&asks(pair)).1
}

fn refused(world: &mut World, pair: &str) {
    let reply = used(world, pair).reply();
    assert_eq!((reply.status, code(&reply).as_str()), (401, "personal_token"));
}

fn page(port: Option<&str>) -> String {
    let challenge = to_base64url(&sha256(VERIFIER.as_bytes()));
    match port {
        Some(port) => format!("/oauth2/token?challenge={challenge}&port={port}&state=s-1"),
        None => format!("/oauth2/token?challenge={challenge}"),
    }
}
