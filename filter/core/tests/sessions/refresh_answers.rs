//! What the token endpoint's answer to a refresh means for the role, by the standards: an ID token may be
//! missing, and an access token that can't be used says nothing about the person.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::testing::browser::{Browser, SCRIPT};
use crate::testing::idp::merge;
use crate::testing::{World, configuration};
use serde_json::{Value, json};

/// What a person may do afterwards, who was an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Operator,
    Viewer,
    NoRole,
    SignedOut,
}

fn then(world: &mut World, browser: &Browser) -> Then {
    let mut status = |method: &str, path: &str| {
        world.request(&browser.headers(method, path, &SCRIPT)).1.status()
    };
    let reads = status("GET", "/api/flows/1");
    match (reads, status("POST", "/api/deployments/1/create_flow_run")) {
        (200, 200) => Then::Operator,
        (200, 403) => Then::Viewer,
        (403, 403) => Then::NoRole,
        (401, 401) => Then::SignedOut,
        other => panic!("{other:?}"),
    }
}

/// An access token for Lictor's own client, with these changes.
fn access(world: &World, patch: &Value) -> String {
    let mut claims = world.idp.machine_claims(world.now);
    let own = json!({"azp": "prefect", "sub": "alice-1", "preferred_username": "alice"});
    merge(&mut claims, &own);
    merge(&mut claims, patch);
    world.idp.sign(&claims)
}

fn id_token(world: &World, patch: &Value) -> String {
    let mut claims = world.idp.person_claims(world.now);
    merge(&mut claims, patch);
    world.idp.sign(&claims)
}

fn roles(names: &[&str]) -> Value {
    json!({ "realm_access": { "roles": names } })
}

const NONE: Value = Value::Null;

#[test]
fn each_answer_has_its_meaning() {
    let (viewer, nothing, no_claim) =
        (roles(&["prefect-viewer"]), roles(&["offline_access"]), json!({"realm_access": NONE}));
    let with = |mut claims: Value, name: &str, value: Value| {
        claims[name] = value;
        claims
    };
    // The ID token's claims, the access token's, the outcome, and what the log says.
    let rows: Vec<(Option<Value>, Option<Value>, Then, &str)> = vec![
        (None, None, Then::SignedOut, "without a claim for the role"),
        (None, Some(viewer.clone()), Then::Viewer, ""),
        (None, Some(nothing.clone()), Then::NoRole, ""),
        (None, Some(no_claim.clone()), Then::SignedOut, "without a claim for the role"),
        (None, Some(with(viewer.clone(), "sub", json!("bob"))), Then::Operator, "sub \"bob\""),
        (None, Some(with(viewer.clone(), "azp", json!("other"))), Then::Operator, "azp \"other\""),
        (None, Some(with(viewer.clone(), "exp", json!(1_700_000_000))), Then::Operator, "exp 17"),
        (None, Some(with(viewer.clone(), "exp", json!("soon"))), Then::Operator, "a number of sec"),
        (None, Some(with(viewer.clone(), "exp", json!(1.9e9))), Then::Viewer, ""),
        (None, Some(with(viewer.clone(), "nonce", json!("n"))), Then::Viewer, ""),
        (None, Some(with(viewer.clone(), "typ", json!("ID"))), Then::Operator, "an access token"),
        (Some(json!({})), Some(viewer.clone()), Then::Operator, ""),
        (Some(viewer.clone()), None, Then::Viewer, ""),
        (Some(no_claim.clone()), None, Then::NoRole, ""),
        (Some(no_claim.clone()), Some(viewer.clone()), Then::Viewer, ""),
        (Some(no_claim.clone()), Some(nothing), Then::NoRole, ""),
        (
            Some(no_claim),
            Some(with(viewer.clone(), "iss", json!("https://x"))),
            Then::Operator,
            "iss",
        ),
        (Some(with(viewer, "sub", json!("bob"))), None, Then::SignedOut, "another subject"),
    ];
    for (id, access_claims, wanted, line) in rows {
        let mut world = World::new();
        let browser = world.log_in();
        world.pass(300);
        let mut body =
            json!({"token_type": "Bearer", "access_token": "opaque", "refresh_token": "r"});
        if let Some(patch) = &access_claims {
            body["access_token"] = access(&world, patch).into();
        }
        if let Some(patch) = &id {
            body["id_token"] = id_token(&world, patch).into();
        }
        world.idp.instead_of_tokens = Some((200, body.to_string().into_bytes()));
        let about = format!("ID token {id:?}, access token {access_claims:?}");
        assert_eq!(then(&mut world, &browser), wanted, "{about}: {:?}", world.log);
        let log = world.log.join("\n");
        assert!(log.contains(line), "{about}: {line:?} is not in\n{log}");
        assert!(line.is_empty() || log.contains("user:alice-1"), "whose session: {log}");
    }
}

/// The key of an access token is fetched, as that of an ID token is. A rotation takes no role.
#[test]
fn a_new_key_of_an_access_token_takes_no_role() {
    let mut settings = configuration();
    settings["session"] = json!({"recheck": "5m"});
    let mut world = World::with(&settings);
    world.idp.claims = json!({"realm_access": NONE});
    world.idp.instead_of_access = Some(access(&world, &roles(&["prefect-operator"])));
    let mut browser = world.log_in();
    assert_eq!(then(&mut world, &browser), Then::Operator);
    world.pass(300);
    world.idp.rotate("k2");
    let body = json!({
        "token_type": "Bearer",
        "access_token": access(&world, &roles(&["prefect-operator"])),
        "refresh_token": "r",
    });
    world.idp.instead_of_tokens = Some((200, body.to_string().into_bytes()));
    assert_eq!(browser.poll(&mut world), 200);
    assert_eq!(then(&mut world, &browser), Then::Operator);
    world.pass(6);
    world.work();
    assert_eq!(browser.poll(&mut world), 200);
    assert!(world.idp.called("/realms/prefect/certs") > 1, "the keys are fetched");
}

#[test]
fn a_login_waits_for_the_key_of_its_access_token() {
    let mut world = World::new();
    world.idp.claims = json!({"realm_access": NONE});
    world.pass(60);
    let mut browser = Browser::default();
    let callback = browser.start_login(&mut world, "/");
    // The ID token is by the known key, the access token by a new one.
    let mut claims = world.idp.person_claims(world.now);
    merge(&mut claims, &json!({"nonce": world.idp.nonce, "realm_access": NONE}));
    let id = world.idp.sign(&claims);
    world.idp.rotate("k2");
    world.idp.instead_of_id = Some(id);
    world.idp.instead_of_access = Some(access(&world, &roles(&["prefect-operator"])));
    assert_eq!(browser.load(&mut world, &callback).reply().status, 302);
    assert_eq!(then(&mut world, &browser), Then::Operator);
}

/// A login without a role is no riddle: the log says why the access token was of no use.
#[test]
fn a_login_without_a_role_says_why() {
    for (patch, line) in [
        (json!({"azp": "other"}), "access token with azp \"other\", wanted prefect"),
        (json!({"exp": 1}), "access token with exp 1, wanted after"),
        (json!({"sub": "bob"}), "access token with sub \"bob\", wanted alice-1"),
    ] {
        let mut world = World::new();
        world.idp.claims = json!({"realm_access": NONE});
        world.idp.instead_of_access = Some(access(&world, &patch));
        let browser = world.log_in();
        world.work();
        assert_eq!(then(&mut world, &browser), Then::NoRole, "{patch}");
        let log = world.log.join("\n");
        assert!(log.contains("a login of alice-1 without a role") && log.contains(line), "{log}");
    }
    // Of an opaque one there is nothing to say.
    let mut world = World::new();
    world.idp.claims = json!({"realm_access": NONE});
    world.log_in();
    world.work();
    assert!(!world.log.join("\n").contains("without a role"));
}

/// What strangers send has a bound of 16 KiB. A person in many groups has more, from the provider.
#[test]
fn a_person_in_many_groups_signs_in_and_stays() {
    let groups: Vec<String> = (0..400).map(|number| format!("/{:0>120}", number)).collect();
    let mut world = World::new();
    world.idp.claims = json!({ "groups": groups });
    world.idp.instead_of_access = Some(access(&world, &json!({ "groups": groups })));
    let browser = world.log_in();
    assert_eq!(then(&mut world, &browser), Then::Operator);
    world.pass(300);
    assert_eq!(then(&mut world, &browser), Then::Operator);
}
