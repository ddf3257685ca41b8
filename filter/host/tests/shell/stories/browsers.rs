//! People with browsers.

use serde_json::json;

use super::{Story, Who};
use crate::browser::Browser;
use crate::world::{FORM, NAVIGATION, Request, SCRIPT, World, configuration};

pub const STORIES: &[Story] = &[
    Story::new("page load", page_load).stranger(&["302 issuer/auth"]),
    Story::new("login", login)
        .known(&["302 /runs", "to Prefect as user:alice-1 with the secret"])
        .stranger(&["302 issuer/auth", "401 not_authenticated"]),
    Story::new("session", session)
        .known(&["to Prefect as user:alice-1 with the secret, 200"])
        .stranger(&["401 not_authenticated"]),
    Story::new("session refresh", refresh)
        .known(&["to Prefect as user:alice-1 with the secret, 200"]),
    Story::new("session refresh that is refused", refused_refresh).stranger(&["401 session_ended"]),
    Story::new("sign-out", sign_out)
        .known(&["302 issuer/logout", "401 session_ended"])
        .stranger(&["200"]),
    Story::new("personal token", personal_token)
        .known(&["200", "200", "to Prefect as user:alice-1 with the secret"])
        .stranger(&["302 issuer/auth"]),
];

/// Without a session a page load is sent to the issuer.
fn page_load(world: &mut World, _: Who) -> Option<()> {
    world.prepared();
    world.decide(&Request::new("GET", "/runs?x=1", &NAVIGATION).posing(), None);
    Some(())
}

/// The callback's code is redeemed and becomes a cookie, which counts.
fn login(world: &mut World, who: Who) -> Option<()> {
    let mut browser = Browser::default();
    let callback = browser.start_login(world, "/runs")?;
    if who == Who::Stranger {
        browser.cookies.clear();
    }
    world.prepared();
    browser.load(world, &callback)?;
    world.decide(&browser.request("POST", "/api/flows/filter", &SCRIPT), None);
    Some(())
}

fn session(world: &mut World, who: Who) -> Option<()> {
    let mut browser = Browser::logged_in(world);
    browser.cookies.insert("theme".to_owned(), "dark".to_owned());
    if who == Who::Stranger {
        spoil(&mut browser);
    }
    world.prepared();
    let request = browser.request("POST", "/api/flows/filter", &SCRIPT).posing();
    let id = world.decide(&request, Some(b"{}"));
    world.respond(id, &[(":status", "200"), ("set-cookie", "prefect=1")], b"[]");
    Some(())
}

/// A refresh that is due: the request waits for it.
fn refresh(world: &mut World, _: Who) -> Option<()> {
    let browser = Browser::logged_in(world);
    refreshed(world, &browser, 300)
}

/// A refresh that the provider refuses, where sessions do not outlive a provider that is away.
fn refused_refresh(world: &mut World, _: Who) -> Option<()> {
    let mut settings = configuration();
    settings["session"] = json!({ "grace": "1s" });
    let browser = Browser::logged_in_at(world, &settings);
    world.provider.refuses_refresh = true;
    refreshed(world, &browser, 310)
}

fn refreshed(world: &mut World, browser: &Browser, seconds: u64) -> Option<()> {
    world.pass(seconds);
    world.prepared();
    let id = world.decide(&browser.request("GET", "/api/flows/1", &SCRIPT), None);
    world.respond(id, &[(":status", "200")], b"[]");
    Some(())
}

fn sign_out(world: &mut World, who: Who) -> Option<()> {
    let mut browser = Browser::logged_in(world);
    let before = browser.clone();
    if who == Who::Stranger {
        spoil(&mut browser);
    }
    world.prepared();
    let answer = world.answered(&browser.request("POST", "/oauth2/sign_out", &FORM))?;
    // The old cookie counts no more, wherever it has been kept.
    if who == Who::Known && answer.status() < 400 {
        world.decide(&before.request("GET", "/api/flows/1", &SCRIPT), None);
    }
    Some(())
}

/// A token is made on its page, and used.
fn personal_token(world: &mut World, who: Who) -> Option<()> {
    let mut browser = Browser::logged_in(world);
    if who == Who::Stranger {
        spoil(&mut browser);
    }
    world.prepared();
    let page = browser.load(world, "/oauth2/token")?;
    let page = String::from_utf8(page.body).ok()?;
    let (_, rest) = page.split_once("<form method=\"post\" action=\"")?;
    let action = rest.split_once('"')?.0.replace("&amp;", "&");
    let made = world.answered(&browser.request("POST", &action, &FORM))?;
    let made = String::from_utf8(made.body).ok()?;
    let (_, rest) = made.split_once("PREFECT_API_AUTH_STRING=&#39;")?;
    let line = crate::world::basic(rest.split_once("&#39;")?.0);
    world.decide(&Request::new("GET", "/api/flows/1", &[("authorization", &line)]), None);
    Some(())
}

/// Makes a session cookie one that nobody has sealed.
fn spoil(browser: &mut Browser) {
    for value in browser.cookies.values_mut() {
        *value = value.chars().rev().collect();
    }
}
