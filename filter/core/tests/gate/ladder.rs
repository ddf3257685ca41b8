//! Whom a request counts as, and what is done when an event comes that nobody waits for.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::Gate;
use crate::foundation::stream::StreamId;
use crate::gate::decision::Decision;
use crate::testing::browser::{Browser, NAVIGATION, SCRIPT};
use crate::testing::idp::Mood;
use crate::testing::logout::buffered;
use crate::testing::machines::{PAIR, asks};
use crate::testing::{API_KEY, World, basic, code, reply_header, request, request_to};
use crate::wire::http::request::RequestView;
use serde_json::json;

#[test]
fn a_wake_without_waiting_or_a_reply_to_no_call_refuses() {
    let mut world = World::new();
    let headers = request("GET", "/api/flows/1", &[("x-api-key", API_KEY)]);
    let view = RequestView { headers: &headers };
    for event in 0..3 {
        let (mut gate, outcome) = world.request(&headers);
        outcome.forwarded();
        let decision = match event {
            0 => gate.on_request(view, false, &mut world.cx()),
            1 => gate.on_wake(view, &mut world.cx()),
            _ => gate.on_callout(crate::testing::reply_of(None), view, &mut world.cx()),
        };
        let Decision::Reply(reply) = decision else { panic!("event {event} was not refused") };
        assert_eq!(reply.status, 503);
    }
}

#[test]
fn while_the_provider_is_away_at_start_only_keys_are_served() {
    let mut world = World::starting(&crate::testing::configuration());
    world.idp.mood = Mood::Away;
    world.work();
    let page = world.request(&request("GET", "/", &NAVIGATION)).1.reply();
    assert_eq!((page.status, reply_header(&page, "retry-after")), (503, Some("1")));
    let bearer = world.bearer();
    assert_eq!(
        world
            .request(&request("GET", "/api/flows/1", &[("authorization", &bearer)]))
            .1
            .reply()
            .status,
        503
    );
    assert_eq!(world.request(&request("GET", "/oauth2/ready", &[])).1.reply().status, 503);
    world.request(&request("GET", "/api/flows/1", &[("x-api-key", API_KEY)])).1.forwarded();
    world.idp.mood = Mood::Well;
    world.pass(1);
    world.work();
    assert_eq!(world.request(&request("GET", "/oauth2/ready", &[])).1.reply().status, 200);
    assert_eq!(world.request(&request("GET", "/", &NAVIGATION)).1.reply().status, 302);
}

/// A subject with a quote used to forge a field of the log line.
#[test]
fn a_subject_can_not_forge_a_field_of_the_log() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    world.idp.claims = json!({"sub": "x\" seen=\"nothing", "realm_access": {"roles": []}});
    browser.log_in(&mut world, "/");
    let reply = browser.fetch(&mut world, "GET", "/api/flows/1").reply();
    assert_eq!(
        (code(&reply).as_str(), reply_header(&reply, "www-authenticate")),
        ("no_role", None)
    );
    let line = world.log.iter().find(|line| line.starts_with("refused reason=no_role")).unwrap();
    assert_eq!(line.matches(" seen=\"").count(), 1, "{line}");
}

/// A browser sends its cookie to every host that the cookie's name and scope allow.
#[test]
fn a_session_proves_nobody_at_a_host_for_machines() {
    let leftover = ("authorization", "Basic eDp5");
    for (host, wanted) in [("prefect.example.com", 200), ("api.prefect.example.com", 401)] {
        for extra in [&[][..], &[leftover]] {
            let mut world = World::new();
            let browser = world.log_in();
            let cookie = browser.cookie_header();
            let lines = [&SCRIPT[..], extra, &[("cookie", cookie.as_str())]].concat();
            for path in ["/api/flows/1", "/", "/ui-settings"] {
                let seen = world.request(&request_to(host, "GET", path, &lines)).1.status();
                assert_eq!(seen, wanted, "{host} {path} {extra:?}");
            }
        }
    }
}

/// A password that the browser attaches may even be a valid key. It logs nobody in on a page, and
/// takes nobody's place whose session has ended. Prefect's own scripts may use it.
#[test]
fn a_password_of_the_browser_is_for_scripts_without_a_session() {
    let password = basic(&format!("etl:{API_KEY}"));
    let leftover = ("authorization", password.as_str());
    let mut world = World::new();
    let mut browser = world.log_in();
    let ended = browser.clone().cookie_header();
    browser.load(&mut world, "/oauth2/sign_out");
    let cookie = ("cookie", ended.as_str());
    let page = [&NAVIGATION[..], &[leftover]].concat();
    let script = [&SCRIPT[..], &[leftover]].concat();
    for (path, lines, wanted) in [
        ("/", page.clone(), 302),
        ("/", [&page[..], &[cookie]].concat(), 302),
        ("/api/flows/1", script.clone(), 200),
        ("/api/flows/1", [&script[..], &[cookie]].concat(), 401),
    ] {
        assert_eq!(world.request(&request("GET", path, &lines)).1.status(), wanted, "{lines:?}");
    }
}

/// The links on a page lead to the host where browsers log in.
#[test]
fn a_page_at_a_host_for_machines_links_to_the_public_one() {
    let mut world = World::new();
    for (host, wanted) in [
        ("prefect.example.com", "href=\"/\""),
        ("api.prefect.example.com", "href=\"https://prefect.example.com/\""),
    ] {
        let asked = request_to(host, "GET", "/oauth2/nothing", &NAVIGATION);
        let page = world.request(&asked).1.reply();
        let html = String::from_utf8(page.body).unwrap();
        assert!(page.status == 404 && html.contains(wanted), "{host}: {html}");
    }
}

/// The access log says whom Lictor's own answers are about. Otherwise they would be a stranger's,
/// and a flood could hide that somebody has logged in.
#[test]
fn answers_to_somebody_name_the_principal() {
    let mut world = World::with(&buffered());
    let mut browser = world.log_in();
    let key = [("x-api-key", API_KEY)];
    for path in ["/oauth2/userinfo", "/oauth2/auth"] {
        let headers = browser.headers("GET", path, &SCRIPT);
        assert!((200..300).contains(&world.request(&headers).1.status()), "{path}");
        let headers = request("GET", path, &key);
        assert!((200..300).contains(&world.request(&headers).1.status()), "{path}");
    }
    let callback = Browser::default().start_login(&mut world, "/");
    assert_eq!(browser.load(&mut world, &callback).status(), 302);
    assert_eq!(browser.load(&mut world, "/oauth2/sign_out").status(), 200);
    let claims = world.logout_claims();
    assert_eq!(world.log_out(&claims).status, 200);
    assert_eq!(world.request(&request("DELETE", "/api/flows/1", &key)).1.status(), 403);
    for (code, principal) in [
        ("role_missing", "key:etl worker"),
        ("logged_in", "user:alice-1"),
        ("userinfo", "user:alice-1"),
        ("userinfo", "key:etl"),
        ("accepted", "user:alice-1"),
        ("accepted", "key:etl"),
        ("already_logged_in", "user:alice-1"),
        ("signed_out", "user:alice-1"),
        ("backchannel_logout", "user:alice-1"),
    ] {
        let entry = format!("reason={code} {principal}");
        assert!(world.log.iter().any(|line| line.contains(&entry)), "{entry}: {:#?}", world.log);
    }
}

/// An operator who is asked why somebody had to log in again finds the line.
#[test]
fn a_page_load_says_whose_session_had_ended() {
    let mut world = World::new();
    let mut browser = world.log_in();
    let mut ended = browser.clone();
    browser.load(&mut world, "/oauth2/sign_out");
    let line = "a session of user:alice-1";
    for (visitor, is_told) in [(&mut Browser::default(), false), (&mut ended, true)] {
        assert_eq!(visitor.load(&mut world, "/runs").status(), 302);
        world.work();
        assert_eq!(world.log.join("\n").contains(line), is_told, "{:?}", world.log);
    }
}

/// A request that is woken without a verdict is answered. It does not wait again.
#[test]
fn a_request_waits_once() {
    let mut world = World::new();
    let browser = world.log_in();
    world.pass(301);
    world.idp.rotate("k2");
    let bearer = world.bearer();
    let table = [
        ("a client that the provider has not judged", asks(PAIR), 503),
        ("a token with a new key", request("GET", "/", &[("authorization", &bearer)]), 503),
        ("a session that is due", browser.headers("GET", "/api/flows/1", &SCRIPT), 200),
    ];
    for (what, headers, wanted) in table {
        let mut gate = Gate::new(StreamId(7));
        let view = RequestView { headers: &headers };
        let first = gate.on_request(view, true, &mut world.cx());
        assert!(matches!(first, Decision::AwaitSite), "{what}: {first:?}");
        let seen = match gate.on_wake(view, &mut world.cx()) {
            Decision::Reply(reply) => reply.status,
            Decision::Forward { .. } => 200,
            other => panic!("{what}: {other:?}"),
        };
        assert_eq!(seen, wanted, "{what}");
    }
}
