//! Pushed authorization requests (RFC 9126): the provider gets the parameters of a login from
//! Lictor, and the browser carries a reference to them.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::foundation::limits::{ATTEMPTS_PER_NETWORK, PUSHES_IN_FLIGHT};
use crate::testing::browser::{Browser, NAVIGATION};
use crate::testing::idp::merge;
use crate::testing::{
    CLIENT_SECRET, ISSUER, PUBLIC, World, basic, configuration, reply_header, request,
};
use crate::wire::http::query::{encode_value, only};
use serde_json::{Value, json};

fn settings(idp: Value) -> Value {
    let mut settings = configuration();
    settings["idp"] = idp;
    settings
}

fn metadata(patch: &Value) -> Value {
    let mut metadata = json!({
        "issuer": ISSUER, "authorization_endpoint": format!("{ISSUER}/auth"),
        "token_endpoint": format!("{ISSUER}/token"), "jwks_uri": format!("{ISSUER}/certs"),
        "pushed_authorization_request_endpoint": format!("{ISSUER}/par"),
    });
    merge(&mut metadata, patch);
    metadata
}

fn world(settings: &Value, patch: &Value) -> World {
    let mut world = World::starting(settings);
    world.idp.instead_of_metadata = Some(metadata(patch));
    world.work();
    world
}

/// The callback of the login whose parameters were pushed last.
fn callback(world: &mut World) -> String {
    let (_, form) = world.idp.forms.last().unwrap();
    let member = |name: &str| only(form, name).unwrap().unwrap().into_owned();
    let (state, iss) = (member("state"), encode_value(ISSUER));
    world.idp.nonce = member("nonce");
    format!("/oauth2/callback?state={state}&code=planted-code&iss={iss}")
}

fn log_in(world: &mut World) -> Browser {
    let mut browser = Browser::default();
    browser.load(world, "/").reply();
    let callback = callback(world);
    browser.load(world, &callback).reply();
    assert!(browser.session().is_some());
    browser
}

#[test]
fn the_browser_carries_a_reference_only() {
    let mut world = world(&settings(json!({ "par": true, "require_acr": ["gold"] })), &json!({}));
    world.idp.claims["acr"] = json!("gold");
    let mut browser = Browser::default();
    let reply = browser.load(&mut world, "/runs?x=1").reply();
    let wanted = format!("{ISSUER}/auth?client_id=prefect&request_uri=urn%3Ax%3A1");
    assert_eq!(reply_header(&reply, "location"), Some(wanted.as_str()));
    let (path, form) = world.idp.forms[0].clone();
    assert_eq!(path, "/realms/prefect/par");
    let member = |name: &str| only(&form, name).unwrap().map(|value| value.into_owned());
    for (name, value) in [
        ("client_id", "prefect"),
        ("response_type", "code"),
        ("scope", "openid profile email"),
        ("code_challenge_method", "S256"),
        ("acr_values", "gold"),
        ("redirect_uri", &format!("{PUBLIC}/oauth2/callback")),
    ] {
        assert_eq!(member(name).as_deref(), Some(value), "{name}");
    }
    let callback = callback(&mut world);
    let reply = browser.load(&mut world, &callback).reply();
    assert_eq!(reply_header(&reply, "location"), Some(format!("{PUBLIC}/runs?x=1").as_str()));
    assert!(browser.session().is_some());
}

/// The client authenticates as at the token endpoint (RFC 9126 §2), and names itself once.
#[test]
fn the_client_proves_itself() {
    let methods =
        ["client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth", "none"];
    for method in methods {
        let idp = json!({ "par": true, "client_auth": method });
        let mut world = world(&settings(idp), &json!({}));
        let headers = request("GET", "/", &NAVIGATION);
        let mut gate = crate::Gate::new(crate::foundation::stream::StreamId(1));
        let view = crate::wire::http::request::RequestView { headers: &headers };
        let decision = gate.on_request(view, false, &mut world.cx());
        let crate::gate::decision::Decision::Await(callout) = decision else {
            panic!("{decision:?}")
        };
        let form = String::from_utf8(callout.body.clone()).unwrap();
        let member = |name: &str| only(&form, name).unwrap().map(|value| value.into_owned());
        let line = callout.headers.iter().find(|(name, _)| *name == "authorization");
        let line = line.map(|(_, value)| value.clone());
        assert_eq!(member("client_id").as_deref(), Some("prefect"), "{method}");
        let pair = basic(&format!("prefect:{CLIENT_SECRET}"));
        assert_eq!(line, (method == "client_secret_basic").then_some(pair), "{method}");
        assert_eq!(member("client_secret").is_some(), method == "client_secret_post", "{method}");
        assert_eq!(member("client_assertion").is_some(), method == "private_key_jwt", "{method}");
        gate.finish(&mut world.site);
    }
}

#[test]
fn a_provider_may_require_it() {
    let required = json!({ "require_pushed_authorization_requests": true });
    for (idp, patch, pushes) in [
        (json!({}), json!({}), false),
        (json!({}), required.clone(), true),
        (json!({ "par": true }), json!({}), true),
        (json!({ "par": false }), required.clone(), true),
    ] {
        let mut world = world(&settings(idp.clone()), &patch);
        Browser::default().load(&mut world, "/").reply();
        assert_eq!(world.idp.called("/realms/prefect/par"), usize::from(pushes), "{idp} {patch}");
    }
    for (endpoint, said) in [
        (Value::Null, "pushed_authorization_request_endpoint"),
        (json!("https://other.example/par"), r#"idp.clusters: {"https://other.example""#),
    ] {
        let patch = json!({ "pushed_authorization_request_endpoint": endpoint });
        let world = world(&settings(json!({ "par": true })), &patch);
        assert!(!world.site.is_ready(world.now));
        assert!(world.log.join("").contains(said), "{:?}", world.log);
    }
}

/// Nothing is let in, no cookie is left, and the log says what came.
#[test]
fn other_answers_are_refused() {
    for (status, body, wanted, said) in [
        (200, &b"<html>Log in</html>"[..], (503, "idp_unreachable"), "without a JSON object"),
        (201, b"{}", (503, "idp_unreachable"), "request_uri"),
        (201, br#"{"request_uri":""}"#, (503, "idp_unreachable"), "request_uri"),
        (201, br#"{"request_uri":7}"#, (503, "idp_unreachable"), "request_uri"),
        (400, br#"{"error":"invalid_request"}"#, (502, "client_rejected"), "invalid_request"),
        (401, br#"{"error":"invalid_client"}"#, (502, "client_rejected"), "invalid_client"),
        (413, b"", (503, "idp_unreachable"), "status 413"),
        (429, b"", (503, "idp_unreachable"), "status 429"),
        (500, b"", (503, "idp_unreachable"), "status 500"),
        (503, b"", (503, "idp_unreachable"), "status 503"),
    ] {
        let mut world = world(&settings(json!({ "par": true })), &json!({}));
        let mut session = log_in(&mut world);
        world.idp.pushed = (status, body.to_vec());
        let mut browser = Browser::default();
        let headers = browser.headers("GET", "/", &NAVIGATION);
        let reply = world.request(&headers).1.reply();
        assert_eq!((reply.status, reply.code), wanted, "{status}");
        assert!(reply_header(&reply, "set-cookie").is_none(), "{status}");
        assert!(world.log.join("").contains(said), "{status} {:?}", world.log);
        // A login that can't begin signs nobody out.
        session.load(&mut world, "/oauth2/start");
        session.fetch(&mut world, "GET", "/api/flows/1").forwarded();
        world.idp.pushed = (201, br#"{"request_uri":"urn:x:2"}"#.to_vec());
        assert_eq!(browser.load(&mut world, "/").status(), 302, "the next one");
    }
}

#[test]
fn few_push_at_a_time_and_each_gives_its_place_back() {
    let mut world = world(&settings(json!({ "par": true })), &json!({}));
    let headers = request("GET", "/", &NAVIGATION);
    let view = crate::wire::http::request::RequestView { headers: &headers };
    let mut gates: Vec<_> = (0..PUSHES_IN_FLIGHT)
        .map(|number| {
            let stream = crate::foundation::stream::StreamId(u32::try_from(number).unwrap() + 1000);
            let mut gate = crate::Gate::new(stream);
            let decision = gate.on_request(view, false, &mut world.cx());
            assert!(matches!(decision, crate::gate::decision::Decision::Await(_)));
            gate
        })
        .collect();
    let reply = world.request(&headers).1.reply();
    assert_eq!((reply.status, reply.code), (503, "busy"));
    gates.pop().unwrap().finish(&mut world.site);
    assert_eq!(world.request(&headers).1.status(), 302);
    for mut gate in gates {
        gate.finish(&mut world.site);
    }
    // One network can't keep the provider busy, and neither can it keep the others out.
    let begun = (0..1000).filter(|_| world.request(&headers).1.status() == 302).count();
    assert!(begun < ATTEMPTS_PER_NETWORK.burst as usize, "{begun}");
    world.peer.address = b"198.51.100.7".to_vec();
    assert_eq!(Browser::default().load(&mut world, "/").status(), 302);
}

/// A login that replaces a session clears its cookie.
#[test]
fn a_new_login_replaces_the_session() {
    let mut world = world(&settings(json!({ "par": true })), &json!({}));
    let mut browser = log_in(&mut world);
    assert_eq!(browser.load(&mut world, "/oauth2/start").status(), 302);
    assert!(browser.session().is_none());
}
