//! How the login's client proves itself to the provider, and how a person has proved himself there.

use std::collections::BTreeSet;

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::Config;
use crate::foundation::limits::TOKEN;
use crate::provider::metadata::Provider;
use crate::testing::browser::Browser;
use crate::testing::machines::{PAIR, asks};
use crate::testing::{ISSUER, Outcome, World, compile, configuration, environment};
use crate::wire::http::query::only;
use crate::wire::jose::compact::Compact;
use crate::wire::jose::jwk::PublicKey;
use crate::wire::jose::signature::InRust;
use serde_json::{Value, json};

fn with_method(method: &str) -> Value {
    let mut settings = configuration();
    settings["idp"] = json!({ "client_auth": method });
    settings
}

fn member(form: &str, name: &str) -> Option<String> {
    only(form, name).unwrap().map(|value| value.into_owned())
}

/// Each request to the provider has a token of its own, and no secret.
#[test]
fn a_client_with_a_key_signs_for_each_request() {
    let mut world = World::with(&with_method("private_key_jwt"));
    let mut browser = world.log_in();
    world.pass(301);
    browser.fetch(&mut world, "GET", "/api/flows/1").forwarded();
    browser.load(&mut world, "/oauth2/sign_out");
    let key = environment("LICTOR_CLIENT_KEY").unwrap();
    let mut key: Value = serde_json::from_str(&key).unwrap();
    key.as_object_mut().unwrap().remove("d");
    let key = PublicKey::from_jwk(key.as_object().unwrap()).unwrap();
    let forms: Vec<_> = world.idp.forms.iter().map(|(_, form)| form.clone()).collect();
    assert_eq!(forms.len(), 3, "code, refresh and logout: {forms:?}");
    let mut ids = BTreeSet::new();
    for form in &forms {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        assert_eq!(member(form, "client_assertion_type").as_deref(), Some(kind));
        assert_eq!(member(form, "client_id").as_deref(), Some("prefect"));
        assert_eq!(member(form, "client_secret"), None);
        let assertion = member(form, "client_assertion").unwrap();
        let token = Compact::parse(assertion.as_bytes(), TOKEN).unwrap();
        assert!(key.has_signed(&token.jws, &InRust));
        assert_eq!(
            token.jws.key_id.as_deref(),
            Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
        );
        let text = |name: &str| token.claims[name].as_str().unwrap().to_owned();
        assert_eq!(
            (text("iss"), text("sub"), text("aud")),
            ("prefect".into(), "prefect".into(), ISSUER.into())
        );
        let life = token.claims["exp"].as_u64().unwrap() - token.claims["iat"].as_u64().unwrap();
        assert_eq!(life, 60);
        ids.insert(text("jti"));
    }
    assert_eq!(ids.len(), forms.len(), "each token once");
    assert!(world.log.join("").contains(r#"client key {"alg":"EdDSA""#), "{:?}", world.log);
    assert!(!world.log.join("").contains("nWGxne"), "the private part: {:?}", world.log);
    // A machine's client has a secret all the same.
    assert_eq!(world.request(&asks(PAIR)).1.status(), 200);
}

#[test]
fn a_client_with_a_certificate_says_its_name_only() {
    let mut world = World::with(&with_method("tls_client_auth"));
    world.log_in();
    let (_, form) = &world.idp.forms[0];
    assert_eq!(member(form, "client_id").as_deref(), Some("prefect"));
    assert_eq!((member(form, "client_secret"), member(form, "client_assertion")), (None, None));

    // A provider may have other addresses for connections with certificates (RFC 8705 §5).
    let metadata = json!({
        "issuer": ISSUER, "authorization_endpoint": format!("{ISSUER}/auth"),
        "token_endpoint": format!("{ISSUER}/token"), "jwks_uri": format!("{ISSUER}/certs"),
        "mtls_endpoint_aliases": { "token_endpoint": format!("{ISSUER}/mtls/token") },
    });
    for (method, path) in
        [("tls_client_auth", "/realms/prefect/mtls/token"), ("none", "/realms/prefect/token")]
    {
        let config = compile(&with_method(method));
        let provider = Provider::parse(&config, metadata.to_string().as_bytes()).unwrap();
        assert_eq!(provider.token.url.path, path, "{method}");
    }
}

#[test]
fn a_method_needs_its_secret() {
    for (method, missing) in [
        ("client_secret_basic", Some("LICTOR_CLIENT_SECRET")),
        ("client_secret_post", Some("LICTOR_CLIENT_SECRET")),
        ("private_key_jwt", Some("LICTOR_CLIENT_KEY")),
        ("tls_client_auth", None),
        ("none", None),
        ("client_secret_jwt", Some("$.idp.client_auth")),
    ] {
        let bare = |name: &str| environment(name).filter(|_| !name.starts_with("LICTOR_CLIENT"));
        let compiled = Config::compile(with_method(method).to_string().as_bytes(), &bare);
        let error = compiled.err().map(|error| error.to_string());
        assert_eq!(error.is_some(), missing.is_some(), "{method}: {error:?}");
        assert!(error.unwrap_or_default().contains(missing.unwrap_or_default()), "{method}");
    }
    let planted = |name: &str| match name {
        "LICTOR_CLIENT_KEY" => Some("planted-key".to_owned()),
        _ => environment(name),
    };
    let text = with_method("private_key_jwt").to_string();
    let error = Config::compile(text.as_bytes(), &planted).unwrap_err().to_string();
    assert!(error.contains("LICTOR_CLIENT_KEY") && !error.contains("planted"), "{error}");
}

/// OpenID Connect Core §3.1.2.1: a provider may answer with less than was asked for.
#[test]
fn the_way_of_authentication_is_verified() {
    let mut settings = configuration();
    settings["idp"] = json!({ "require_acr": ["gold", "silver"] });
    for (acr, is_in) in [
        (json!("gold"), true),
        (json!("silver"), true),
        (json!("bronze"), false),
        (json!("gold silver"), false),
        (json!(["gold"]), false),
        (json!(1), false),
        (Value::Null, false),
    ] {
        let mut world = World::with(&settings);
        world.idp.claims["acr"] = acr.clone();
        let mut browser = Browser::default();
        let reply = browser.load(&mut world, "/").reply();
        let location = crate::testing::reply_header(&reply, "location").unwrap().to_owned();
        let query = location.split_once('?').unwrap().1;
        assert_eq!(member(query, "acr_values").as_deref(), Some("gold silver"));
        let callback = browser.start_login(&mut world, "/");
        browser.load(&mut world, &callback);
        assert_eq!(browser.session().is_some(), is_in, "{acr}");
        assert!(is_in || world.log.join("").contains("acr"), "{:?}", world.log);
    }
    // A refreshed ID token without it says nothing, and another one ends the session.
    for (acr, is_in) in [(json!("gold"), true), (Value::Null, true), (json!("bronze"), false)] {
        let mut world = World::with(&settings);
        world.idp.claims["acr"] = json!("gold");
        let mut browser = world.log_in();
        world.idp.claims["acr"] = acr.clone();
        world.pass(301);
        let outcome = browser.fetch(&mut world, "GET", "/api/flows/1");
        assert_eq!(matches!(outcome, Outcome::Forwarded(_)), is_in, "{acr}");
    }
    let mut own = configuration();
    own["idp"] = json!({ "extra_auth_params": { "acr_values": "gold" } });
    let error = Config::compile(own.to_string().as_bytes(), &environment).unwrap_err();
    assert!(error.to_string().contains("acr_values"), "{error}");
}
