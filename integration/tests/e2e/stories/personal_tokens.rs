//! Personal tokens, at the real Keycloak: by page, by a terminal on this computer, and by hand.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::people::assert_refusal;
use super::sockets::assert_authenticated;
use super::{Story, story};
use crate::canary;
use crate::client::Request;
use crate::cookie_client::CookieClient;
use crate::gateway::{Gateway, Plan};
use crate::http1::Answer;
use crate::keycloak_admin::basic;
use crate::keycloak_login::{
    authenticate, callback_request, is_form, log_in, logged_in, open, parameter,
};
use crate::sockets::{End, Socket, auth, upgrade};
use crate::world::{eventually, prefect_sees_nothing, world};

const ABOUT: &str = "personal tokens";
const SOON: Duration = Duration::from_secs(5);

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "one is made on a page, shown once, and works on HTTP and sockets", by_page),
        story(
            ABOUT,
            "it needs a login of a moment ago, for which Keycloak asks again",
            fresh_login,
        ),
        story(ABOUT, "a terminal gets one at a loopback port", by_port),
        story(ABOUT, "a terminal elsewhere gets one by a code that is carried over", by_hand),
        story(ABOUT, "logging out ends it, and its sockets", logout),
        story(ABOUT, "a picture of another site, a form or a token makes none", nobody_else),
    ]
}

fn page(visitor: &mut CookieClient, path: &str) -> Answer {
    visitor.navigate(path).expect(200)
}

/// The person presses the button.
fn press(visitor: &mut CookieClient, path: &str) -> Answer {
    let html = page(visitor, path).text();
    let (_, rest) = html.split_once("<form method=\"post\" action=\"").expect("a form");
    let path = rest.split_once('"').unwrap().0.replace("&amp;", "&");
    let origin = visitor.gate.origin();
    let request = Request::new("POST", path)
        .header("origin", origin)
        .header("sec-fetch-site", "same-origin")
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "document")
        .form("");
    visitor.send(request)
}

/// What stands to be copied.
fn copied(answer: &Answer) -> String {
    let html = answer.text();
    let (_, rest) = html.split_once("spellcheck=\"false\">").unwrap_or_else(|| panic!("{html}"));
    let text = rest.split_once('<').unwrap().0.replace("&#39;", "'");
    for secret in text.split(['\'', ':']) {
        canary::plant(secret);
    }
    text
}

fn made(visitor: &mut CookieClient) -> String {
    let text = copied(&press(visitor, "/oauth2/token").expect(200));
    let pair = text.strip_prefix("export PREFECT_API_AUTH_STRING='").expect("the setting");
    pair.strip_suffix('\'').unwrap().to_owned()
}

/// A personal token of an administrator, at a further gate.
pub fn personal_token(gateway: &Gateway) -> String {
    let mut alice = CookieClient::new(&gateway.gate);
    log_in(&mut alice, "/", "alice");
    made(&mut alice)
}

fn version(pair: &str) -> Request {
    Request::get("/api/admin/version").header("authorization", basic(pair))
}

fn by_page() {
    let mut bob = logged_in("bob");
    let asked = page(&mut bob, "/oauth2/token");
    assert!(!asked.text().contains("lt_") && asked.header("cache-control") == Some("no-store"));
    let pair = made(&mut bob);
    assert!(pair.starts_with("bob:lt_"), "{pair}");
    for host in [world().gate.public_host(), world().gate.machine_host()] {
        world().gate.send(&version(&pair).host(host)).expect(200);
    }
    let mut socket = Socket::opened(&world().gate, &upgrade("/api/events/out"));
    socket.send_text(&auth(pair.as_str()));
    assert_authenticated(&mut socket, "by personal token");
    // What the role may not.
    let clear = Request::post("/api/admin/database/clear", "{\"confirm\":true}")
        .header("authorization", basic(&pair));
    let answer = prefect_sees_nothing(world().admin, || world().gate.send(&clear));
    assert_refusal(&answer.expect(403), "role_missing");
    let mut altered = pair.clone();
    let last = if altered.pop() == Some('A') { 'B' } else { 'A' };
    altered.push(last);
    let answer = prefect_sees_nothing(world().admin, || world().gate.send(&version(&altered)));
    assert_refusal(&answer.expect(401), "personal_token");
}

fn fresh_login() {
    let mut alice = logged_in("alice");
    // A session of ours that says it is older: the person of a long day.
    let gateway = Plan::new("fresh").patch(json!({"session": {"recheck": "1h"}})).start();
    crate::keycloak_admin::allow_callback(&gateway.gate.origin());
    let mut early = CookieClient { gate: gateway.gate.clone(), ..alice.clone() };
    let asked = early.navigate("/oauth2/token").expect(302).location().to_owned();
    assert_eq!(parameter(&asked, "max_age").as_deref(), Some("300"));
    assert!(!is_form(&open(&mut early.clone(), &asked)), "Keycloak knows her, from a moment ago");
    // Without any memory of her it asks.
    let mut unknown = CookieClient::new(&world().gate);
    let asked = unknown.navigate("/oauth2/token").expect(302).location().to_owned();
    assert!(is_form(&open(&mut unknown.clone(), &asked)));
    let callback = authenticate(&mut unknown, &asked, "alice");
    let back = unknown.send(callback_request(&callback)).expect(302);
    assert_eq!(back.location(), format!("{}/oauth2/token", world().gate.origin()));
    page(&mut unknown, "/oauth2/token");
    page(&mut alice, "/oauth2/token");
}

/// What a terminal would do.
struct Terminal {
    verifier: String,
    state: String,
}

impl Terminal {
    fn new(name: &str) -> Self {
        let verifier = URL_SAFE_NO_PAD.encode(Sha256::digest(name));
        canary::plant(&verifier);
        Self { verifier, state: format!("state-of-{name}") }
    }

    fn page(&self, port: Option<u16>) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&self.verifier));
        let port = port.map(|port| format!("&port={port}&state={}", self.state));
        format!("/oauth2/token?challenge={challenge}{}", port.unwrap_or_default())
    }

    fn trade(&self, code: &str) -> Answer {
        let verifier = &self.verifier;
        let form = format!("grant_type=authorization_code&code={code}&code_verifier={verifier}");
        let request = Request::new("POST", "/oauth2/token").form(&form);
        world().gate.send(&request.host(world().gate.machine_host()))
    }
}

fn assert_works(traded: &Answer) -> Value {
    let told = traded.json();
    let pair = told["auth_string"].as_str().unwrap();
    canary::plant(told["access_token"].as_str().unwrap());
    world().gate.send(&version(pair)).expect(200);
    assert_eq!(told["role"], "operator");
    told
}

fn by_port() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let terminal = Terminal::new("by-port");
    let mut alice = logged_in("alice");
    let path = terminal.page(Some(port));
    let asked = page(&mut alice, &path);
    let policy = asked.header("content-security-policy").unwrap();
    assert!(policy.contains(&format!("http://127.0.0.1:{port}")), "{policy}");
    let location = press(&mut alice, &path).expect(302).location().to_owned();
    // The browser follows.
    let follows = std::thread::spawn({
        let path = crate::keycloak_login::path_of(&location);
        move || crate::client::plain(port, &Request::get(path)).unwrap().expect(200)
    });
    let (mut stream, _) = listener.accept().unwrap();
    let mut head = [0; 8192];
    let read = stream.read(&mut head).unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
    follows.join().unwrap();
    let head = String::from_utf8_lossy(&head[..read]).into_owned();
    let target = head.split(' ').nth(1).unwrap();
    let url = format!("http://127.0.0.1:{port}{target}");
    assert_eq!(parameter(&url, "state").unwrap(), terminal.state);
    let code = parameter(&url, "code").unwrap();
    canary::plant(&code);
    let thief = Terminal::new("thief").trade(&"A".repeat(300));
    assert_eq!(thief.expect(400).json()["error"], "invalid_grant");
    let traded = prefect_sees_nothing(world().admin, || terminal.trade(&code)).expect(200);
    assert_works(&traded);
    assert_eq!(terminal.trade(&code).expect(400).json()["error"], "invalid_grant");
}

fn by_hand() {
    let terminal = Terminal::new("by-hand");
    let mut alice = logged_in("alice");
    let path = terminal.page(None);
    assert!(page(&mut alice, &path).text().contains("<dt>Verification code</dt>"));
    let code = copied(&press(&mut alice, &path).expect(200));
    let stolen = Terminal::new("another").trade(&code);
    assert_eq!(stolen.expect(400).json()["error"], "invalid_grant");
    assert_eq!(terminal.trade(&code).expect(400).json()["error"], "invalid_grant", "used up");
    let code = copied(&press(&mut alice, &path).expect(200));
    assert_works(&terminal.trade(&code).expect(200));
}

fn logout() {
    let mut alice = logged_in("alice");
    page(&mut alice, "/oauth2/token");
    let pair = made(&mut alice);
    let mut socket = Socket::opened(&world().gate, &upgrade("/api/events/out"));
    socket.send_text(&auth(pair.as_str()));
    assert_authenticated(&mut socket, "before the logout");
    let origin = alice.gate.origin();
    let sign_out = Request::new("POST", "/oauth2/sign_out")
        .header("origin", origin)
        .header("sec-fetch-site", "same-origin")
        .form("");
    alice.send(sign_out).expect(200);
    // Keycloak tells of it by its back channel.
    let answer = eventually("the token is refused", SOON, || {
        let answer = world().gate.send(&version(&pair));
        (answer.status != 200).then_some(answer)
    });
    assert_refusal(&answer.expect(401), "personal_token");
    assert_eq!(socket.end(SOON), End::Lost);
}

fn nobody_else() {
    let alice = logged_in("alice");
    let cookie = alice.jar.header().unwrap();
    let post = Request::new("POST", "/oauth2/token").form("").header("cookie", &cookie);
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let answer = world().gate.send(&post.clone().header(name, value));
        assert_eq!(answer.status, 403, "{name}: {value}");
        assert!(!answer.text().contains("lt_"));
    }
    let image = Request::get("/oauth2/token")
        .header("cookie", &cookie)
        .header("sec-fetch-site", "same-origin")
        .header("sec-fetch-mode", "no-cors")
        .header("sec-fetch-dest", "image");
    world().gate.send(&image).expect(403);
    let by_key = Request::get("/oauth2/token")
        .navigation()
        .header("authorization", basic(&world().stack.machine.auth_string));
    assert!(!world().gate.send(&by_key).text().contains("lt_"));
}
