//! A program in a terminal: it gets a code by way of the browser, and trades it for a token.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::answer::reply::Reply;
use crate::testing::browser::Browser;
use crate::testing::logout::buffered;
use crate::testing::{FORM, World, code, configuration, reply_header, request, request_to};
use crate::tests::credentials::personal_tokens::{VERIFIER, made, page, person, post, text, used};
use crate::wire::http::query::{encode, only};
use serde_json::{Value, json};

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
    let mut world = World::with(&buffered());
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
    let mut world = World::with(&buffered());
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
    let mut world = World::with(&buffered());
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
    let mut world = World::with(&buffered());
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
    let mut world = World::with(&settings);
    assert_eq!(world.request(&headers).1.status(), 404);
}

#[test]
fn malformed_wishes_of_terminals_are_refused_before_any_login() {
    let mut world = World::with(&buffered());
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
