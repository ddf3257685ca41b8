//! Signing out at the provider as well: with the newest refresh token where that is enough, else at its
//! `end_session_endpoint` (OpenID Connect RP-Initiated Logout §2; rows LO).

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::testing::browser::{Browser, SCRIPT};
use crate::testing::idp::Mood;
use crate::testing::{ISSUER, PUBLIC, World, configuration, reply_header};
use crate::wire::http::query::only;
use serde_json::{Value, json};

/// A provider that is not Keycloak.
fn another(end_session: Option<&str>) -> World {
    let mut world = World::starting(&configuration());
    world.idp.instead_of_metadata = Some(json!({
        "issuer": ISSUER,
        "authorization_endpoint": format!("{ISSUER}/auth"),
        "token_endpoint": format!("{ISSUER}/token"),
        "jwks_uri": format!("{ISSUER}/certs"),
        "end_session_endpoint": end_session,
    }));
    world.work();
    world
}

fn signed_out_at(world: &mut World, browser: &mut Browser) -> (String, Value) {
    let reply = browser.load(world, "/oauth2/sign_out").reply();
    assert_eq!(reply.status, 302);
    assert!(browser.session().is_none());
    let location = reply_header(&reply, "location").unwrap();
    let (endpoint, query) = location.split_once('?').unwrap();
    let value = |name| only(query, name).unwrap().map(|value| value.into_owned());
    let query = json!({
        "client_id": value("client_id"),
        "post_logout_redirect_uri": value("post_logout_redirect_uri"),
        "id_token_hint": value("id_token_hint"),
    });
    (endpoint.to_owned(), query)
}

#[test]
fn elsewhere_a_fresh_id_token_is_the_hint() {
    let end = format!("{ISSUER}/end");
    let (mut world, mut browser) = (another(Some(&end)), Browser::default());
    browser.log_in(&mut world, "/");
    let copied = browser.clone();
    let (endpoint, query) = signed_out_at(&mut world, &mut browser);
    assert_eq!(endpoint, end);
    assert_eq!(query["client_id"], "prefect");
    assert_eq!(query["post_logout_redirect_uri"], format!("{PUBLIC}/oauth2/sign_out"));
    assert_eq!(query["id_token_hint"].as_str().unwrap().split('.').count(), 3);
    assert_eq!(world.idp.redeemed, ["planted-refresh-token-1"]);
    let headers = copied.headers("GET", "/api/flows/1", &SCRIPT);
    assert_eq!(world.request(&headers).1.status(), 401, "here it is over as well");
    // The provider sends the browser back: a page that says so, whatever `state` it brings.
    for query in ["", "?state=x", "?state=x&state=y"] {
        let reply = browser.load(&mut world, &format!("/oauth2/sign_out{query}")).reply();
        assert_eq!(reply.status, 200, "{query}");
    }
}

#[test]
fn without_an_answer_the_person_goes_there_without_a_hint() {
    for mood in [Mood::Away, Mood::NoCluster, Mood::RefreshRefused, Mood::ClientRefused] {
        let end = format!("{ISSUER}/end");
        let (mut world, mut browser) = (another(Some(&end)), Browser::default());
        browser.log_in(&mut world, "/");
        world.idp.mood = mood;
        let (endpoint, query) = signed_out_at(&mut world, &mut browser);
        assert_eq!((endpoint, &query["id_token_hint"]), (end, &Value::Null), "{mood:?}");
    }
}

#[test]
fn a_provider_without_logout_is_signed_out_of_here() {
    let (mut world, mut browser) = (another(None), Browser::default());
    browser.log_in(&mut world, "/");
    let copied = browser.clone();
    let reply = browser.load(&mut world, "/oauth2/sign_out").reply();
    assert_eq!(reply.status, 200);
    let headers = copied.headers("GET", "/api/flows/1", &SCRIPT);
    assert_eq!(world.request(&headers).1.status(), 401);
}

#[test]
fn the_newest_refresh_token_ends_the_session_whatever_cookie_is_shown() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    browser.log_in(&mut world, "/");
    world.pass(300);
    // Another tab's request refreshes; this tab still has the old cookie.
    let headers = browser.headers("GET", "/api/flows/1", &SCRIPT);
    world.request(&headers).1.forwarded();
    assert_eq!(browser.load(&mut world, "/oauth2/sign_out").reply().status, 200);
    assert_eq!(world.idp.logged_out, ["planted-refresh-token-2"]);
}
