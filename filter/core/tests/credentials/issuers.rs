//! Further issuers: CI jobs, pods and other realms call Prefect with no stored secret.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::Config;
use crate::testing::idp::{merge, sign_as};
use crate::testing::{World, configuration, environment, header, request};
use serde_json::{Value, json};

const GITHUB: &str = "https://token.actions.githubusercontent.com";
const CLUSTER: &str = "https://kubernetes.default.svc.cluster.local";
const PARTNER: &str = "https://sso.example.com/realms/partner";
const OKTA: &str = "https://example.okta.com/oauth2/default";

fn settings() -> Value {
    let mut settings = configuration();
    settings["machines"]["issuers"] = json!([
        {
            "issuer": GITHUB, "jwks_uri": format!("{GITHUB}/.well-known/jwks"), "cluster": "github",
            "audiences": ["prefect-ci"], "role": "operator",
            "claims": {"repository": "example/flows", "ref": ["refs/heads/main", "refs/heads/release"]}
        },
        {
            "issuer": CLUSTER, "jwks_uri": format!("{CLUSTER}/openid/v1/jwks"), "cluster": "kubernetes",
            "audiences": ["prefect"], "role": "worker", "profile": "generic",
            "claims": {r"kubernetes\.io.namespace": "flows", "sub": "system:serviceaccount:flows:worker"}
        },
        {
            "issuer": PARTNER, "jwks_uri": format!("{PARTNER}/certs"), "cluster": "partner",
            "audiences": ["prefect"], "profile": "keycloak"
        },
        {
            "issuer": OKTA, "jwks_uri": format!("{OKTA}/v1/keys"), "cluster": "okta",
            "audiences": ["api://prefect"], "profile": "rfc9068", "role": "viewer",
            "authorized_parties": ["0oa1"]
        }
    ]);
    // Generic tokens have no mark of their own, so the login's client may not be their audience.
    settings["machines"]["issuers"][1]["audiences"] = json!(["prefect-api"]);
    settings
}

fn world() -> World {
    World::with(&settings())
}

/// What GitHub's documentation shows, with our audience.
fn github(world: &World) -> Value {
    json!({
        "iss": GITHUB, "aud": "prefect-ci", "sub": "repo:example/flows:ref:refs/heads/main",
        "iat": world.now.secs(), "nbf": world.now.secs(), "exp": world.now.secs() + 300,
        "jti": "example-id", "repository": "example/flows", "repository_owner": "example",
        "ref": "refs/heads/main", "workflow": "deploy", "event_name": "push", "run_id": "1"
    })
}

fn kubernetes(world: &World) -> Value {
    json!({
        "iss": CLUSTER, "aud": ["prefect-api"], "sub": "system:serviceaccount:flows:worker",
        "iat": world.now.secs(), "nbf": world.now.secs(), "exp": world.now.secs() + 3600,
        "kubernetes.io": {"namespace": "flows", "serviceaccount": {"name": "worker", "uid": "u"}}
    })
}

fn partner(world: &World) -> Value {
    let mut claims = world.idp.machine_claims(world.now);
    claims["iss"] = PARTNER.into();
    claims
}

fn okta(world: &World) -> Value {
    json!({
        "iss": OKTA, "aud": "api://prefect", "sub": "0oa1", "client_id": "0oa1", "azp": "0oa1", "jti": "AT.1",
        "iat": world.now.secs(), "exp": world.now.secs() + 3600
    })
}

fn ask(world: &mut World, method: &str, path: &str, token: &str) -> crate::testing::Outcome {
    let token = format!("Bearer {token}");
    let headers = request(method, path, &[("authorization", &token)]);
    world.request(&headers).1
}

#[test]
fn each_issuer_s_tokens_count_with_its_role() {
    let mut world = world();
    let tokens = [
        (sign_as("github", "JWT", &github(&world)), "repo:example/flows:ref:refs/heads/main"),
        (sign_as("kubernetes", "JWT", &kubernetes(&world)), "system:serviceaccount:flows:worker"),
        (sign_as("partner", "JWT", &partner(&world)), "etl-worker"),
        (sign_as("okta", "at+jwt", &okta(&world)), "0oa1"),
    ];
    for (token, name) in &tokens {
        let sent = ask(&mut world, "GET", "/api/flows/1", token).forwarded();
        assert_eq!(header(&sent, "x-auth-request-preferred-username"), Some(*name));
        assert!(header(&sent, "x-auth-request-user").unwrap().starts_with("client:https://"));
    }
    let [github, kubernetes, _, okta] = tokens.map(|(token, _)| token);
    let role = |world: &mut World, token| {
        ask(world, "POST", "/api/deployments/1/create_flow_run", token).status()
    };
    assert_eq!(role(&mut world, &github), 200);
    assert_eq!(role(&mut world, &okta), 403, "a viewer only looks");
    assert_eq!(ask(&mut world, "GET", "/api/block_documents/1", &kubernetes).status(), 200);
}

#[test]
fn tokens_that_are_not_ours_are_refused() {
    let mut world = world();
    let refused = |world: &mut World, key: &str, typ: &str, claims: &Value, why: &str| {
        let reply = ask(world, "GET", "/api/flows/1", &sign_as(key, typ, claims)).reply();
        assert_eq!(reply.status, 401, "{why}");
    };
    for (patch, why) in [
        (json!({"repository": "evil/flows"}), "another repository"),
        (json!({"repository": null}), "no repository"),
        (json!({"repository": ["example/flows"]}), "a claim of another type"),
        (json!({"ref": "refs/pull/1/merge"}), "another branch"),
        (json!({"aud": "sts.amazonaws.com"}), "meant for somebody else"),
        (json!({"aud": ["prefect-ci", "prefect"]}), "an audience that ID tokens have"),
        (json!({"nonce": "n"}), "an ID token"),
        (json!({"at_hash": "h"}), "an ID token"),
        (json!({"typ": "ID"}), "an ID token"),
        (json!({"events": {}}), "a logout token"),
        (json!({"cnf": {"jkt": "k"}}), "a bound token"),
        (json!({"iss": format!("{GITHUB}/")}), "another issuer"),
    ] {
        let mut claims = github(&world);
        merge(&mut claims, &patch);
        refused(&mut world, "github", "JWT", &claims, why);
    }
    let claims = github(&world);
    refused(&mut world, "github", "logout+jwt", &claims, "a header of another kind");
    for missing in ["client_id", "jti", "sub", "aud", "exp", "iat"] {
        let mut claims = okta(&world);
        claims.as_object_mut().unwrap().remove(missing);
        refused(&mut world, "okta", "at+jwt", &claims, missing);
    }
    let mut claims = okta(&world);
    refused(&mut world, "okta", "JWT", &claims, "RFC 9068 marks its tokens");
    claims["azp"] = "0oa2".into();
    refused(&mut world, "okta", "at+jwt", &claims, "another client");
    let mut claims = kubernetes(&world);
    claims["kubernetes.io"]["namespace"] = "default".into();
    refused(&mut world, "kubernetes", "JWT", &claims, "another namespace");
}

/// RFC 8725 §3.8: a key counts for its issuer alone.
#[test]
fn a_key_signs_for_its_own_issuer_only() {
    let mut world = world();
    let login = world.idp.machine_claims(world.now);
    for (key, claims) in [
        ("partner", login),
        ("partner", github(&world)),
        ("github", partner(&world)),
        ("kubernetes", okta(&world)),
    ] {
        let outcome = ask(&mut world, "GET", "/api/flows/1", &sign_as(key, "JWT", &claims));
        // The kid is not one of the issuer's: no verdict before a fetch, and never a yes.
        assert!(matches!(outcome.status(), 401 | 503), "{key} {claims}");
    }
    // The same kid at two issuers does not help either.
    let forged = world.idp.sign_with(&json!({"alg": "EdDSA", "kid": "github"}), &github(&world));
    assert_eq!(ask(&mut world, "GET", "/api/flows/1", &forged).status(), 401);
}

/// Nothing of a person's is a machine's: the roles of a further realm come from its own claims.
#[test]
fn a_further_realm_gives_roles_by_its_claims() {
    let mut world = world();
    let mut claims = partner(&world);
    claims["realm_access"] = json!({"roles": []});
    let reply = ask(&mut world, "GET", "/api/flows/1", &sign_as("partner", "JWT", &claims)).reply();
    assert_eq!((reply.status, crate::testing::code(&reply).as_str()), (403, "no_role"));
}

#[test]
fn settings_that_would_let_anybody_in_are_refused() {
    let problem = |patch: Value, path: &str| {
        let mut settings = settings();
        merge(&mut settings["machines"]["issuers"][0], &patch);
        let errors = Config::compile(settings.to_string().as_bytes(), &environment).unwrap_err();
        let said = errors.to_string();
        assert!(said.contains(&format!("$.machines.issuers[0].{path}")), "{said}");
    };
    problem(json!({"claims": null}), "claims");
    problem(json!({"claims": {}}), "claims");
    problem(json!({"claims": {"repository": []}}), "claims.repository");
    problem(json!({"claims": {"repository": 1}}), "claims.repository");
    problem(json!({"audiences": null}), "audiences");
    problem(json!({"audiences": ["prefect"]}), "audiences");
    problem(json!({"jwks_uri": null}), "jwks_uri");
    problem(json!({"jwks_uri": "github"}), "jwks_uri");
    problem(json!({"cluster": null}), "cluster");
    problem(json!({"issuer": crate::testing::ISSUER}), "issuer");
    problem(json!({"profile": "github"}), "profile");
    problem(json!({"role": "root"}), "role");
    problem(json!({"algorithms": ["none"]}), "algorithms");
}

/// Elsewhere people choose their user name: it says nothing of clients.
#[test]
fn a_user_name_makes_nobody_a_client() {
    let mut world = world();
    let mut claims = github(&world);
    claims["azp"] = "app".into();
    claims["preferred_username"] = "service-account-app".into();
    let sent = ask(&mut world, "GET", "/api/flows/1", &sign_as("github", "JWT", &claims));
    let sent = sent.forwarded();
    let user = header(&sent, "x-auth-request-user").unwrap();
    assert!(user.ends_with("#repo:example/flows:ref:refs/heads/main"), "{user}");
}

/// What a configuration says of an issuer's tokens, for a socket that one of them opened.
#[test]
fn a_change_of_an_issuer_s_entry_is_a_change_of_its_rules_alone() {
    let table: [(&str, Value); 8] = [
        ("profile", json!("rfc9068")),
        ("audiences", json!(["other"])),
        ("authorized_parties", json!(["ci"])),
        ("claims", json!({"repository": "example/other"})),
        ("role", json!("viewer")),
        ("jwks_uri", json!("https://token.example.com/jwks")),
        ("cluster", json!("other")),
        ("issuer", json!("https://token.example.com")),
    ];
    let before = crate::testing::compile(&settings());
    for (name, value) in table {
        let mut after = settings();
        after["machines"]["issuers"][0][name] = value;
        let after = crate::testing::compile(&after);
        assert!(!before.judges_tokens_like(&after, GITHUB), "{name}");
        assert!(!after.judges_tokens_like(&before, GITHUB), "{name}");
        assert!(before.judges_tokens_like(&after, CLUSTER), "{name}");
    }
    let mut client = settings();
    client["client_id"] = json!("other");
    assert!(!before.judges_tokens_like(&crate::testing::compile(&client), GITHUB), "client_id");
    assert!(
        !before.judges_tokens_like(&before, "https://unknown.example.com"),
        "an unknown issuer"
    );
    // The login moves to another realm, and its issuer becomes one for machines.
    let mut moved = settings();
    moved["issuer"] = json!("https://sso.example.com/realms/new");
    let entry = json!({
        "issuer": crate::testing::ISSUER, "jwks_uri": "https://sso.example.com/certs",
        "cluster": "idp", "audiences": ["prefect"], "profile": "keycloak"
    });
    moved["machines"]["issuers"].as_array_mut().unwrap().push(entry);
    let moved = crate::testing::compile(&moved);
    assert!(!before.judges_tokens_like(&moved, crate::testing::ISSUER), "no longer the login's");
    let mut swapped = settings();
    swapped["machines"]["issuers"].as_array_mut().unwrap().reverse();
    assert!(before.judges_tokens_like(&crate::testing::compile(&swapped), OKTA), "order");
}
