//! Signing out: here, at every worker, and at the provider. There the newest refresh token does it
//! where that is enough, else its `end_session_endpoint` (OpenID Connect RP-Initiated Logout §2;
//! rows LO).

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::rc::Rc;

use crate::testing::browser::Browser;
use crate::testing::idp::Mood;
use crate::testing::store::MemoryStore;
use crate::testing::{ISSUER, PUBLIC, World, configuration, reply_header};
use crate::tests::sessions::cookies_set;
use crate::wire::http::query::only;
use serde_json::{Value, json};

/// A provider that is not Keycloak.
fn another(end_session: Option<&str>) -> World {
    revoking(end_session, None)
}

/// The same with a revocation endpoint.
fn revoking(end_session: Option<&str>, revocation: Option<String>) -> World {
    let mut world = World::starting(&configuration());
    world.idp.instead_of_metadata = Some(json!({
        "issuer": ISSUER,
        "authorization_endpoint": format!("{ISSUER}/auth"),
        "token_endpoint": format!("{ISSUER}/token"),
        "jwks_uri": format!("{ISSUER}/certs"),
        "end_session_endpoint": end_session,
        "revocation_endpoint": revocation,
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
fn signing_out_ends_the_session_at_the_provider_too() {
    let mut world = World::new();
    let mut browser = world.log_in();
    for headers in [
        browser.headers(
            "GET",
            "/oauth2/sign_out",
            &[
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "no-cors"),
                ("sec-fetch-dest", "image"),
            ],
        ),
        browser.headers(
            "GET",
            "/oauth2/sign_out",
            &[
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-mode", "no-cors"),
                ("sec-fetch-dest", "image"),
            ],
        ),
        browser.headers("POST", "/oauth2/sign_out", &[("origin", "https://evil.example")]),
        browser.headers(
            "POST",
            "/oauth2/sign_out",
            &[
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
            ],
        ),
    ] {
        assert_eq!(world.request(&headers).1.reply().status, 403, "{headers:?}");
    }
    let from_elsewhere = browser.headers(
        "GET",
        "/oauth2/sign_out",
        &[
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ],
    );
    let page = world.request(&from_elsewhere).1.reply();
    assert!(String::from_utf8_lossy(&page.body).contains("<form method=\"post\""), "it asks");
    assert_eq!(world.idp.called("/realms/prefect/protocol/openid-connect/logout"), 0);
    let reply = browser.fetch(&mut world, "POST", "/oauth2/sign_out").reply();
    assert_eq!(reply.status, 200);
    assert_eq!(world.idp.called("/realms/prefect/protocol/openid-connect/logout"), 1);
    assert!(browser.session().is_none());
}

#[test]
fn elsewhere_a_fresh_id_token_is_the_hint() {
    let end = format!("{ISSUER}/end");
    let mut world = another(Some(&end));
    let mut browser = world.log_in();
    let copied = browser.clone();
    let (endpoint, query) = signed_out_at(&mut world, &mut browser);
    assert_eq!(endpoint, end);
    assert_eq!(query["client_id"], "prefect");
    assert_eq!(query["post_logout_redirect_uri"], format!("{PUBLIC}/oauth2/sign_out"));
    assert_eq!(query["id_token_hint"].as_str().unwrap().split('.').count(), 3);
    assert_eq!(world.idp.redeemed, ["planted-refresh-token-1"]);
    let headers = copied.asks();
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
        let mut world = another(Some(&end));
        let mut browser = world.log_in();
        world.idp.mood = mood;
        let (endpoint, query) = signed_out_at(&mut world, &mut browser);
        assert_eq!((endpoint, &query["id_token_hint"]), (end, &Value::Null), "{mood:?}");
    }
}

#[test]
fn a_provider_without_logout_is_signed_out_of_here() {
    let mut world = another(None);
    let mut browser = world.log_in();
    let copied = browser.clone();
    let reply = browser.load(&mut world, "/oauth2/sign_out").reply();
    assert_eq!(reply.status, 200);
    let headers = copied.asks();
    assert_eq!(world.request(&headers).1.status(), 401);
}

#[test]
fn the_newest_refresh_token_ends_the_session_whatever_cookie_is_shown() {
    let mut world = World::new();
    let mut browser = world.log_in();
    world.pass(300);
    // Another tab's request refreshes; this tab still has the old cookie.
    let headers = browser.asks();
    world.request(&headers).1.forwarded();
    assert_eq!(browser.load(&mut world, "/oauth2/sign_out").reply().status, 200);
    assert_eq!(world.idp.logged_out, ["planted-refresh-token-2"]);
}

/// A slow answer of Prefect's used to set the session's cookie again after the sign-out.
#[test]
fn a_sign_out_holds_against_answers_that_come_later() {
    let mut world = World::new();
    let mut browser = world.log_in();
    world.pass(299);
    let (mut slow, outcome) = world.request(&browser.asks());
    outcome.forwarded();
    world.pass(1);
    let (mut due, outcome) = world.request(&browser.asks());
    outcome.forwarded();
    let stolen = browser.clone();
    assert_eq!(browser.fetch(&mut world, "POST", "/oauth2/sign_out").status(), 200);
    assert!(cookies_set(&mut world, &mut slow).is_empty());
    assert!(cookies_set(&mut world, &mut due).is_empty());
    // Neither the old cookie nor the kept result of its refresh counts.
    assert_eq!(stolen.clone().fetch(&mut world, "GET", "/api/flows/1").status(), 401);
}

/// Old cookies cause no calls.
#[test]
fn signing_out_of_what_is_over_asks_nobody() {
    let store = Rc::new(MemoryStore::default());
    let mut world = World::worker(&store);
    let mut browser = world.log_in();
    let old = browser.clone();
    browser.load(&mut world, "/oauth2/sign_out");
    world.pass(40 * 3600);
    world.work();
    let before = world.idp.logged_out.len();
    for _ in 0..200 {
        old.clone().load(&mut world, "/oauth2/sign_out");
    }
    assert_eq!(world.idp.logged_out.len(), before);
}

#[test]
fn a_session_that_was_signed_out_counts_at_no_worker() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (World::starting_worker(&store), World::starting_worker(&store));
    first.work();
    second.work();
    let mut browser = first.log_in();
    let copied = browser.clone();
    let headers = copied.asks();
    assert_eq!(second.request(&headers).1.status(), 200);
    assert_eq!(browser.load(&mut first, "/oauth2/sign_out").reply().status, 200);
    for world in [&mut first, &mut second] {
        assert_eq!(world.request(&headers).1.status(), 401);
    }
    // What somebody else writes over the marks makes nobody forget them.
    for (value, version) in store.0.borrow_mut().values_mut() {
        *value = b"not ours".to_vec();
        *version += 1;
    }
    assert_eq!(second.request(&headers).1.status(), 401);
}

/// The refresh tokens that were revoked.
fn revoked(world: &World) -> Vec<String> {
    let forms = world.idp.forms.iter().filter(|(path, _)| path == "/realms/prefect/revoke");
    forms.map(|(_, form)| only(form, "token").unwrap().unwrap().into_owned()).collect()
}

/// RFC 7009, where there is no logout of Keycloak's.
#[test]
fn the_refresh_token_is_revoked() {
    let endpoint = || Some(format!("{ISSUER}/revoke"));
    let mut world = revoking(None, endpoint());
    let mut browser = world.log_in();
    let reply = browser.load(&mut world, "/oauth2/sign_out").reply();
    assert_eq!((reply.status, browser.session()), (200, None));
    assert_eq!(revoked(&world), ["planted-refresh-token-1"]);

    // The refresh for the hint has made another one.
    let logout = "https://sso.example.com/logout";
    let mut world = revoking(Some(logout), endpoint());
    let mut browser = world.log_in();
    let (there, query) = signed_out_at(&mut world, &mut browser);
    assert_eq!(there, logout);
    assert!(query["id_token_hint"].is_string());
    assert_eq!(revoked(&world), ["planted-refresh-token-2"]);
    assert!(!world.log.join("").contains("planted"), "{:?}", world.log);

    // Nothing is sent to an origin without a cluster, and a provider that is away holds nobody up.
    let mut world = revoking(None, Some("https://other.example/revoke".to_owned()));
    let mut browser = world.log_in();
    assert_eq!(browser.load(&mut world, "/oauth2/sign_out").status(), 200);
    assert!(revoked(&world).is_empty());
    let mut world = revoking(Some(logout), endpoint());
    let mut browser = world.log_in();
    world.idp.mood = Mood::Away;
    assert_eq!(signed_out_at(&mut world, &mut browser).0, logout);
    assert!(browser.session().is_none());
    world.idp.mood = Mood::Well;
    for _ in 0..=crate::foundation::limits::LOGINS_IN_FLIGHT {
        let mut browser = world.log_in();
        signed_out_at(&mut world, &mut browser);
    }
}
