//! Opaque access tokens, which the provider introspects (RFC 7662).

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::rc::Rc;

use crate::Config;
use crate::foundation::crypto::to_base64;
use crate::foundation::limits::ATTEMPTS_PER_NETWORK;
use crate::provider::callout::Callout;
use crate::testing::idp::{Mood, merge};
use crate::testing::store::MemoryStore;
use crate::testing::{
    CLIENT_SECRET, ISSUER, World, auth_frame, basic, configuration, environment, request,
};
use crate::tests::credentials::shown;
use crate::wire::websocket;
use serde_json::{Value, json};

const API: &str = "api://prefect";
const TOKEN: &str = "planted-opaque-token";

fn settings() -> Value {
    let mut settings = configuration();
    settings["audiences"] = json!([API]);
    settings["idp"] = json!({ "profile": "generic" });
    settings["machines"]["introspection"] = json!(true);
    settings["roles"] = json!({ "sources": ["scope"], "worker": ["work"] });
    settings
}

/// What the provider says of a token that a machine got for itself.
fn active(world: &World) -> Value {
    let now = world.now.secs();
    json!({
        "active": true, "iss": ISSUER, "aud": API, "client_id": "etl", "sub": "etl",
        "token_type": "Bearer", "scope": "work", "iat": now, "exp": now + 900,
    })
}

/// A world whose provider knows [`TOKEN`], with this changed in what it says of it.
fn world_with(settings: &Value, patch: &Value) -> World {
    let mut world = World::with(settings);
    let mut claims = active(&world);
    merge(&mut claims, patch);
    world.idp.opaque.insert(TOKEN.to_owned(), claims);
    world
}

fn world(patch: &Value) -> World {
    world_with(&settings(), patch)
}

#[test]
fn the_provider_is_asked_once_and_by_the_login_s_client() {
    let mut world = world(&json!({}));
    for _ in 0..100 {
        assert_eq!(shown(&mut world, TOKEN), ("client:etl".into(), "worker".into()));
    }
    assert_eq!(world.idp.introspected, [format!("token={TOKEN}&token_type_hint=access_token")]);
    assert!(world.log.iter().any(|line| line.contains("method=opaque_token")), "{:?}", world.log);
    assert!(!world.log.join("").contains("planted"), "{:?}", world.log);

    let mut world = self::world(&json!({}));
    let line = format!("Bearer {TOKEN}");
    let _ = world.begin(&request("GET", "/api/flows/1", &[("authorization", &line)]));
    let (_, Callout { headers, cluster, .. }) = world.poll().expect("a question");
    let of = |name| headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str());
    assert_eq!(cluster, "idp");
    assert_eq!(of("authorization"), Some(basic(&format!("prefect:{CLIENT_SECRET}")).as_str()));
    assert_eq!(of(":path"), Some("/realms/prefect/introspect"));
}

#[test]
fn answers_are_judged_as_strictly_as_tokens() {
    let person = json!({"sub": "alice-1", "username": "alice", "scope": "openid work"});
    for (what, patch, principal, role) in [
        ("a machine", json!({}), "client:etl", "worker"),
        ("no sub: the client's own", json!({"sub": null}), "client:etl", "worker"),
        ("no sub, and a user", json!({"sub": null, "username": "a"}), "invalid_token", "sub"),
        ("no sub, and Okta's user", json!({"sub": null, "uid": "a"}), "invalid_token", "sub"),
        ("no sub, and a login", json!({"sub": null, "scope": "openid"}), "invalid_token", "sub"),
        ("a person", person, "user:alice-1", "worker"),
        ("no iss", json!({"iss": null}), "client:etl", "worker"),
        ("no iat", json!({"iat": null}), "client:etl", "worker"),
        ("aud in a list", json!({"aud": ["x", API]}), "client:etl", "worker"),
        ("type in lower case", json!({"token_type": "bearer"}), "client:etl", "worker"),
        ("Ory", json!({"token_use": "access_token"}), "client:etl", "worker"),
        ("not active", json!({"active": false}), "invalid_token", "active"),
        ("no type", json!({"token_type": null}), "invalid_token", "token_type"),
        ("bound to a key", json!({"token_type": "DPoP"}), "invalid_token", "token_type"),
        ("bound", json!({"cnf": {"x5t#S256": "x"}}), "invalid_token", "cnf"),
        ("another issuer", json!({"iss": "https://evil.example"}), "invalid_token", "iss"),
        ("odd issuer", json!({"iss": [ISSUER]}), "invalid_token", "iss"),
        ("another audience", json!({"aud": "other"}), "invalid_token", "aud"),
        ("no audience", json!({"aud": null}), "invalid_token", "aud"),
        ("the login's", json!({"aud": [API, "prefect"]}), "invalid_token", "aud"),
        ("no client", json!({"client_id": null}), "invalid_token", "azp"),
        ("no end", json!({"exp": null}), "invalid_token", "exp"),
        ("over", json!({"exp": 1_000_000}), "invalid_token", "exp"),
        ("an end in text", json!({"exp": "4000000000"}), "invalid_token", "exp"),
        ("an end in milliseconds", json!({"exp": 4_000_000_000_000_u64}), "invalid_token", "exp"),
        ("not yet", json!({"nbf": 4_000_000_000_u64}), "invalid_token", "nbf"),
        ("an ID token", json!({"nonce": "x"}), "invalid_token", "nonce"),
        ("a refresh token", json!({"typ": "Refresh"}), "invalid_token", "typ"),
        (
            "Ory's refresh token",
            json!({"token_use": "refresh_token"}),
            "invalid_token",
            "token_use",
        ),
        ("a logout token", json!({"events": {}}), "invalid_token", "events"),
        ("odd sub", json!({"sub": "é"}), "invalid_token", "sub"),
        ("no role", json!({"scope": "other"}), "no_role", ""),
    ] {
        let mut world = world(&patch);
        assert_eq!(shown(&mut world, TOKEN), (principal.into(), role.into()), "{what}");
    }
}

/// Providers without audiences: the client must be one of the operator's.
#[test]
fn without_an_audience_the_client_is_named() {
    let mut settings = settings();
    settings["audiences"] = json!([]);
    settings["authorized_parties"] = json!(["etl"]);
    for (patch, principal) in [
        (json!({"aud": null}), "client:etl"),
        (json!({"aud": null, "client_id": "other", "sub": "other"}), "invalid_token"),
        (json!({}), "invalid_token"),
    ] {
        assert_eq!(shown(&mut world_with(&settings, &patch), TOKEN).0, principal, "{patch}");
    }
}

/// The list of people applies to the tokens of people.
#[test]
fn people_are_on_the_list() {
    let mut settings = settings();
    settings["users"] = json!({ "allow": { "subjects": ["alice-1"] } });
    settings["authorized_parties"] = json!(["etl"]);
    for (patch, principal) in [
        (json!({}), "client:etl"),
        (json!({"sub": "alice-1", "username": "alice"}), "user:alice-1"),
        (json!({"sub": "bob-1", "username": "bob"}), "not_allowed"),
        (json!({"sub": null}), "invalid_token"),
    ] {
        assert_eq!(shown(&mut world_with(&settings, &patch), TOKEN).0, principal, "{patch}");
    }
}

/// What is no verdict refuses for a moment, and says so in the log.
#[test]
fn useless_answers_refuse_for_a_moment() {
    for (status, body, said) in [
        (200, &b"<html>Log in</html>"[..], "without a JSON object"),
        (200, b"{}", "without active"),
        (200, br#"{"active":"true"}"#, "without active"),
        (200, br#"{"active":true,"active":true}"#, "without a JSON object"),
        (200, br#"[{"active":true}]"#, "without a JSON object"),
        (401, br#"{"error":"invalid_client"}"#, "status 401"),
        (403, b"", "status 403"),
        (404, b"", "status 404"),
        (500, b"", "status 500"),
        (503, b"", "status 503"),
    ] {
        let mut world = world(&json!({}));
        world.idp.instead_of_introspection = Some((status, body.to_vec()));
        assert_eq!(shown(&mut world, TOKEN).0, "idp_unreachable", "{status}");
        let log = world.log.join("\n");
        assert!(log.contains("no verdict on a token") && log.contains(said), "{log}");
        world.idp.instead_of_introspection = None;
        assert_eq!(world.show(TOKEN).status(), 503, "{status}: a moment");
        world.pass(5);
        assert_eq!(world.show(TOKEN).status(), 200, "{status}");
    }
}

#[test]
fn a_revoked_token_ends_within_recheck_and_a_live_one_lasts_through_an_outage() {
    let mut world = world(&json!({}));
    assert_eq!(world.show(TOKEN).status(), 200);
    world.idp.opaque.clear();
    world.pass(299);
    assert_eq!(world.show(TOKEN).status(), 200, "within recheck");
    world.pass(1);
    assert_eq!(shown(&mut world, TOKEN), ("invalid_token".into(), "active".into()));

    let mut world = self::world(&json!({}));
    assert_eq!(world.show(TOKEN).status(), 200);
    world.idp.mood = Mood::Away;
    world.pass(959);
    assert_eq!(world.show(TOKEN).status(), 200, "grace");
    world.pass(1);
    assert_eq!(world.show(TOKEN).status(), 503, "its end, with the leeway");
}

#[test]
fn workers_share_verdicts_under_the_same_settings() {
    let store = Rc::new(MemoryStore::default());
    let mut first = World::worker_with(&settings(), &store);
    let claims = active(&first);
    first.idp.opaque.insert(TOKEN.to_owned(), claims);
    assert_eq!(first.show(TOKEN).status(), 200);
    let mut second = World::worker_with(&settings(), &store);
    assert_eq!(shown(&mut second, TOKEN), ("client:etl".into(), "worker".into()));
    assert_eq!(second.idp.introspected.len(), 0);
    let mut other = settings();
    other["users"] = json!({ "allow": { "subjects": ["alice-1"] } });
    let mut third = World::worker_with(&other, &store);
    assert_eq!(third.show(TOKEN).status(), 401, "its provider knows no such token");
    assert_eq!(third.idp.introspected.len(), 1);
}

#[test]
fn guesses_are_bounded_and_starve_no_known_token() {
    let mut world = world(&json!({}));
    assert_eq!(world.show(TOKEN).status(), 200);
    for number in 0..2000 {
        let status = world.show(&format!("guess-{number}")).status();
        assert!(matches!(status, 401 | 503), "{status}");
        if number % 100 == 0 {
            assert_eq!(world.show(TOKEN).status(), 200, "the known token");
        }
    }
    assert_eq!(world.idp.introspected.len(), ATTEMPTS_PER_NETWORK.burst as usize);
    world.peer.address = b"198.51.100.7".to_vec();
    let claims = active(&world);
    world.idp.opaque.insert("another".to_owned(), claims);
    assert_eq!(world.show("another").status(), 200, "on another network");
}

/// What is no access token never leaves for the provider.
#[test]
fn only_opaque_tokens_are_shown_to_the_provider() {
    let jwt = |patch: Value| {
        let world = World::with(&settings());
        let now = world.now.secs();
        let mut claims = json!({
            "iss": ISSUER, "aud": API, "azp": "etl", "sub": "etl", "iat": now, "exp": now + 900,
        });
        merge(&mut claims, &patch);
        format!("Bearer {}", world.idp.sign(&claims))
    };
    for (line, asked) in [
        (format!("Bearer {TOKEN}"), 1),
        (basic(&format!(":Bearer {TOKEN}")), 1),
        (jwt(json!({})), 0),
        (jwt(json!({"iss": "https://evil.example"})), 0),
        ("Bearer lk_planted-api-key-of-nobody".to_owned(), 0),
        ("Bearer lt_planted-token-of-nobody".to_owned(), 0),
        ("Bearer x=lk_planted-api-key-of-a-worker".to_owned(), 0),
        // The password of Prefect's own secret.
        ("Bearer planted-prefect-secret".to_owned(), 0),
        (format!("Bearer {}", to_base64(crate::testing::AUTH_STRING.as_bytes())), 0),
        ("Bearer planted opaque".to_owned(), 0),
        (format!("Bearer {}", "t".repeat(4096)), 1),
        (format!("Bearer {}", "t".repeat(4097)), 0),
        // A JWT whose header is written with a line break begins otherwise.
        (format!("Bearer ewoK{}", &jwt(json!({}))[10..]), 1),
        (format!("Basic {}", to_base64(format!("x:{TOKEN}").as_bytes())), 0),
    ] {
        let mut world = world(&json!({}));
        world.request(&request("GET", "/api/flows/1", &[("authorization", &line)]));
        assert_eq!(world.idp.introspected.len(), asked, "{line}");
        assert!(!world.log.join("").contains("planted"), "{:?}", world.log);
    }
    let mut off = settings();
    off["machines"]["introspection"] = json!(false);
    let mut world = world_with(&off, &json!({}));
    assert_eq!(shown(&mut world, TOKEN).0, "invalid_token");
    assert_eq!(world.idp.introspected.len(), 0, "switched off");
}

/// With `jwts`, the provider verifies the JWTs of the login's issuer, too, such as Keycloak's
/// lightweight ones.
#[test]
fn jwts_are_introspected_if_the_settings_say_so() {
    let mut settings = configuration();
    settings["machines"]["introspection"] = json!({ "jwts": true });
    let issuers = json!([{
        "issuer": "https://ci.example", "jwks_uri": "https://ci.example/keys", "cluster": "ci",
        "audiences": [API], "role": "worker", "claims": {"sub": ["repo"]},
    }]);
    settings["machines"]["issuers"] = issuers;
    let mut world = World::with(&settings);
    let now = world.now.secs();
    let light = json!({
        "iss": ISSUER, "azp": "etl-worker", "jti": "1", "typ": "Bearer", "iat": now, "exp": now + 300,
    });
    let mut said = world.idp.machine_claims(world.now);
    let members = json!({
        "active": true, "token_type": "Bearer", "jti": "1", "client_id": "etl-worker",
        "username": "service-account-etl-worker",
    });
    merge(&mut said, &members);
    let token = world.idp.sign(&light);
    world.idp.opaque.insert(token.clone(), said.clone());
    assert_eq!(shown(&mut world, &token), ("client:etl-worker".into(), "worker".into()));

    for (what, patch, answer, wanted) in [
        ("of another token", json!({}), json!({"jti": "2"}), "jti"),
        ("of another person", json!({"sub": "a"}), json!({}), "sub"),
        ("an ID token", json!({"typ": "ID"}), json!({"typ": "ID"}), "typ"),
        ("a refresh token", json!({}), json!({"typ": "Refresh"}), "typ"),
    ] {
        let (mut light, mut said) = (light.clone(), said.clone());
        merge(&mut light, &json!({"nonce2": what}));
        merge(&mut light, &patch);
        merge(&mut said, &answer);
        let token = world.idp.sign(&light);
        world.idp.opaque.insert(token.clone(), said);
        assert_eq!(shown(&mut world, &token), ("invalid_token".into(), wanted.into()), "{what}");
    }

    let asked = world.idp.introspected.len();
    let claims = json!({
        "iss": "https://ci.example", "aud": API, "sub": "repo", "iat": now, "exp": now + 300,
    });
    let foreign = crate::testing::idp::sign_as("ci", "JWT", &claims);
    assert_eq!(world.show(&foreign).status(), 200, "verified here");
    let id_token = world.idp.sign(&world.idp.person_claims(world.now));
    assert_eq!(shown(&mut world, &id_token).1, "typ", "no access token by its own text");
    assert_eq!(world.idp.introspected.len(), asked);
}

/// A socket's first frame carries the token like any other, and the socket ends with it.
#[test]
fn a_socket_lasts_as_long_as_its_token() {
    let mut world = world(&json!({"scope": "work"}));
    let mut gate = world.unproved_socket();
    let frame = auth_frame(TOKEN);
    let step = gate.on_request_data(&frame, false, &mut world.cx());
    assert!(matches!(step, crate::gate::decision::DataStep::Hold), "{step:?}");
    world.work();
    let step = gate.on_data_wake(&frame, &mut world.cx());
    let crate::gate::decision::DataStep::Replace(bytes) = step else { panic!("{step:?}") };
    assert_eq!(bytes[0], websocket::TEXT | 0x80, "the auth frame for Prefect");
    assert!(world.site.sockets_to_end(None, world.now).is_empty());
    world.pass(299);
    assert!(world.site.sockets_to_end(None, world.now).is_empty());
    world.pass(16);
    assert_eq!(world.site.sockets_to_end(None, world.now).len(), 1, "not presented again");
}

#[test]
fn settings_that_can_t_work_are_refused() {
    for (name, patch, path) in [
        ("a public client", json!({"idp": {"client_auth": "none"}}), "$.idp.client_auth"),
        (
            "bearer off",
            json!({"machines": {"introspection": true, "bearer": false}}),
            "introspection",
        ),
        (
            "unknown member",
            json!({"machines": {"introspection": {"jwt": true}}}),
            "introspection.jwt",
        ),
        ("a text", json!({"machines": {"introspection": "yes"}}), "machines.introspection"),
    ] {
        let mut settings = settings();
        merge(&mut settings, &patch);
        let error = Config::compile(settings.to_string().as_bytes(), &environment).unwrap_err();
        assert!(error.to_string().contains(path), "{name}: {error}");
    }
}

/// The provider must have the endpoint, and at an origin that the operator has named.
#[test]
fn the_endpoint_is_one_of_the_provider_s() {
    for (endpoint, said) in [
        (Value::Null, "introspection_endpoint"),
        (json!("https://other.example/introspect"), r#"idp.clusters: {"https://other.example""#),
    ] {
        let mut world = World::starting(&settings());
        world.idp.instead_of_metadata = Some(json!({
            "issuer": ISSUER, "authorization_endpoint": format!("{ISSUER}/auth"),
            "token_endpoint": format!("{ISSUER}/token"), "jwks_uri": format!("{ISSUER}/certs"),
            "introspection_endpoint": endpoint,
        }));
        world.work();
        assert!(!world.site.is_ready(world.now));
        assert!(world.log.join("").contains(said), "{:?}", world.log);
    }
}
