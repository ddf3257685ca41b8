//! Five kinds of token, and every place that takes one: each kind counts in its own place alone
//! (RFC 8725 §3.12, KC-1, KC-2).

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::gate::decision::DataStep;
use crate::testing::browser::Browser;
use crate::testing::{World, basic, request};
use crate::wire::websocket;
use serde_json::{Value, json};

/// A token of a kind, as like the right one as that kind can be. `nonce` is what an attempt wants.
fn token(world: &World, kind: &str, nonce: &str) -> String {
    let now = world.now.secs();
    let mut claims = world.idp.person_claims(world.now);
    claims["nonce"] = json!(nonce);
    let typ = match kind {
        "access" => "Bearer",
        "id" => "ID",
        "refresh" => "Refresh",
        "offline" => "Offline",
        _ => "Logout",
    };
    claims["typ"] = typ.into();
    let header = match kind {
        "logout" => {
            claims["events"] = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
            claims["jti"] = json!(format!("j{now}"));
            json!({"alg": "EdDSA", "typ": "logout+jwt", "kid": "k1"})
        }
        // Keycloak signs these with a key that it shows to nobody.
        "refresh" | "offline" => json!({"alg": "HS512", "typ": "JWT", "kid": "k1"}),
        _ => json!({"alg": "EdDSA", "typ": "JWT", "kid": "k1"}),
    };
    world.idp.sign_with(&header, &claims)
}

fn as_bearer(kind: &str) -> bool {
    let mut world = World::new();
    let line = format!("Bearer {}", token(&world, kind, "n"));
    world.request(&request("GET", "/api/flows/1", &[("authorization", &line)])).1.status() == 200
}

fn in_basic(kind: &str) -> bool {
    let mut world = World::new();
    let line = basic(&format!("alice:{}", token(&world, kind, "n")));
    world.request(&request("GET", "/api/flows/1", &[("authorization", &line)])).1.status() == 200
}

fn at_auth(kind: &str) -> bool {
    let mut world = World::new();
    let line = format!("Bearer {}", token(&world, kind, "n"));
    world.request(&request("GET", "/oauth2/auth", &[("authorization", &line)])).1.status() == 202
}

fn in_the_first_frame(kind: &str) -> bool {
    let mut world = World::new();
    let mut claims = world.idp.person_claims(world.now);
    claims["realm_access"] = json!({"roles": ["prefect-worker"]});
    let text = json!({"type": "auth", "token": token(&world, kind, "n")}).to_string();
    let lines = [("upgrade", "websocket"), ("connection", "Upgrade")];
    let (mut gate, outcome) = world.request(&request("GET", "/api/events/out", &lines));
    outcome.forwarded();
    world.answer(&mut gate, "101");
    let bytes = websocket::write(websocket::TEXT, text.as_bytes(), [1; 4]);
    match gate.on_request_data(&bytes, false, &mut world.cx()) {
        DataStep::Replace(sent) => {
            let websocket::Read::Frame(sent) = websocket::read(&sent, 4096) else {
                panic!("no frame")
            };
            sent.opcode == websocket::TEXT
        }
        other => panic!("{other:?}"),
    }
}

fn as_id_token(kind: &str) -> bool {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let callback = browser.start_login(&mut world, "/");
    let nonce = world.idp.nonce.clone();
    world.idp.instead_of_id = Some(token(&world, kind, &nonce));
    browser.load(&mut world, &callback).reply().status == 302
}

fn as_refreshed_id_token(kind: &str) -> bool {
    let mut world = World::new();
    let browser = world.log_in();
    world.pass(300);
    world.idp.instead_of_id = Some(token(&world, kind, "n"));
    world.work();
    let headers = browser.asks();
    world.request(&headers).1.status() == 200
}

/// Roles may come from the access token of a login, if the ID token has none.
fn for_roles(kind: &str) -> bool {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let callback = browser.start_login(&mut world, "/");
    world.idp.claims = json!({"realm_access": null});
    world.idp.instead_of_access = Some(token(&world, kind, "n"));
    assert_eq!(browser.load(&mut world, &callback).reply().status, 302);
    let headers = browser.asks();
    world.request(&headers).1.status() == 200
}

#[test]
fn each_kind_counts_in_its_own_place_alone() {
    type Place = (&'static str, fn(&str) -> bool, &'static str);
    let places: [Place; 7] = [
        ("Authorization: Bearer", as_bearer, "access"),
        ("the password of Basic", in_basic, "access"),
        ("/oauth2/auth", at_auth, "access"),
        ("a socket's first frame", in_the_first_frame, "access"),
        ("a login's ID token", as_id_token, "id"),
        ("a refreshed ID token", as_refreshed_id_token, "id"),
        ("roles at a login", for_roles, "access"),
    ];
    for kind in ["access", "id", "refresh", "offline", "logout"] {
        for (place, takes, own) in places {
            assert_eq!(takes(kind), kind == own, "{kind} as {place}");
        }
    }
}

/// Even with a signature that verifies and no mark in the header, the payload says what it is.
#[test]
fn kc_1_the_payload_says_what_a_token_is() {
    let mut world = World::new();
    for typ in ["ID", "Refresh", "Offline", "Logout", "DPoP", "", "bearer"] {
        let mut claims: Value = world.idp.machine_claims(world.now);
        claims["typ"] = typ.into();
        let line = format!("Bearer {}", world.idp.sign(&claims));
        let headers = request("GET", "/api/flows/1", &[("authorization", &line)]);
        assert_eq!(world.request(&headers).1.status(), 401, "{typ}");
    }
}
