//! The metadata that providers publish: where each endpoint is, and which of them Envoy may call.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::rc::Rc;

use crate::Site;
use crate::config::{Config, Endpoint};
use crate::provider::metadata::{BadMetadata, Provider};
use crate::testing::store::MemoryStore;
use crate::testing::{ISSUER, World, compile, configuration, environment, host};
use serde_json::{Value, json};

const GOOGLE: &str = include_str!("../data/providers/google.json");
const COGNITO: &str = include_str!("../data/providers/cognito.json");
const ENTRA: &str = include_str!("../data/providers/entra-v2.json");
const OKTA: &str = include_str!("../data/providers/okta-custom.json");
const AUTH0: &str = include_str!("../data/providers/auth0.json");

fn settings(document: &Value, idp: Value) -> Value {
    let mut settings = configuration();
    settings["issuer"] = document["issuer"].clone();
    settings["idp"] = idp;
    settings
}

fn read(document: &str, idp: Value) -> Result<Provider, BadMetadata> {
    let value: Value = serde_json::from_str(document).unwrap();
    Provider::parse(&compile(&settings(&value, idp)), document.as_bytes())
}

fn call(endpoint: &Endpoint) -> String {
    format!("{} {}", endpoint.cluster, endpoint.url)
}

/// What is called, with userinfo and each further origin named.
#[test]
fn endpoints_are_called_where_the_operator_has_named_a_cluster() {
    let entra = "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555";
    let cognito = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_EXAMPLE01";
    let domain = "https://example.auth.eu-central-1.amazoncognito.com";
    let rows = [
        (
            GOOGLE,
            json!({
                "https://oauth2.googleapis.com": "google-token",
                "https://www.googleapis.com": "google-keys",
                "https://openidconnect.googleapis.com": "google-userinfo",
            }),
            [
                "google-token https://oauth2.googleapis.com/token".to_owned(),
                "google-keys https://www.googleapis.com/oauth2/v3/certs".to_owned(),
                "google-userinfo https://openidconnect.googleapis.com/v1/userinfo".to_owned(),
            ],
        ),
        (
            COGNITO,
            json!({ domain: "cognito-domain" }),
            [
                format!("cognito-domain {domain}/oauth2/token"),
                format!("idp {cognito}/.well-known/jwks.json"),
                format!("cognito-domain {domain}/oauth2/userInfo"),
            ],
        ),
        (
            ENTRA,
            // A default port, a slash and upper case are the same origin.
            json!({ "https://Graph.microsoft.com:443/": "graph" }),
            [
                format!("idp {entra}/oauth2/v2.0/token"),
                format!("idp {entra}/discovery/v2.0/keys"),
                "graph https://graph.microsoft.com/oidc/userinfo".to_owned(),
            ],
        ),
        (
            OKTA,
            json!({}),
            ["token", "keys", "userinfo"]
                .map(|end| format!("idp https://example.okta.com/oauth2/default/v1/{end}")),
        ),
        (
            AUTH0,
            json!({}),
            ["oauth/token", ".well-known/jwks.json", "userinfo"]
                .map(|end| format!("idp https://example.eu.auth0.com/{end}")),
        ),
    ];
    for (document, clusters, wanted) in rows {
        let provider = read(document, json!({"clusters": clusters, "userinfo": true})).unwrap();
        let userinfo = provider.userinfo.as_ref().unwrap();
        assert_eq!([&provider.token, &provider.jwks, userinfo].map(call), wanted);
    }
}

#[test]
fn an_origin_without_a_cluster_is_refused_with_the_setting_to_add() {
    for (document, idp, seen, wanted) in [
        (
            GOOGLE,
            json!({}),
            "endpoints at https://oauth2.googleapis.com and https://www.googleapis.com",
            r#"idp.clusters: {"https://oauth2.googleapis.com": "<cluster>", "https://www.googleapis.com": "<cluster>"}"#,
        ),
        (
            GOOGLE,
            json!({"userinfo": true, "clusters": {
                "https://oauth2.googleapis.com": "a", "https://www.googleapis.com": "b",
            }}),
            "endpoints at https://openidconnect.googleapis.com",
            r#"idp.clusters: {"https://openidconnect.googleapis.com": "<cluster>"}"#,
        ),
        (
            COGNITO,
            json!({"userinfo": true}),
            "endpoints at https://example.auth.eu-central-1.amazoncognito.com",
            r#"idp.clusters: {"https://example.auth.eu-central-1.amazoncognito.com": "<cluster>"}"#,
        ),
        // Another scheme or port is another origin.
        (
            COGNITO,
            json!({"clusters": {
                "http://example.auth.eu-central-1.amazoncognito.com": "plain",
                "https://example.auth.eu-central-1.amazoncognito.com:8443": "port",
            }}),
            "endpoints at https://example.auth.eu-central-1.amazoncognito.com",
            r#"idp.clusters: {"https://example.auth.eu-central-1.amazoncognito.com": "<cluster>"}"#,
        ),
    ] {
        let bad = read(document, idp).unwrap_err();
        assert_eq!((bad.seen.as_str(), bad.wanted.as_str()), (seen, wanted));
    }
    // Without the setting, userinfo is not called, wherever it is.
    assert_eq!(read(ENTRA, json!({})).unwrap().userinfo, None);
}

#[test]
fn endpoints_that_are_no_plain_url_are_refused() {
    let document: Value = serde_json::from_str(OKTA).unwrap();
    for (name, url) in [
        ("token_endpoint", json!(null)),
        ("token_endpoint", json!("https://example.okta.com/token?p=policy")),
        ("token_endpoint", json!("https://user@example.okta.com/token")),
        ("jwks_uri", json!("ftp://example.okta.com/keys")),
        ("jwks_uri", json!("https://example.okta.com/../keys")),
        ("jwks_uri", json!(["https://example.okta.com/keys"])),
        ("userinfo_endpoint", json!("//example.okta.com/userinfo")),
        ("authorization_endpoint", json!("javascript:alert(1)")),
    ] {
        let mut document = document.clone();
        document[name] = url.clone();
        let bad = read(&document.to_string(), json!({"userinfo": true})).unwrap_err();
        assert!(bad.seen.contains(name), "{name} {url}: {bad:?}");
    }
}

/// The document of all tenants names no issuer.
#[test]
fn the_metadata_of_every_tenant_is_not_that_of_one() {
    let document: Value = serde_json::from_str(ENTRA).unwrap();
    let config = compile(&settings(&document, json!({})));
    let mut common = document.clone();
    common["issuer"] = json!("https://login.microsoftonline.com/{tenantid}/v2.0");
    let bad = Provider::parse(&config, common.to_string().as_bytes()).unwrap_err();
    assert_eq!(bad.seen, "issuer https://login.microsoftonline.com/{tenantid}/v2.0");
    let wanted = document["issuer"].as_str().unwrap();
    assert_eq!(bad.wanted, format!("issuer {wanted} (setting issuer)"));
}

#[test]
fn the_document_may_be_elsewhere() {
    let document: Value = serde_json::from_str(ENTRA).unwrap();
    let issuer = document["issuer"].as_str().unwrap();
    let cdn = "https://cdn.example.com/login/openid-configuration";
    for (idp, wanted) in [
        (json!({}), format!("idp {issuer}/.well-known/openid-configuration")),
        (
            json!({"internal_url": "http://proxy:8080/entra"}),
            "idp http://proxy:8080/entra/.well-known/openid-configuration".to_owned(),
        ),
        (
            json!({"metadata_url": format!("{issuer}/other"), "internal_url": "http://proxy:8080/entra"}),
            "idp http://proxy:8080/entra/other".to_owned(),
        ),
        (
            json!({"metadata_url": cdn, "clusters": {"https://cdn.example.com": "cdn"}}),
            format!("cdn {cdn}"),
        ),
    ] {
        let mut world = World::new();
        world.site =
            Site::new(compile(&settings(&document, idp)), host(Rc::new(MemoryStore::default())));
        let (_, callout) = world.poll().unwrap();
        let of = |name| &callout.headers.iter().find(|(own, _)| *own == name).unwrap().1;
        let url = format!("{}://{}{}", of(":scheme"), of(":authority"), of(":path"));
        assert_eq!(format!("{} {url}", callout.cluster), wanted);
    }
}

#[test]
fn a_cluster_belongs_to_an_origin() {
    let document: Value = serde_json::from_str(ENTRA).unwrap();
    for (idp, path) in [
        (json!({"clusters": {"https://a.example/path": "a"}}), "$.idp.clusters"),
        (json!({"clusters": {"a.example": "a"}}), "$.idp.clusters"),
        (json!({"clusters": {"https://a.example?x": "a"}}), "$.idp.clusters"),
        (json!({"clusters": {"https://a.example": ""}}), "$.idp.clusters"),
        (json!({"clusters": {"https://a.example": 1}}), "$.idp.clusters.https://a.example"),
        (json!({"clusters": ["https://a.example"]}), "$.idp.clusters"),
        // The same origin twice has no single meaning.
        (
            json!({"clusters": {"https://a.example": "a", "https://A.example:443": "b"}}),
            "$.idp.clusters",
        ),
        // The origin of the issuer has `idp.cluster`.
        (json!({"clusters": {"https://login.microsoftonline.com": "a"}}), "$.idp.clusters"),
        (
            json!({"internal_url": "http://a.example/x", "clusters": {"http://a.example": "a"}}),
            "$.idp.clusters",
        ),
        (json!({"metadata_url": "https://a.example/x"}), "$.idp.metadata_url"),
        (json!({"metadata_url": "https://a.example/x?y"}), "$.idp.metadata_url"),
    ] {
        let text = settings(&document, idp.clone()).to_string();
        let problems = Config::compile(text.as_bytes(), &environment).unwrap_err().to_string();
        assert!(problems.contains(&format!("{path}:")), "{idp}: {problems}");
    }
}

/// The endpoints that were found stay, and nothing is called elsewhere.
#[test]
fn endpoints_that_move_to_another_origin_are_not_followed() {
    let mut world = World::new();
    let before = world.site.provider().unwrap().clone();
    for moved in ["token_endpoint", "jwks_uri"] {
        let mut document = json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://evil.example/auth",
            "token_endpoint": format!("{ISSUER}/token"),
            "jwks_uri": format!("{ISSUER}/certs"),
        });
        document[moved] = json!("https://evil.example/here");
        world.idp.instead_of_metadata = Some(document);
        world.pass(3601);
        world.work();
        assert_eq!(world.site.provider(), Some(&before), "{moved}");
        let line = world.log.iter().rfind(|line| line.contains("metadata can't be used")).unwrap();
        assert!(line.contains("idp.clusters: {\"https://evil.example\""), "{line}");
    }
    assert!(!world.idp.calls.contains_key("/here"));
    let browser = world.log_in();
    world.request(&browser.asks()).1.forwarded();
}

/// A provider may publish whatever it likes beside what is read.
#[test]
fn a_long_document_is_read_for_what_is_needed() {
    let mut document: Value = serde_json::from_str(OKTA).unwrap();
    for number in 0..100 {
        document[format!("further_{number}_endpoint")] =
            json!(format!("https://h{number}.example/{}", "x".repeat(1000)));
    }
    assert_eq!(read(&document.to_string(), json!({})), read(OKTA, json!({})));
}
