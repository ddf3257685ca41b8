//! Back-channel logout: what the provider says is over is over at every worker at once (OpenID Connect
//! Back-Channel Logout; rows BL of the specifications).

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::rc::Rc;

use crate::Site;
use crate::answer::reply::Reply;
use crate::foundation::crypto::to_base64url;
use crate::testing::browser::Browser;
use crate::testing::store::MemoryStore;
use crate::testing::{
    Headers, Outcome, World, compile, configuration, host, reply_header, request,
};
use crate::wire::http::query::encode;
use crate::workers::SharedStore;
use serde_json::{Value, json};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn settings() -> Value {
    let mut settings = configuration();
    settings["prefect"] = json!({"buffered_routes": true});
    settings
}

/// A worker of a process whose operator has put the buffer filter behind it.
fn worker(store: &Rc<MemoryStore>) -> World {
    let mut world = World::starting(&settings());
    let store: Rc<dyn SharedStore> = Rc::<MemoryStore>::clone(store);
    world.site = Site::new(compile(&settings()), host(store));
    world.work();
    world
}

fn claims(world: &World) -> Value {
    json!({
        "iss": crate::testing::ISSUER, "aud": "prefect", "iat": world.now.secs(),
        "exp": world.now.secs() + 120, "jti": "j1", "typ": "Logout", "sub": "alice-1", "sid": "sid-1",
        "events": {EVENT: {}},
    })
}

fn endpoint(extra: &[(&str, &str)]) -> Headers {
    request("POST", "/oauth2/backchannel_logout", extra)
}

fn send(world: &mut World, token: &str) -> Reply {
    let body = encode([("logout_token", token)]);
    world.post(&endpoint(&[FORM]), body.as_bytes(), 100).reply()
}

fn log_out(world: &mut World, claims: &Value) -> Reply {
    let token =
        world.idp.sign_with(&json!({"alg": "EdDSA", "typ": "logout+jwt", "kid": "k1"}), claims);
    send(world, &token)
}

fn logged_in(world: &mut World, sid: Option<&str>) -> Browser {
    let mut browser = Browser::default();
    world.idp.claims = json!({"sid": sid});
    browser.log_in(world, "/");
    browser
}

fn counts(world: &mut World, browser: &Browser) -> bool {
    matches!(browser.clone().fetch(world, "GET", "/api/flows/1"), Outcome::Forwarded(_))
}

#[test]
fn a_session_is_over_at_every_worker_and_others_go_on() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (worker(&store), worker(&store));
    let alice = logged_in(&mut first, Some("sid-1"));
    let elsewhere = logged_in(&mut first, Some("sid-2"));
    assert!(counts(&mut second, &alice) && counts(&mut second, &elsewhere));
    let claims = claims(&first);
    let reply = log_out(&mut first, &claims);
    assert_eq!(reply.status, 200);
    assert_eq!(reply_header(&reply, "cache-control"), Some("no-store"));
    for world in [&mut first, &mut second] {
        assert!(!counts(world, &alice), "over");
        assert!(counts(world, &elsewhere), "her other session");
        let again = alice.clone().load(world, "/").reply();
        assert_eq!(again.status, 302, "a page load is a login");
    }
    // The next login has another sid with Keycloak; with the same one it still counts.
    first.pass(1);
    assert!({
        let fresh = logged_in(&mut first, Some("sid-1"));
        counts(&mut first, &fresh)
    });
}

#[test]
fn without_a_sid_all_of_the_person_s_sessions_are_over() {
    let store = Rc::new(MemoryStore::default());
    let mut world = worker(&store);
    let (one, two) = (logged_in(&mut world, Some("sid-1")), logged_in(&mut world, None));
    let mut claims = claims(&world);
    claims.as_object_mut().unwrap().remove("sid");
    assert_eq!(log_out(&mut world, &claims).status, 200);
    assert!(!counts(&mut world, &one) && !counts(&mut world, &two));
    // Again, later: what began meanwhile is over as well.
    world.pass(10);
    let three = logged_in(&mut world, None);
    assert!(counts(&mut world, &three));
    claims["jti"] = json!("j2");
    assert_eq!(log_out(&mut world, &claims).status, 200);
    assert!(!counts(&mut world, &three));
}

/// BL-10: ID tokens may have no `sid` though logout tokens do.
#[test]
fn a_session_without_sid_is_found_by_its_subject() {
    let mut world = worker(&Rc::default());
    let (without, other) = (logged_in(&mut world, None), logged_in(&mut world, Some("sid-9")));
    let claims = claims(&world);
    assert_eq!(log_out(&mut world, &claims).status, 200);
    assert!(!counts(&mut world, &without));
    assert!(counts(&mut world, &other));
}

#[test]
fn either_of_sid_and_sub_is_enough() {
    for missing in ["sub", "sid"] {
        let mut world = worker(&Rc::default());
        let alice = logged_in(&mut world, Some("sid-1"));
        let mut claims = claims(&world);
        claims.as_object_mut().unwrap().remove(missing);
        assert_eq!(log_out(&mut world, &claims).status, 200, "without {missing}");
        assert!(!counts(&mut world, &alice), "without {missing}");
    }
}

#[test]
fn tokens_that_do_not_fit_end_nothing() {
    for (row, patch) in [
        ("BL-3 iss", json!({"iss": "https://sso.example.com/realms/other"})),
        ("BL-3 no iss", json!({"iss": null})),
        ("BL-3 aud", json!({"aud": "other"})),
        ("BL-3 no aud", json!({"aud": null})),
        ("BL-3 no iat", json!({"iat": null})),
        ("BL-3 old iat", json!({"iat": 1_799_999_399})),
        ("BL-3 future iat", json!({"iat": 1_800_000_061})),
        ("BL-3 no exp", json!({"exp": null})),
        ("BL-3 past exp", json!({"exp": 1_799_999_940})),
        ("BL-3 no jti", json!({"jti": null})),
        ("BL-3 empty jti", json!({"jti": ""})),
        ("BL-3 jti of another type", json!({"jti": 1})),
        ("BL-3 long jti", json!({"jti": "x".repeat(256)})),
        ("BL-4 neither", json!({"sub": null, "sid": null})),
        ("BL-4 empty sid", json!({"sid": ""})),
        ("BL-4 sid of another type", json!({"sid": ["sid-1"]})),
        ("BL-4 sub of another type", json!({"sub": {"a": 1}})),
        ("BL-5 no events", json!({"events": null})),
        ("BL-5 another event", json!({"events": {"http://example.com/event": {}}})),
        ("BL-5 a list", json!({"events": [EVENT]})),
        ("BL-5 no object", json!({"events": {EVENT: true}})),
        ("BL-5 null", json!({"events": {EVENT: []}})),
        ("BL-6 nonce", json!({"nonce": "n"})),
        ("KC-1 an ID token", json!({"typ": "ID"})),
        ("KC-1 an access token", json!({"typ": "Bearer"})),
    ] {
        let mut world = worker(&Rc::default());
        let alice = logged_in(&mut world, Some("sid-1"));
        let mut claims = claims(&world);
        crate::testing::idp::merge(&mut claims, &patch);
        let reply = log_out(&mut world, &claims);
        assert_eq!(reply.status, 400, "{row}");
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(body["error"], "invalid_request", "{row}");
        assert!(counts(&mut world, &alice), "{row}");
        assert!(world.log.iter().any(|line| line.contains("invalid_logout_token")), "{row}");
    }
}

#[test]
fn signatures_and_types_are_as_strict_as_for_id_tokens() {
    let mut world = worker(&Rc::default());
    let alice = logged_in(&mut world, Some("sid-1"));
    let claims = claims(&world);
    let sign = |header: Value| world.idp.sign_with(&header, &claims);
    let good = sign(json!({"alg": "EdDSA", "kid": "k1"}));
    let part = |value: &Value| to_base64url(value.to_string().as_bytes());
    let none = format!("{}.{}.", part(&json!({"alg": "none"})), part(&claims));
    let mut forged = good.clone().into_bytes();
    let last = forged.len() - 10;
    forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
    let bad = [
        ("BL-2 none", none),
        ("BL-2 another key's algorithm", sign(json!({"alg": "ES256", "kid": "k1"}))),
        ("BL-2 HS256", sign(json!({"alg": "HS256", "kid": "k1"}))),
        (
            "BL-9 an access token's type",
            sign(json!({"alg": "EdDSA", "kid": "k1", "typ": "at+jwt"})),
        ),
        ("BL-9 another type", sign(json!({"alg": "EdDSA", "kid": "k1", "typ": "secevent+jwt"}))),
        ("BL-2 a changed signature", String::from_utf8(forged).unwrap()),
        ("no token", "x".to_owned()),
        ("five parts", format!("{good}.a.b")),
    ];
    for (row, token) in bad {
        assert_eq!(send(&mut world, &token).status, 400, "{row}");
    }
    assert!(counts(&mut world, &alice));
    // Keycloak 24 writes JWT, and a type may be missing.
    assert_eq!(send(&mut world, &good).status, 200);
    assert!(!counts(&mut world, &alice));
}

#[test]
fn bodies_that_are_no_form_with_one_token_are_refused() {
    let mut world = worker(&Rc::default());
    let alice = logged_in(&mut world, Some("sid-1"));
    let claims = claims(&world);
    let token = world.idp.sign(&claims);
    let twice = encode([("logout_token", token.as_str()), ("logout_token", token.as_str())]);
    let form = encode([("logout_token", token.as_str())]);
    let long = format!("{form}&x={}", "x".repeat(64 * 1024));
    let query = request("POST", &format!("/oauth2/backchannel_logout?{form}"), &[FORM]);
    for (headers, body) in [
        (endpoint(&[FORM]), twice.as_bytes()),
        (endpoint(&[FORM]), b"".as_slice()),
        (endpoint(&[FORM]), b"logout_token="),
        (endpoint(&[FORM]), b"\xff=\xff"),
        (endpoint(&[FORM]), long.as_bytes()),
        (endpoint(&[]), form.as_bytes()),
        (endpoint(&[("content-type", "application/json")]), form.as_bytes()),
        (query, b""),
    ] {
        let reply = world.post(&headers, body, 30_000).reply();
        assert_eq!(reply.status, 400, "{} bytes", body.len());
    }
    let get = request("GET", "/oauth2/backchannel_logout", &[]);
    assert_eq!(world.request(&get).1.reply().status, 405);
    assert!(counts(&mut world, &alice));
    // The charset may be named, and whatever host the provider calls.
    let headers = crate::testing::request_to(
        "10.0.0.7:8443",
        "POST",
        "/oauth2/backchannel_logout",
        &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")],
    );
    assert_eq!(world.post(&headers, form.as_bytes(), 7).reply().status, 200);
    assert!(!counts(&mut world, &alice));
}

/// BL-7.
#[test]
fn a_token_counts_once() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (worker(&store), worker(&store));
    let claims = claims(&first);
    let token = first.idp.sign(&claims);
    assert_eq!(send(&mut first, &token).status, 200);
    assert_eq!(send(&mut first, &token).status, 400);
    assert_eq!(send(&mut second, &token).status, 400, "at another worker");
}

#[test]
fn a_token_under_a_new_key_waits_for_it() {
    let mut world = worker(&Rc::default());
    let alice = logged_in(&mut world, Some("sid-1"));
    world.pass(20);
    world.idp.rotate("k2");
    let claims = claims(&world);
    let token = world.idp.sign(&claims);
    assert_eq!(send(&mut world, &token).status, 200);
    assert!(!counts(&mut world, &alice));
    // A kid that nobody publishes: no verdict that blames the provider is made up.
    let unknown = world.idp.sign_with(&json!({"alg": "EdDSA", "kid": "k9"}), &claims);
    let reply = send(&mut world, &unknown);
    assert_eq!(reply.status, 503);
    assert!(reply_header(&reply, "retry-after").is_some());
}

#[test]
fn without_the_buffer_filter_there_is_no_such_endpoint() {
    let mut world = World::new();
    let reply = world.request(&endpoint(&[FORM])).1.reply();
    assert_eq!(reply.status, 501);
}

#[test]
fn when_the_list_is_full_what_is_older_must_recheck() {
    let store = Rc::new(MemoryStore::default());
    let mut world = worker(&store);
    let alice = logged_in(&mut world, Some("sid-1"));
    let logouts = crate::login::backchannel::Logout {
        sid: Some("sid-1".into()),
        subject: None,
        jti: String::new(),
    };
    world.pass(1);
    assert!(world.site.end_by_provider(&logouts, world.now));
    for number in 0..20_000 {
        world.now = world.now.plus(core::time::Duration::from_millis(1));
        let other = crate::login::backchannel::Logout {
            sid: Some(format!("other-{number}")),
            ..logouts.clone()
        };
        assert!(world.site.end_by_provider(&other, world.now));
    }
    let bytes: usize = store.0.borrow().values().map(|(value, _)| value.len()).sum();
    assert!(bytes < 512 * 1024, "{bytes} bytes for 20,000 logouts");
    // Her mark is lost, so the provider is asked, which has ended the session.
    world.idp.mood = crate::testing::idp::Mood::RefreshRefused;
    assert!(!counts(&mut world, &alice));
}
