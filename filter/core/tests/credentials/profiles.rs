//! Access tokens of the login's own issuer, in the forms of several providers.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::testing::idp::merge;
use crate::testing::machines::{PAIR, asks};
use crate::testing::{ISSUER, World, configuration, environment, header, reply_of};
use crate::tests::credentials::shown;
use crate::{Config, testing::Outcome};
use serde_json::{Value, json};

const API: &str = "api://prefect";

/// A world whose provider issues access tokens of this profile for [`API`], with these settings.
fn world(profile: &str, patch: &Value) -> World {
    let mut settings = configuration();
    settings["audiences"] = json!([API]);
    settings["idp"] = json!({"profile": profile});
    merge(&mut settings, patch);
    World::with(&settings)
}

/// A token with these claims beside issuer and times.
fn token(world: &World, claims: &Value) -> String {
    typed(world, "JWT", claims)
}

/// The same with this `typ` in its header.
fn typed(world: &World, typ: &str, claims: &Value) -> String {
    let now = world.now.secs();
    let mut all = json!({"iss": ISSUER, "aud": API, "iat": now, "exp": now + 300});
    merge(&mut all, claims);
    world.idp.sign_with(&json!({"alg": "EdDSA", "typ": typ, "kid": "k1"}), &all)
}

#[test]
fn machines_and_people_of_each_provider() {
    let scp = json!({"roles": {"sources": ["scp"], "worker": ["prefect.worker"]}});
    let scope = json!({"roles": {"sources": ["scope"], "worker": ["prefect/worker"]}});
    let roles = json!({"roles": {"sources": ["roles"], "worker": ["Prefect.Worker"]}});
    for (what, settings, claims, principal, role) in [
        (
            "Okta, machine",
            &scp,
            json!({"cid": "0oa1", "sub": "0oa1", "scp": ["prefect.worker"], "ver": 1}),
            "client:0oa1",
            "worker",
        ),
        (
            "Okta, person",
            &json!({"roles": {"sources": ["groups"]}}),
            json!({
                "cid": "prefect", "uid": "00u1", "sub": "john@example.com", "scp": ["openid"],
                "groups": ["Everyone", "prefect-operator"]
            }),
            "user:john@example.com",
            "operator",
        ),
        (
            "Auth0, machine",
            &scope,
            json!({
                "aud": [API], "azp": "abc", "sub": "abc@clients", "gty": "client-credentials",
                "scope": "read:x prefect/worker"
            }),
            "client:abc",
            "worker",
        ),
        (
            "Auth0, person",
            &json!({"roles": {"sources": ["https://example.com/roles"]}}),
            json!({
                "aud": [API, "https://example.eu.auth0.com/userinfo"], "azp": "prefect",
                "sub": "auth0|1", "scope": "openid", "https://example.com/roles": ["prefect-viewer"]
            }),
            "user:auth0|1",
            "viewer",
        ),
        (
            "Entra ID v2, machine",
            &roles,
            json!({
                "azp": "33", "azpacr": "1", "oid": "44", "sub": "44", "idtyp": "app",
                "roles": ["Prefect.Worker"], "tid": "t", "ver": "2.0"
            }),
            "client:33",
            "worker",
        ),
        (
            "Entra ID v1, machine without idtyp",
            &roles,
            json!({"appid": "33", "oid": "44", "sub": "44", "roles": ["Prefect.Worker"], "ver": "1.0"}),
            "user:44",
            "worker",
        ),
        (
            "Cognito, machine",
            &json!({
                "audiences": [], "authorized_parties": ["1h57", "2xyz"],
                "roles": {"sources": ["scope"], "worker": ["prefect/worker"]}
            }),
            json!({
                "aud": null, "client_id": "1h57", "sub": "1h57", "token_use": "access",
                "scope": "prefect/worker", "version": 2
            }),
            "client:1h57",
            "worker",
        ),
        (
            "Cognito, person",
            &json!({
                "audiences": [], "authorized_parties": ["prefect"],
                "roles": {"sources": ["cognito:groups"]}
            }),
            json!({
                "aud": null, "client_id": "prefect", "sub": "s-1", "token_use": "access",
                "username": "alice", "cognito:groups": ["prefect-viewer"], "scope": "openid"
            }),
            "user:s-1",
            "viewer",
        ),
    ] {
        let mut world = world("generic", settings);
        let typ = if what.starts_with("Okta") { "application/okta-internal-at+jwt" } else { "JWT" };
        let token = typed(&world, typ, &claims);
        let seen = shown(&mut world, &token);
        assert_eq!(seen, (principal.to_owned(), role.to_owned()), "{what}");
    }
}

/// An ID token proves who has logged in at a client, not that the client may act. Whatever its
/// profile, an issuer's ID token is no access token.
#[test]
fn an_id_token_is_one_for_every_profile() {
    let roles = json!({"realm_access": {"roles": ["prefect-admin"]}});
    for (mark, about) in [
        (json!({"token_use": "id"}), "token_use"),
        (json!({"at_hash": "x"}), "at_hash"),
        (json!({"c_hash": "x"}), "c_hash"),
        (json!({"typ": "ID"}), "typ"),
        (json!({"typ": "Refresh"}), "typ"),
        (json!({"typ": "Offline"}), "typ"),
        (json!({"typ": "Logout"}), "typ"),
        (json!({"events": {}}), "events"),
    ] {
        for profile in ["keycloak", "rfc9068", "generic"] {
            let mut world = world(profile, &json!({}));
            let mut claims = json!({
                "sub": "u-1", "azp": "prefect", "client_id": "prefect", "jti": "1", "typ": "Bearer"
            });
            merge(&mut claims, &roles);
            let typ = if profile == "rfc9068" { "at+jwt" } else { "JWT" };
            let good = typed(&world, typ, &claims);
            assert_eq!(shown(&mut world, &good).0, "user:u-1", "{profile}");
            merge(&mut claims, &mark);
            let marked = typed(&world, typ, &claims);
            let seen = shown(&mut world, &marked);
            assert_eq!(seen, ("invalid_token".to_owned(), about.to_owned()), "{profile} {mark}");
        }
    }
    // Keycloak before version 25 repeats the nonce in access tokens.
    for (profile, is_refused) in [("keycloak", false), ("generic", true)] {
        let mut world = world(profile, &json!({}));
        let mut claims = json!({"sub": "u-1", "azp": "prefect", "typ": "Bearer", "nonce": "n"});
        merge(&mut claims, &roles);
        let token = token(&world, &claims);
        assert_eq!(shown(&mut world, &token).0 == "invalid_token", is_refused, "{profile}");
    }
}

#[test]
fn a_token_of_another_audience_or_client_is_refused() {
    let cognito = json!({
        "aud": null, "client_id": "1h57", "sub": "1h57", "token_use": "access", "scope": "x"
    });
    let parties = |names: &[&str]| json!({"authorized_parties": names});
    let alone = |names: &[&str]| json!({"audiences": [], "authorized_parties": names});
    for (profile, settings, claims, about) in [
        ("generic", parties(&[]), json!({"sub": "s", "aud": "other"}), "aud"),
        ("generic", parties(&[]), json!({"sub": "s", "aud": "prefect"}), "aud"),
        ("generic", json!({"audiences": []}), json!({"sub": "s"}), "aud"),
        // Without an audience the client decides, and it must be named.
        ("generic", alone(&[]), cognito.clone(), "aud"),
        ("generic", alone(&["other"]), cognito.clone(), "azp"),
        ("generic", alone(&["1h57"]), json!({"sub": "s", "aud": null}), "azp"),
        // Where audiences are configured, one is needed.
        ("generic", parties(&["1h57"]), cognito.clone(), "aud"),
        // An ID token for another application, without a mark.
        ("generic", parties(&[]), json!({"sub": "s", "email": "a@example.com"}), "azp"),
        (
            "generic",
            parties(&["1h57"]),
            json!({"aud": "x", "client_id": "1h57", "sub": "s"}),
            "aud",
        ),
        (
            "keycloak",
            parties(&["1h57"]),
            json!({"aud": null, "azp": "1h57", "typ": "Bearer", "sub": "s"}),
            "aud",
        ),
        // Two names of the client that differ.
        (
            "generic",
            parties(&["a"]),
            json!({"azp": "a", "client_id": "b", "sub": "s"}),
            "client_id",
        ),
        ("generic", parties(&["a"]), json!({"azp": "a", "cid": "b", "sub": "s"}), "cid"),
        ("generic", parties(&["a"]), json!({"azp": "a", "appid": "b", "sub": "s"}), "appid"),
        ("generic", parties(&[]), json!({"azp": "a", "appid": "b", "sub": "s"}), "appid"),
        ("generic", parties(&[]), json!({"azp": ["a"], "sub": "s"}), "azp"),
        ("generic", parties(&[]), json!({"cid": "", "sub": "s"}), "cid"),
    ] {
        let mut world = world(profile, &settings);
        let token = token(&world, &claims);
        let seen = shown(&mut world, &token);
        assert_eq!(seen, ("invalid_token".to_owned(), about.to_owned()), "{settings} {claims}");
    }
}

/// Mappers of Keycloak's may put anything into claims that name the client elsewhere.
#[test]
fn the_client_of_keycloak_is_in_azp_alone() {
    for more in [
        json!({"cid": "4711"}),
        json!({"cid": 4711}),
        json!({"appid": ""}),
        json!({"client_id": "a"}),
    ] {
        let mut world = world("keycloak", &json!({"authorized_parties": ["prefect"]}));
        let mut claims = json!({
            "sub": "u-1", "azp": "prefect", "typ": "Bearer", "realm_access": {"roles": ["prefect-viewer"]}
        });
        merge(&mut claims, &more);
        let token = token(&world, &claims);
        let seen = shown(&mut world, &token);
        assert_eq!(seen, ("user:u-1".to_owned(), "viewer".to_owned()), "{more}");
    }
}

/// A client that anybody can register, and a person with the name of a client, are no way around
/// the list of people.
#[test]
fn the_list_of_people_holds_for_access_tokens() {
    let roles = json!({"sources": ["roles"], "viewer": ["r"]});
    let allow = json!({"domains": ["example.com"], "subjects": ["s-1"]});
    let email = |name: &str| json!({"email": name, "email_verified": true});
    for (profile, parties, claims, wanted) in [
        ("generic", json!([]), json!({"azp": "prefect", "sub": "s-1"}), "user:s-1"),
        ("generic", json!([]), json!({"azp": "prefect", "sub": "s-2"}), "not_allowed"),
        (
            "generic",
            json!([]),
            json!({"azp": "p", "sub": "s-2", "mail": email("a@example.com")}),
            "user:s-2",
        ),
        (
            "generic",
            json!([]),
            json!({"azp": "p", "sub": "s-2", "mail": email("a@example.org")}),
            "not_allowed",
        ),
        // A stranger's service account.
        ("generic", json!([]), json!({"azp": "1077", "sub": "1077"}), "not_allowed"),
        (
            "generic",
            json!([]),
            json!({"azp": "x", "sub": "x@clients", "gty": "client-credentials"}),
            "not_allowed",
        ),
        ("generic", json!([]), json!({"azp": "x", "sub": "y", "idtyp": "app"}), "not_allowed"),
        ("generic", json!(["1077"]), json!({"azp": "1077", "sub": "1077"}), "client:1077"),
        (
            "generic",
            json!(["x"]),
            json!({"azp": "x", "sub": "x@clients", "gty": "client-credentials"}),
            "client:x",
        ),
        // People who have chosen the name of a client.
        (
            "generic",
            json!(["0oa1"]),
            json!({"cid": "0oa1", "sub": "0oa1", "uid": "00u1"}),
            "not_allowed",
        ),
        ("generic", json!(["x"]), json!({"azp": "x", "sub": "x@clients"}), "not_allowed"),
        (
            "keycloak",
            json!([]),
            json!({"azp": "etl", "sub": "s-2", "typ": "Bearer", "preferred_username": "service-account-etl"}),
            "client:etl",
        ),
        (
            "keycloak",
            json!([]),
            json!({"azp": "prefect", "sub": "s-2", "typ": "Bearer"}),
            "not_allowed",
        ),
        (
            "keycloak",
            json!([]),
            json!({"azp": "prefect", "sub": "s-1", "typ": "Bearer"}),
            "user:s-1",
        ),
    ] {
        let settings = json!({
            "roles": roles, "users": {"allow": allow}, "authorized_parties": parties
        });
        let mut world = world(profile, &settings);
        let mut all = json!({"roles": ["r"]});
        let mut claims = claims;
        let mail = claims.as_object_mut().unwrap().remove("mail");
        merge(&mut all, &claims);
        merge(&mut all, &mail.unwrap_or(json!({})));
        let token = token(&world, &all);
        assert_eq!(shown(&mut world, &token).0, wanted, "{profile} {all}");
        // What has been verified is remembered.
        assert_eq!(shown(&mut world, &token).0, wanted, "{profile} {all}, again");
    }
}

#[test]
fn the_profile_follows_from_the_issuer_unless_it_is_set() {
    for (issuer, set, wanted) in [
        ("https://sso.example.com/realms/prefect", None, "keycloak"),
        ("https://sso.example.com/auth/realms/prefect", None, "keycloak"),
        ("https://sso.example.com/realms/prefect", Some("rfc9068"), "rfc9068"),
        ("https://accounts.google.com", None, "generic"),
        ("https://example.eu.auth0.com/", None, "generic"),
        ("https://example.eu.auth0.com/", Some("rfc9068"), "rfc9068"),
        ("https://sso.example.com/id", Some("keycloak"), "keycloak"),
    ] {
        let mut settings = configuration();
        settings["issuer"] = json!(issuer);
        if let Some(profile) = set {
            settings["idp"] = json!({"profile": profile});
        }
        let config = Config::compile(settings.to_string().as_bytes(), &environment).unwrap();
        assert_eq!(config.issuers[0].profile.name(), wanted, "{issuer}");
        // Only a profile that tells ID tokens apart accepts tokens for the login's client.
        let audiences = if wanted == "generic" { vec![] } else { vec!["prefect".to_owned()] };
        assert_eq!(config.issuers[0].audiences, audiences, "{issuer}");
    }
    let mut settings = configuration();
    settings["idp"] = json!({"profile": "generic"});
    settings["audiences"] = json!(["prefect"]);
    let problems = Config::compile(settings.to_string().as_bytes(), &environment).unwrap_err();
    assert!(problems.to_string().contains("$.audiences: found \"prefect\""), "{problems}");
    settings["idp"] = json!({"profile": "okta"});
    settings["audiences"] = json!([API]);
    let problems = Config::compile(settings.to_string().as_bytes(), &environment).unwrap_err();
    assert!(problems.to_string().contains("$.idp.profile: found \"okta\""), "{problems}");
}

/// The form of a token request, and whom its answer proves.
#[test]
fn client_credentials_of_each_provider() {
    for (what, settings, patch, form, principal) in [
        (
            "Okta",
            json!({
                "audiences": ["api://default"],
                "roles": {"sources": ["scp"], "worker": ["prefect.worker"]},
                "machines": {"client_credentials": {"scope": "prefect.worker"}}
            }),
            json!({
                "aud": "api://default", "cid": "etl-worker", "sub": "etl-worker", "scp": ["prefect.worker"]
            }),
            "grant_type=client_credentials&scope=prefect.worker",
            "client:etl-worker worker",
        ),
        (
            "Auth0",
            json!({
                "audiences": ["https://prefect.example.com/api"],
                "roles": {"sources": ["permissions"], "worker": ["prefect:work"]},
                "machines": {"client_credentials": {"audience": "https://prefect.example.com/api"}}
            }),
            json!({
                "aud": "https://prefect.example.com/api", "azp": "etl-worker",
                "sub": "etl-worker@clients", "permissions": ["prefect:work"]
            }),
            "grant_type=client_credentials&audience=https%3A%2F%2Fprefect.example.com%2Fapi",
            "client:etl-worker worker",
        ),
        (
            "Entra ID",
            json!({
                "audiences": ["11-22"],
                "roles": {"sources": ["roles"], "worker": ["Prefect.Worker"]},
                "machines": {"client_credentials": {"scope": "api://11-22/.default"}}
            }),
            json!({"aud": "11-22", "azp": "etl-worker", "sub": "44", "roles": ["Prefect.Worker"]}),
            "grant_type=client_credentials&scope=api%3A%2F%2F11-22%2F.default",
            "client:etl-worker worker",
        ),
        (
            "Cognito",
            json!({
                "authorized_parties": ["etl-worker"], "audiences": [],
                "roles": {"sources": ["scope"], "worker": ["prefect/worker"]},
                "machines": {"client_credentials": {"scope": "prefect/worker"}}
            }),
            json!({
                "client_id": "etl-worker", "sub": "etl-worker", "token_use": "access",
                "scope": "prefect/worker"
            }),
            "grant_type=client_credentials&scope=prefect%2Fworker",
            "client:etl-worker worker",
        ),
        (
            "RFC 8707",
            json!({"machines": {"client_credentials": {"resource": "https://p.example/api"}}}),
            json!({
                "aud": API, "client_id": "etl-worker", "sub": "etl-worker",
                "realm_access": {"roles": ["prefect-viewer"]}
            }),
            "grant_type=client_credentials&resource=https%3A%2F%2Fp.example%2Fapi",
            "client:etl-worker viewer",
        ),
    ] {
        let mut world = world("generic", &settings);
        let (gate, outcome) = world.begin(&asks(PAIR));
        assert!(matches!(outcome, Outcome::Waiting), "{what}");
        let (call, callout) = world.poll().unwrap();
        assert_eq!(String::from_utf8(callout.body).unwrap(), form, "{what}");
        let mut claims = json!({
            "iss": ISSUER, "iat": world.now.secs(), "exp": world.now.secs() + 300
        });
        merge(&mut claims, &patch);
        let token = json!({"access_token": world.idp.sign(&claims), "token_type": "Bearer"});
        let answer = Some((200, token.to_string().into_bytes()));
        world.site.on_callout(call, reply_of(answer.as_ref()), world.now);
        let (_, outcome) = world.finish_waiting(vec![(gate, asks(PAIR))]).remove(0);
        let sent = outcome.forwarded();
        let value = |name| header(&sent, name).unwrap_or("-");
        let seen = format!("{} {}", value("x-auth-request-user"), value("x-auth-request-groups"));
        assert_eq!(seen, principal, "{what}");
    }
}

/// A result under other parameters may be a token of another audience or scope.
#[test]
fn grants_are_bound_to_the_parameters_of_the_request() {
    let judging = |grants: Value| {
        let mut settings = configuration();
        settings["machines"]["client_credentials"] = grants;
        Config::compile(settings.to_string().as_bytes(), &environment).unwrap().judging()
    };
    let texts = [
        judging(json!(true)),
        judging(json!({"scope": "a"})),
        judging(json!({"scope": "b"})),
        judging(json!({"audience": "a"})),
        judging(json!({"resource": "a"})),
    ];
    for (at, text) in texts.iter().enumerate() {
        assert!(!texts[..at].contains(text), "{text}");
    }
    assert_eq!(judging(json!({"clients": ["a"]})), texts[0], "who may ask is decided before");
}

#[test]
fn a_scope_with_quotes_is_refused() {
    for scope in ["a \"b\"", "a\\b", "a\nb", "ä"] {
        for (section, name) in [("idp", "scopes"), ("machines", "client_credentials.scope")] {
            let mut settings = configuration();
            match section {
                "idp" => settings["idp"] = json!({"scopes": format!("openid {scope}")}),
                _ => settings["machines"]["client_credentials"] = json!({"scope": scope}),
            }
            let text = settings.to_string();
            let problems = Config::compile(text.as_bytes(), &environment).unwrap_err().to_string();
            assert!(problems.contains(&format!("$.{section}.{name}: ")), "{scope:?}: {problems}");
        }
    }
}
