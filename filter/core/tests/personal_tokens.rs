//! Personal tokens: made of a fresh login, used like any credential, ended in time or before.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::rc::Rc;

use crate::Site;
use crate::answer::reply::Reply;
use crate::foundation::crypto::{sha256, to_base64url};
use crate::gate::decision::DataStep;
use crate::testing::browser::{Browser, NAVIGATION, SCRIPT};
use crate::testing::store::MemoryStore;
use crate::testing::{
    AUTH_STRING, COOKIE_KEY, Headers, Outcome, World, auth_frame, basic, code, compile,
    configuration, header, host, reply_header, request, request_to,
};
use crate::wire::http::query::{encode, only};
use crate::workers::SharedStore;
use serde_json::{Value, json};

const POST: [(&str, &str); 4] = [
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
    ("origin", crate::testing::PUBLIC),
];
const VERIFIER: &str = "a-verifier-that-only-the-terminal-knows-0123456789";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn settings() -> Value {
    let mut settings = configuration();
    settings["prefect"] = json!({"buffered_routes": true});
    settings
}

fn started(settings: &Value) -> World {
    let mut world = World::starting(settings);
    world.work();
    world
}

/// Somebody who has logged in a moment ago, at this page.
fn person(world: &mut World, page: &str) -> Browser {
    let mut browser = Browser::default();
    world.idp.claims["auth_time"] = json!(world.now.secs());
    assert_eq!(browser.log_in(world, page), format!("{}{page}", crate::testing::PUBLIC));
    browser
}

/// The answer to a page, as its form sends it.
fn action(page: &Reply) -> String {
    let html = text(page);
    let (_, rest) = html.split_once("<form method=\"post\" action=\"").expect("a form");
    rest.split_once('"').unwrap().0.replace("&amp;", "&")
}

/// Presses the button of a page; without one the page's own address is posted to.
fn post(world: &mut World, browser: &Browser, page: &str) -> Outcome {
    let shown = world.request(&browser.headers("GET", page, &NAVIGATION)).1.reply();
    let address = if shown.status == 200 { action(&shown) } else { page.to_owned() };
    world.request(&browser.headers("POST", &address, &POST)).1
}

fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.clone()).unwrap()
}

/// What the page shows to be copied: `name:lt_…`.
fn made(world: &mut World) -> String {
    let browser = person(world, "/oauth2/token");
    let reply = post(world, &browser, "/oauth2/token").reply();
    assert_eq!(reply.status, 200, "{}", text(&reply));
    let page = text(&reply);
    let (_, rest) = page.split_once("PREFECT_API_AUTH_STRING=&#39;").expect("the setting");
    rest.split_once("&#39;").unwrap().0.to_owned()
}

fn asks(pair: &str) -> Headers {
    request("GET", "/api/flows/1", &[("authorization", &basic(pair))])
}

fn used(world: &mut World, pair: &str) -> Outcome {
    world.request(&asks(pair)).1
}

fn refused(world: &mut World, pair: &str) {
    let reply = used(world, pair).reply();
    assert_eq!((reply.status, code(&reply).as_str()), (401, "personal_token"));
}

#[test]
fn one_is_made_on_a_page_that_asks_and_proves_the_person() {
    let mut world = started(&settings());
    let mut browser = person(&mut world, "/oauth2/token");
    let asked = browser.load(&mut world, "/oauth2/token").reply();
    assert_eq!(asked.status, 200);
    assert!(action(&asked).starts_with("/oauth2/token?form_token="));
    assert!(text(&asked).contains("<dd>alice</dd>") && text(&asked).contains("<dd>operator</dd>"));
    assert!(!text(&asked).contains("lt_"));
    // Whoever has opened it by script gets no hold of it.
    assert_eq!(reply_header(&asked, "cross-origin-opener-policy"), Some("same-origin"));
    let pair = made(&mut world);
    assert!(pair.starts_with("alice:lt_"), "{pair}");
    let headers = used(&mut world, &pair).forwarded();
    assert_eq!(header(&headers, "authorization"), Some(basic(AUTH_STRING).as_str()));
    assert_eq!(header(&headers, "x-auth-request-user"), Some("user:alice-1"));
    assert_eq!(header(&headers, "x-auth-request-groups"), Some("operator"));
    let token = pair.split_once(':').unwrap().1;
    for shown in [("authorization", format!("Bearer {token}")), ("x-api-key", token.to_owned())] {
        let headers = request("GET", "/api/flows/1", &[(shown.0, &shown.1)]);
        world.request(&headers).1.forwarded();
    }
    world.work();
    let log = world.log.join("\n");
    assert!(log.contains("method=personal_token") && log.contains("principal=\"user:alice-1\""));
    assert!(!log.contains(token), "logged: {log}");
}

#[test]
fn it_needs_a_login_of_a_moment_ago() {
    let mut world = started(&settings());
    let mut browser = Browser::default();
    // A session of long ago at the provider.
    world.idp.claims["auth_time"] = json!(world.now.secs() - 1000);
    browser.log_in(&mut world, "/");
    let reply = browser.load(&mut world, "/oauth2/token").reply();
    let location = reply_header(&reply, "location").unwrap();
    let (_, query) = location.split_once('?').unwrap();
    assert_eq!(only(query, "max_age").unwrap().as_deref(), Some("300"));
    let reply = post(&mut world, &browser, "/oauth2/token").reply();
    let here = format!("{}/oauth2/token", crate::testing::PUBLIC);
    assert_eq!((reply.status, reply_header(&reply, "location")), (302, Some(here.as_str())));
    // A provider that takes no notice of max_age makes no circle.
    let callback = browser.start_login(&mut world, "/oauth2/token");
    let reply = browser.load(&mut world, &callback).reply();
    assert_eq!(reply.status, 502);
    assert!(world.log.join("").contains("auth_time"), "{:?}", world.log);
    // Nor one that does not say when.
    world.idp.exact_claim = Some(("auth_time", None));
    let callback = browser.start_login(&mut world, "/oauth2/token");
    assert_eq!(browser.load(&mut world, &callback).reply().status, 502);
    world.idp.exact_claim = None;
    world.idp.claims["auth_time"] = json!(world.now.secs());
    let callback = browser.start_login(&mut world, "/oauth2/token");
    assert_eq!(browser.load(&mut world, &callback).status(), 302);
    assert_eq!(browser.load(&mut world, "/oauth2/token").status(), 200);
}

/// A form somewhere among Prefect's own pages is of our origin, but nobody was asked.
#[test]
fn the_answer_must_be_to_the_page_that_asked_this_person() {
    let mut world = started(&settings());
    let mut browser = person(&mut world, "/oauth2/token");
    let mut other = person(&mut world, "/oauth2/token");
    let of_other = action(&other.load(&mut world, "/oauth2/token").reply());
    let page = page(Some("8123"));
    let of_terminal = action(&browser.load(&mut world, &page).reply());
    let (_, asked) = of_terminal.split_once("&form_token=").unwrap();
    let own = action(&browser.load(&mut world, "/oauth2/token").reply());
    for address in [
        "/oauth2/token".to_owned(),
        page.clone(),
        of_other,
        "/oauth2/token?form_token=x".to_owned(),
        format!("/oauth2/token?form_token={asked}"),
        format!("{}&{}", page, own.split_once('?').unwrap().1),
        format!("{own}&form_token=x"),
    ] {
        let reply = world.request(&browser.headers("POST", &address, &POST)).1.reply();
        assert_eq!(reply.status, 302, "{address}");
        let location = reply_header(&reply, "location").unwrap();
        assert!(
            location.starts_with(&format!("{}/oauth2/token", crate::testing::PUBLIC)),
            "{location}"
        );
    }
    let made = |world: &mut World| world.request(&browser.headers("POST", &own, &POST)).1.reply();
    assert_eq!(made(&mut world).status, 200);
    world.pass(299);
    assert_eq!(made(&mut world).status, 200);
    world.pass(1);
    assert_eq!(made(&mut world).status, 302, "long ago");
}

/// Images, frames, scripts and pages elsewhere make none.
#[test]
fn only_the_person_s_own_hand_makes_one() {
    let mut world = started(&settings());
    let browser = person(&mut world, "/oauth2/token");
    let elsewhere = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
        ("origin", "https://evil.example"),
    ];
    let sibling = [("origin", "https://other.example.com")];
    let null = [("origin", "null")];
    let image = [
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-mode", "no-cors"),
        ("sec-fetch-dest", "image"),
    ];
    for (method, extra) in [
        ("POST", elsewhere.as_slice()),
        ("POST", &sibling),
        ("POST", &null),
        ("GET", &image),
        ("GET", &SCRIPT),
    ] {
        let headers = browser.headers(method, "/oauth2/token", extra);
        let reply = world.request(&headers).1.reply();
        assert_eq!(reply.status, 403, "{method} {extra:?}");
        assert!(!text(&reply).contains("lt_"));
    }
    // A page load makes none, wherever it comes from; nor does a token make another.
    let headers = browser.headers("GET", "/oauth2/token", &NAVIGATION);
    assert!(!text(&world.request(&headers).1.reply()).contains("lt_"));
    let pair = made(&mut world);
    for method in ["GET", "POST"] {
        let mut lines = POST.to_vec();
        let line = basic(&pair);
        lines.push(("authorization", &line));
        let headers = request(method, "/oauth2/token", &lines);
        let reply = world.request(&headers).1.reply();
        assert!(!text(&reply).contains("lt_"), "{method}");
    }
}

#[test]
fn its_role_is_never_above_the_person_s_or_the_settings() {
    for (own, most, wanted) in [
        ("prefect-admin", "operator", Some("operator")),
        ("prefect-viewer", "operator", Some("viewer")),
        ("prefect-admin", "admin", Some("admin")),
        ("prefect-worker", "operator", None),
        ("nothing", "operator", None),
    ] {
        let mut settings = settings();
        settings["machines"]["personal_tokens"] = json!({ "role": most });
        let mut world = started(&settings);
        world.idp.claims = json!({ "realm_access": { "roles": [own] } });
        let Some(wanted) = wanted else {
            let browser = person(&mut world, "/oauth2/token");
            assert_eq!(post(&mut world, &browser, "/oauth2/token").status(), 403, "{own}");
            continue;
        };
        let pair = made(&mut world);
        let headers = used(&mut world, &pair).forwarded();
        assert_eq!(header(&headers, "x-auth-request-groups"), Some(wanted), "{own} {most}");
    }
    // A token from before the settings became stricter.
    let mut settings = settings();
    settings["machines"]["personal_tokens"] = json!({ "role": "admin" });
    let mut world = started(&settings);
    world.idp.claims = json!({ "realm_access": { "roles": ["prefect-admin"] } });
    let pair = made(&mut world);
    settings["machines"]["personal_tokens"] = json!({ "role": "viewer" });
    let mut stricter = started(&settings);
    let headers = used(&mut stricter, &pair).forwarded();
    assert_eq!(header(&headers, "x-auth-request-groups"), Some("viewer"));
}

#[test]
fn it_ends_in_time_and_by_every_word_of_the_operator() {
    let mut world = started(&settings());
    let pair = made(&mut world);
    world.pass(35_999);
    used(&mut world, &pair).forwarded();
    world.pass(1);
    refused(&mut world, &pair);
    let mut world = started(&settings());
    let pair = made(&mut world);
    world.work();
    let id = world.log.iter().find_map(|line| {
        let (_, rest) = line.split_once("personal_token: id=")?;
        Some(rest.split_once(' ')?.0.to_owned())
    });
    let id = id.expect("the log names it");
    for machines in [
        json!({ "personal_tokens": { "max": "1s" } }),
        json!({ "personal_tokens": { "revoked": [id] } }),
        json!({ "personal_tokens": false }),
    ] {
        let mut settings = settings();
        settings["machines"] = machines.clone();
        let mut later = started(&settings);
        later.pass(1);
        refused(&mut later, &pair);
    }
    let mut settings = settings();
    settings["session"] = json!({ "not_before": "2027-01-15T08:00:01Z" });
    refused(&mut started(&settings), &pair);
    settings["session"] = json!({ "not_before": "2027-01-15T08:00:00Z" });
    used(&mut started(&settings), &pair).forwarded();
    used(&mut world, &pair).forwarded();
}

#[test]
fn a_back_channel_logout_ends_it_at_every_worker() {
    for subject in [json!({ "sid": "sid-1" }), json!({ "sub": "alice-1" })] {
        let store: Rc<dyn SharedStore> = Rc::new(MemoryStore::default());
        let worker = || {
            let mut world = started(&settings());
            world.site = Site::new(compile(&settings()), host(Rc::clone(&store)));
            world.work();
            world
        };
        let (mut first, mut second) = (worker(), worker());
        let pair = made(&mut first);
        used(&mut second, &pair).forwarded();
        let mut claims = json!({
            "iss": crate::testing::ISSUER, "aud": "prefect", "iat": first.now.secs(),
            "exp": first.now.secs() + 120, "jti": subject.to_string(), "typ": "Logout",
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        });
        crate::testing::idp::merge(&mut claims, &subject);
        let token = first.idp.sign(&claims);
        let body = encode([("logout_token", token.as_str())]);
        let headers = request("POST", "/oauth2/backchannel_logout", &[FORM]);
        assert_eq!(first.post(&headers, body.as_bytes(), 100).status(), 200);
        refused(&mut first, &pair);
        refused(&mut second, &pair);
        // One that is made after it is another.
        first.pass(1);
        let pair = made(&mut first);
        used(&mut first, &pair).forwarded();
    }
}

#[test]
fn forged_altered_and_foreign_ones_are_refused_alike() {
    let mut world = started(&settings());
    let pair = made(&mut world);
    let token = pair.split_once(':').unwrap().1;
    for at in 3..token.len() {
        let mut bytes = token.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(bytes).unwrap();
        refused(&mut world, &format!("alice:{altered}"));
    }
    for bad in ["lt_", "lt_x", token.strip_suffix(|_: char| true).unwrap(), &format!("{token}A")] {
        refused(&mut world, &format!("alice:{bad}"));
    }
    // Sealed by the same key for something else.
    let browser = person(&mut world, "/");
    let session = browser.session().unwrap();
    refused(&mut world, &format!("alice:lt_{session}"));
    // Another gate's key, another public URL.
    let mut settings = settings();
    settings["public_url"] = json!("https://other.example.com");
    let mut other = started(&settings);
    let headers =
        request_to("other.example.com", "GET", "/api/flows/1", &[("authorization", &basic(&pair))]);
    assert_eq!(other.request(&headers).1.status(), 401);
    assert_eq!(COOKIE_KEY.len(), 43);
}

fn page(port: Option<&str>) -> String {
    let challenge = to_base64url(&sha256(VERIFIER.as_bytes()));
    match port {
        Some(port) => format!("/oauth2/token?challenge={challenge}&port={port}&state=s-1"),
        None => format!("/oauth2/token?challenge={challenge}"),
    }
}

/// Goes through the page; the code that arrives at the terminal.
fn terminal_code(world: &mut World) -> String {
    let page = page(Some("8123"));
    let mut browser = person(world, &page);
    let asked = browser.load(world, &page).reply();
    let policy = reply_header(&asked, "content-security-policy").unwrap();
    assert!(policy.contains(" http://127.0.0.1:8123;"), "{policy}");
    let reply = post(world, &browser, &page).reply();
    assert_eq!(reply.status, 302);
    let location = reply_header(&reply, "location").unwrap();
    let query = location.strip_prefix("http://127.0.0.1:8123/?").expect("a loopback address");
    assert_eq!(only(query, "state").unwrap().as_deref(), Some("s-1"));
    only(query, "code").unwrap().unwrap().into_owned()
}

fn trade(world: &mut World, code: &str, verifier: &str) -> Reply {
    let grant = ("grant_type", "authorization_code");
    let body = encode([grant, ("code", code), ("code_verifier", verifier)]);
    let headers = request_to("api.prefect.example.com", "POST", "/oauth2/token", &[FORM]);
    world.post(&headers, body.as_bytes(), 50).reply()
}

fn error(reply: &Reply) -> (u16, String) {
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    (reply.status, body["error"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_terminal_trades_a_code_for_a_token() {
    let mut world = started(&settings());
    let code = terminal_code(&mut world);
    assert!(!code.starts_with("lt_"));
    assert_eq!(used(&mut world, &format!("alice:lt_{code}")).status(), 401, "a code is no token");
    let reply = trade(&mut world, &code, VERIFIER);
    assert_eq!(reply.status, 200, "{}", text(&reply));
    let answer: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(answer["expires_in"], 36_000);
    let pair = answer["auth_string"].as_str().unwrap();
    assert_eq!(pair, format!("alice:{}", answer["access_token"].as_str().unwrap()));
    used(&mut world, pair).forwarded();
    assert_eq!(error(&trade(&mut world, &code, VERIFIER)), (400, "invalid_grant".into()), "twice");
    world.work();
    let log = world.log.join("\n");
    assert!(!log.contains(&code) && !log.contains("lt_"), "{log}");
}

/// Over SSH there is no loopback port: the person carries the code over.
#[test]
fn a_code_can_be_carried_over_by_hand() {
    let mut world = started(&settings());
    let page = page(None);
    let mut browser = person(&mut world, &page);
    let asked = text(&browser.load(&mut world, &page).reply());
    assert!(asked.contains("<dt>Verification code</dt>"));
    let shown = text(&post(&mut world, &browser, &page).reply());
    let (_, rest) = shown.split_once("spellcheck=\"false\">").unwrap();
    let code = rest.split_once('<').unwrap().0;
    assert_eq!(trade(&mut world, code, VERIFIER).status, 200);
}

#[test]
fn a_code_is_of_no_use_to_anybody_else() {
    let mut world = started(&settings());
    let code = terminal_code(&mut world);
    let wrong = trade(&mut world, &code, &"w".repeat(50));
    assert_eq!(error(&wrong), (400, "invalid_grant".into()));
    assert_eq!(error(&trade(&mut world, &code, VERIFIER)).1, "invalid_grant", "used up by that");
    let code = terminal_code(&mut world);
    world.pass(300);
    assert_eq!(error(&trade(&mut world, &code, VERIFIER)).1, "invalid_grant", "late");
    let pair = made(&mut world);
    let token = pair.split_once("lt_").unwrap().1;
    assert_eq!(error(&trade(&mut world, token, VERIFIER)).1, "invalid_grant", "a token is no code");
    for body in [
        "".to_owned(),
        "grant_type=client_credentials".to_owned(),
        format!("grant_type=authorization_code&code=x&code=x&code_verifier={VERIFIER}"),
        format!("grant_type=authorization_code&code_verifier={VERIFIER}"),
        "x".repeat(70_000),
    ] {
        let headers = request("POST", "/oauth2/token", &[FORM]);
        let reply = world.post(&headers, body.as_bytes(), 1000).reply();
        assert_eq!(error(&reply), (400, "invalid_request".into()), "{:.40}", body);
    }
    let code = terminal_code(&mut world);
    let json = json!({"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER});
    let headers = request("POST", "/oauth2/token", &[("content-type", "application/json")]);
    let reply = world.post(&headers, json.to_string().as_bytes(), 1000).reply();
    assert_eq!(error(&reply), (400, "invalid_request".into()));
}

#[test]
fn a_logout_between_page_and_trade_leaves_no_token() {
    let mut world = started(&settings());
    let code = terminal_code(&mut world);
    let claims = json!({
        "iss": crate::testing::ISSUER, "aud": "prefect", "iat": world.now.secs(), "sid": "sid-1",
        "exp": world.now.secs() + 120, "jti": "j1", "typ": "Logout",
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    });
    let token = world.idp.sign(&claims);
    let body = encode([("logout_token", token.as_str())]);
    let headers = request("POST", "/oauth2/backchannel_logout", &[FORM]);
    assert_eq!(world.post(&headers, body.as_bytes(), 100).status(), 200);
    assert_ne!(trade(&mut world, &code, VERIFIER).status, 200);
}

#[test]
fn without_buffered_routes_a_terminal_is_told_so() {
    let mut world = World::new();
    let headers = request("POST", "/oauth2/token", &[FORM]);
    let reply = world.request(&headers).1.reply();
    assert_eq!((reply.status, code(&reply).as_str()), (501, "not_enabled"));
    // The page needs no body.
    let pair = made(&mut world);
    used(&mut world, &pair).forwarded();
    let mut settings = configuration();
    settings["machines"]["personal_tokens"] = json!(false);
    let mut world = started(&settings);
    assert_eq!(world.request(&headers).1.status(), 404);
}

#[test]
fn malformed_wishes_of_terminals_are_refused_before_any_login() {
    let mut world = started(&settings());
    let mut browser = Browser::default();
    for query in
        ["x=1", "challenge=x", "challenge=&port=1", &format!("{}&port=80@evil", page(None))]
    {
        let path = match query.strip_prefix("/oauth2/token") {
            Some(_) => query.to_owned(),
            None => format!("/oauth2/token?{query}"),
        };
        let reply = browser.load(&mut world, &path).reply();
        assert_eq!(reply.status, 400, "{query}");
        assert!(reply_header(&reply, "location").is_none());
    }
}

#[test]
fn a_socket_ends_with_its_personal_token() {
    let mut world = started(&settings());
    let pair = made(&mut world);
    let mut gate = world.unproved_socket();
    let held = auth_frame(&pair);
    let step = gate.on_request_data(&held, false, &mut world.cx());
    assert!(matches!(step, DataStep::Replace(_)), "{step:?}");
    world.pass(35_999);
    assert_eq!(gate.on_request_data(&[], false, &mut world.cx()), DataStep::Pass);
    world.pass(1);
    assert_eq!(gate.on_request_data(&[], false, &mut world.cx()), DataStep::Reset);
}
