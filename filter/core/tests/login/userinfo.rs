//! Roles by userinfo, where no token has them.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::testing::browser::Browser;
use crate::testing::{World, configuration, header};
use serde_json::{Value, json};

const USERINFO: &str = "/realms/prefect/userinfo";

fn world(settings: Value) -> World {
    let mut all = configuration();
    all["idp"] = json!({"userinfo": true});
    all["roles"] = settings;
    let mut world = World::with(&all);
    world.idp.claims = json!({"realm_access": null});
    world
}

fn role(world: &mut World, browser: &Browser) -> String {
    let headers = browser.asks();
    match world.request(&headers).1 {
        crate::testing::Outcome::Forwarded(sent) => {
            header(&sent, "x-auth-request-groups").unwrap().into()
        }
        crate::testing::Outcome::Reply(reply) => crate::testing::code(&reply),
        crate::testing::Outcome::Waiting | crate::testing::Outcome::Reading(_) => {
            panic!("it waits")
        }
    }
}

#[test]
fn a_login_asks_userinfo_when_no_token_says_the_role() {
    for (claims, wanted) in [
        (json!({"sub": "alice-1", "groups": ["prefect-viewer"]}), "viewer"),
        (json!({"sub": "alice-1"}), "no_role"),
        // IDT-16: an answer about somebody else is dropped.
        (json!({"sub": "mallory", "groups": ["prefect-admin"]}), "no_role"),
        (json!({"groups": ["prefect-admin"]}), "no_role"),
        (json!(["prefect-admin"]), "no_role"),
    ] {
        let (mut world, mut browser) = (world(json!({})), Browser::default());
        world.idp.userinfo = Some(claims.clone());
        browser.log_in(&mut world, "/");
        assert_eq!(role(&mut world, &browser), wanted, "{claims}");
        assert_eq!(world.idp.called(USERINFO), 1);
    }
    let (mut other, mut browser) = (world(json!({"default": "viewer"})), Browser::default());
    other.idp.userinfo = Some(json!({"sub": "mallory"}));
    browser.log_in(&mut other, "/");
    assert_eq!(role(&mut other, &browser), "viewer", "the default is the last resort");
}

#[test]
fn it_is_not_asked_when_a_token_says_the_role() {
    let (mut world, mut browser) = (world(json!({})), Browser::default());
    world.idp.claims = json!({});
    browser.log_in(&mut world, "/");
    assert_eq!(role(&mut world, &browser), "operator");
    assert_eq!(world.idp.called(USERINFO), 0);
}

#[test]
fn without_an_answer_nobody_is_logged_in() {
    let (mut world, mut browser) = (world(json!({})), Browser::default());
    let callback = browser.start_login(&mut world, "/");
    assert_eq!(browser.load(&mut world, &callback).reply().status, 503);
    assert!(browser.session().is_none());
}

#[test]
fn a_recheck_asks_again() {
    let (mut world, mut browser) = (world(json!({})), Browser::default());
    world.idp.userinfo = Some(json!({"sub": "alice-1", "groups": ["prefect-operator"]}));
    browser.log_in(&mut world, "/");
    assert_eq!(role(&mut world, &browser), "operator");
    world.pass(300);
    world.idp.userinfo = Some(json!({"sub": "alice-1", "groups": ["prefect-viewer"]}));
    assert_eq!(role(&mut world, &browser), "viewer", "it was taken away at the provider");
    assert_eq!(world.idp.called(USERINFO), 2);
    // No answer: grace, with the role that was confirmed last.
    let headers = browser.asks();
    world.pass(300);
    world.idp.userinfo = None;
    assert_eq!(world.request(&headers).1.status(), 200);
    assert_eq!(world.idp.called(USERINFO), 3);
    // The refresh token that came before the silence has taken the old one's place.
    world.pass(6);
    world.idp.userinfo = Some(json!({"sub": "alice-1", "groups": ["prefect-viewer"]}));
    assert_eq!(role(&mut world, &browser), "viewer");
    let redeemed: Vec<String> =
        (1..4).map(|number| format!("planted-refresh-token-{number}")).collect();
    assert_eq!(world.idp.redeemed, redeemed);
}
