//! Back-channel logout: what the provider says is over is over at every worker at once (OpenID
//! Connect Back-Channel Logout; rows BL).

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use core::cell::Cell;
use std::rc::Rc;

use crate::answer::reply::Reply;
use crate::foundation::crypto::to_base64url;
use crate::gate::decision::DataStep;
use crate::login::backchannel::Logout;
use crate::testing::browser::Browser;
use crate::testing::idp::merge;
use crate::testing::logout::{EVENT, buffered, logout_request};
use crate::testing::store::MemoryStore;
use crate::testing::{FORM, Outcome, World, configuration, reply_header, request};
use crate::wire::http::query::encode;
use crate::workers::{SharedStore, Stored, Written};
use serde_json::{Value, json};

/// A worker of a process whose operator has put the buffer filter behind it.
fn worker<S: SharedStore + 'static>(store: &Rc<S>) -> World {
    World::worker_with(&buffered(), store)
}

/// The provider ends all sessions of alice.
fn log_out_person(world: &mut World, jti: &str) -> Reply {
    let mut claims = world.logout_claims();
    merge(&mut claims, &json!({"sid": null, "jti": jti}));
    world.log_out(&claims)
}

fn logged_in(world: &mut World, sid: Option<&str>) -> Browser {
    let mut browser = Browser::default();
    world.idp.claims = json!({"sid": sid});
    browser.log_in(world, "/");
    browser
}

#[test]
fn a_session_is_over_at_every_worker_and_others_go_on() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (worker(&store), worker(&store));
    let alice = logged_in(&mut first, Some("sid-1"));
    let elsewhere = logged_in(&mut first, Some("sid-2"));
    assert!(alice.counts(&mut second) && elsewhere.counts(&mut second));
    let claims = first.logout_claims();
    let reply = first.log_out(&claims);
    assert_eq!(reply.status, 200);
    assert_eq!(reply_header(&reply, "cache-control"), Some("no-store"));
    for world in [&mut first, &mut second] {
        assert!(!alice.counts(world), "over");
        assert!(elsewhere.counts(world), "her other session");
        let again = alice.clone().load(world, "/").reply();
        assert_eq!(again.status, 302, "a page load is a login");
    }
    // The next login has another sid with Keycloak; with the same one it still counts.
    first.pass(1);
    assert!({
        let fresh = logged_in(&mut first, Some("sid-1"));
        fresh.counts(&mut first)
    });
}

#[test]
fn without_a_sid_all_of_the_person_s_sessions_are_over() {
    let store = Rc::new(MemoryStore::default());
    let mut world = worker(&store);
    let (one, two) = (logged_in(&mut world, Some("sid-1")), logged_in(&mut world, None));
    let mut claims = world.logout_claims();
    claims.as_object_mut().unwrap().remove("sid");
    assert_eq!(world.log_out(&claims).status, 200);
    assert!(!one.counts(&mut world) && !two.counts(&mut world));
    // Again, later: what began meanwhile is over as well.
    world.pass(10);
    let three = logged_in(&mut world, None);
    assert!(three.counts(&mut world));
    claims["jti"] = json!("j2");
    assert_eq!(world.log_out(&claims).status, 200);
    assert!(!three.counts(&mut world));
}

/// BL-10: ID tokens may have no `sid` though logout tokens do.
#[test]
fn a_session_without_sid_is_found_by_its_subject() {
    let mut world = worker(&Rc::new(MemoryStore::default()));
    let (without, other) = (logged_in(&mut world, None), logged_in(&mut world, Some("sid-9")));
    let claims = world.logout_claims();
    assert_eq!(world.log_out(&claims).status, 200);
    assert!(!without.counts(&mut world));
    assert!(other.counts(&mut world));
}

#[test]
fn either_of_sid_and_sub_is_enough() {
    for missing in ["sub", "sid"] {
        let mut world = worker(&Rc::new(MemoryStore::default()));
        let alice = logged_in(&mut world, Some("sid-1"));
        let mut claims = world.logout_claims();
        claims.as_object_mut().unwrap().remove(missing);
        assert_eq!(world.log_out(&claims).status, 200, "without {missing}");
        assert!(!alice.counts(&mut world), "without {missing}");
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
        let mut world = worker(&Rc::new(MemoryStore::default()));
        let alice = logged_in(&mut world, Some("sid-1"));
        let mut claims = world.logout_claims();
        crate::testing::idp::merge(&mut claims, &patch);
        let reply = world.log_out(&claims);
        assert_eq!(reply.status, 400, "{row}");
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(body["error"], "invalid_request", "{row}");
        assert!(alice.counts(&mut world), "{row}");
        assert!(world.log.iter().any(|line| line.contains("invalid_logout_token")), "{row}");
    }
}

#[test]
fn signatures_and_types_are_as_strict_as_for_id_tokens() {
    let mut world = worker(&Rc::new(MemoryStore::default()));
    let alice = logged_in(&mut world, Some("sid-1"));
    let claims = world.logout_claims();
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
        assert_eq!(world.send_logout_token(&token).status, 400, "{row}");
    }
    assert!(alice.counts(&mut world));
    // Keycloak 24 writes JWT, and a type may be missing.
    assert_eq!(world.send_logout_token(&good).status, 200);
    assert!(!alice.counts(&mut world));
}

#[test]
fn bodies_that_are_no_form_with_one_token_are_refused() {
    let mut world = worker(&Rc::new(MemoryStore::default()));
    let alice = logged_in(&mut world, Some("sid-1"));
    let claims = world.logout_claims();
    let token = world.idp.sign(&claims);
    let twice = encode([("logout_token", token.as_str()), ("logout_token", token.as_str())]);
    let form = encode([("logout_token", token.as_str())]);
    let long = format!("{form}&x={}", "x".repeat(64 * 1024));
    let query = request("POST", &format!("/oauth2/backchannel_logout?{form}"), &[FORM]);
    for (headers, body) in [
        (logout_request(&[FORM]), twice.as_bytes()),
        (logout_request(&[FORM]), b"".as_slice()),
        (logout_request(&[FORM]), b"logout_token="),
        (logout_request(&[FORM]), b"\xff=\xff"),
        (logout_request(&[FORM]), long.as_bytes()),
        (logout_request(&[]), form.as_bytes()),
        (logout_request(&[("content-type", "application/json")]), form.as_bytes()),
        (query, b""),
    ] {
        let reply = world.post(&headers, body, 30_000).reply();
        assert_eq!(reply.status, 400, "{} bytes", body.len());
    }
    let get = request("GET", "/oauth2/backchannel_logout", &[]);
    assert_eq!(world.request(&get).1.reply().status, 405);
    assert!(alice.counts(&mut world));
    // The charset may be named, and whatever host the provider calls.
    let headers = crate::testing::request_to(
        "10.0.0.7:8443",
        "POST",
        "/oauth2/backchannel_logout",
        &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")],
    );
    assert_eq!(world.post(&headers, form.as_bytes(), 7).reply().status, 200);
    assert!(!alice.counts(&mut world));
}

/// BL-7.
#[test]
fn a_token_counts_once() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (worker(&store), worker(&store));
    let claims = first.logout_claims();
    let token = first.idp.sign(&claims);
    assert_eq!(first.send_logout_token(&token).status, 200);
    assert_eq!(first.send_logout_token(&token).status, 400);
    assert_eq!(second.send_logout_token(&token).status, 400, "at another worker");
}

#[test]
fn a_token_under_a_new_key_waits_for_it() {
    let mut world = worker(&Rc::new(MemoryStore::default()));
    let alice = logged_in(&mut world, Some("sid-1"));
    world.pass(20);
    world.idp.rotate("k2");
    let claims = world.logout_claims();
    let token = world.idp.sign(&claims);
    assert_eq!(world.send_logout_token(&token).status, 200);
    assert!(!alice.counts(&mut world));
    // A kid that nobody publishes: no verdict that blames the provider is made up.
    let unknown = world.idp.sign_with(&json!({"alg": "EdDSA", "kid": "k9"}), &claims);
    let reply = world.send_logout_token(&unknown);
    assert_eq!(reply.status, 503);
    assert!(reply_header(&reply, "retry-after").is_some());
}

#[test]
fn without_the_buffer_filter_there_is_no_such_endpoint() {
    let mut world = World::new();
    let reply = world.request(&logout_request(&[FORM])).1.reply();
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
    // The list has places for 4,096.
    for number in 0..6_000 {
        world.now = world.now.plus(core::time::Duration::from_millis(1));
        let other = crate::login::backchannel::Logout {
            sid: Some(format!("other-{number}")),
            ..logouts.clone()
        };
        assert!(world.site.end_by_provider(&other, world.now));
    }
    let bytes: usize = store.0.borrow().values().map(|(value, _)| value.len()).sum();
    assert!(bytes < 512 * 1024, "{bytes} bytes for 6,000 logouts");
    // Her mark is lost, so the provider is asked, which has ended the session.
    world.idp.mood = crate::testing::idp::Mood::RefreshRefused;
    assert!(!alice.counts(&mut world));
}

/// The later of two logouts counts at every worker.
#[test]
fn a_second_logout_is_seen_by_all_workers() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (worker(&store), worker(&store));
    let one = first.log_in();
    assert_eq!(log_out_person(&mut first, "j1").status, 200);
    assert!(!one.counts(&mut first) && !one.counts(&mut second));
    first.pass(10);
    second.pass(10);
    let two = first.log_in();
    assert!(two.counts(&mut first) && two.counts(&mut second));
    first.pass(10);
    second.pass(10);
    assert_eq!(log_out_person(&mut first, "j2").status, 200);
    assert!(!two.counts(&mut first), "the worker that was told");
    assert!(!two.counts(&mut second), "the other worker");
}

/// Another realm in the same Envoy, under the same key.
#[test]
fn a_logout_is_for_its_issuer() {
    let store = Rc::new(MemoryStore::default());
    let mut world = worker(&store);
    let mut settings = configuration();
    settings["issuer"] = json!("https://sso.example.com/realms/other");
    let mut other = World::worker_with(&settings, &store);
    let browser = world.log_in();
    world.pass(1);
    let logout = Logout { sid: None, subject: Some("alice-1".into()), jti: "j".into() };
    other.site.end_by_provider(&logout, world.now);
    assert!(browser.counts(&mut world));
}

/// From some write on nothing finds its place.
struct Stubborn {
    inner: MemoryStore,
    left: Cell<Option<usize>>,
}

impl SharedStore for Stubborn {
    fn read(&self, name: &str) -> Option<Stored> {
        self.inner.read(name)
    }
    fn write(&self, name: &str, value: &[u8], version: Option<u32>) -> Written {
        match self.left.get() {
            Some(0) => Written::Conflict,
            Some(n) => {
                self.left.set(Some(n - 1));
                self.inner.write(name, value, version)
            }
            None => self.inner.write(name, value, version),
        }
    }
}

/// A logout that found no place may be sent again.
#[test]
fn a_busy_logout_can_be_repeated() {
    let store = Rc::new(Stubborn { inner: MemoryStore::default(), left: Cell::new(None) });
    let mut world = worker(&store);
    let mut browser = Browser::default();
    world.idp.claims = json!({"sid": "sid-1"});
    browser.log_in(&mut world, "/");
    store.left.set(Some(2));
    let claims = world.logout_claims();
    assert_eq!(world.log_out(&claims).status, 503);
    store.left.set(None);
    let again = world.log_out(&claims).status;
    let on = browser.counts(&mut world);
    assert_eq!((again, on), (200, false), "the provider's second try");
}

/// Trailers would let a held body go on, with its head.
#[test]
fn trailers_end_a_logout_and_nothing_else() {
    let mut world = worker(&Rc::new(MemoryStore::default()));
    let (mut gate, outcome) = world.request(&logout_request(&[FORM]));
    assert!(matches!(outcome, Outcome::Reading(_)));
    let answer = gate.on_request_trailers(&mut world.cx());
    assert!(matches!(answer, DataStep::Answer(reply) if reply.status == 400));
    assert_eq!(gate.on_request_data(b"x", true, &mut world.cx()), DataStep::Hold, "it is over");
    assert_eq!(gate.on_request_trailers(&mut world.cx()), DataStep::Hold);
    let browser = world.log_in();
    let (mut gate, outcome) = world.request(&browser.asks());
    outcome.forwarded();
    assert_eq!(gate.on_request_trailers(&mut world.cx()), DataStep::Pass, "Prefect gets its own");
}
