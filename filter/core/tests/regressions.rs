//! Defects that were found by attack, each with the test that would have found it.

use crate::Gate;
use crate::gate::decision::DataStep;
use crate::testing::browser::{Browser, NAVIGATION, SCRIPT};
use crate::testing::idp::Mood;
use crate::testing::{API_KEY, Outcome, World, basic, code, edited, reply_header, request};
use crate::wire::http::request::ResponseView;
use crate::wire::websocket;
use serde_json::json;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn answer(world: &mut World, gate: &mut Gate, status: &str) -> Vec<String> {
    let answer = [(":status".to_owned(), status.as_bytes().to_vec())];
    let edit = edited(gate.on_response(ResponseView { headers: &answer }, &mut world.cx()));
    let cookies = edit.add.into_iter().filter(|(name, _)| *name == "set-cookie");
    cookies.map(|(_, value)| String::from_utf8(value).unwrap()).collect()
}

/// Each planted login cookie used to be opened as often as its name stood there.
#[test]
fn planted_login_cookies_are_looked_at_in_bounds() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    browser.start_login(&mut world, "/");
    let (name, value) = browser.cookies.pop_first().unwrap();
    let same = format!("{name}={}; ", &value[..64]).repeat(300);
    let others: String = (0..300).map(|n| format!("__Host-lictor-login-{n}=x; ")).collect();
    for cookies in [same, others] {
        let mut lines = NAVIGATION.to_vec();
        lines.push(("cookie", &cookies));
        let reply = world.request(&request("GET", "/", &lines)).1.reply();
        let answers = reply.headers.iter().filter(|(name, _)| *name == "set-cookie").count();
        assert!((2..=11).contains(&answers), "{answers} cookies set");
    }
}

/// Without metadata a refresh can't be sent; the request used to wait for ever.
#[test]
fn a_due_session_gets_an_answer_while_the_provider_has_never_been_seen() {
    let (mut first, mut browser) = (World::new(), Browser::default());
    browser.log_in(&mut first, "/");
    let mut world = World::starting(&crate::testing::configuration());
    world.idp.mood = Mood::Away;
    world.work();
    world.pass(600);
    world.work();
    browser.fetch(&mut world, "GET", "/api/flows/1").forwarded();
    assert!(world.site.next_poll(world.now).as_millis() > 1, "nothing to hurry for");
}

/// A slow answer of Prefect's used to set the session's cookie again after the sign-out.
#[test]
fn a_sign_out_holds_against_answers_that_come_later() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    browser.log_in(&mut world, "/");
    world.pass(299);
    let (mut slow, outcome) = world.request(&browser.headers("GET", "/api/flows/1", &SCRIPT));
    outcome.forwarded();
    world.pass(1);
    let (mut due, outcome) = world.request(&browser.headers("GET", "/api/flows/1", &SCRIPT));
    outcome.forwarded();
    let stolen = browser.clone();
    assert_eq!(browser.fetch(&mut world, "POST", "/oauth2/sign_out").status(), 200);
    assert!(answer(&mut world, &mut slow, "200").is_empty());
    assert!(answer(&mut world, &mut due, "200").is_empty());
    // Neither the old cookie nor the kept result of its refresh counts.
    assert_eq!(stolen.clone().fetch(&mut world, "GET", "/api/flows/1").status(), 401);
}

/// A refresh that is signed with a new key used to lose the refresh token that came with it.
#[test]
fn a_refresh_with_an_unknown_key_keeps_the_rotated_token() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    world.pass(200);
    browser.log_in(&mut world, "/");
    world.pass(150);
    world.work();
    world.pass(150);
    world.idp.rotate("k2");
    browser.fetch(&mut world, "GET", "/api/flows/1").forwarded();
    world.work();
    world.pass(6);
    let (mut gate, outcome) = world.request(&browser.headers("GET", "/api/flows/1", &SCRIPT));
    outcome.forwarded();
    assert_eq!(answer(&mut world, &mut gate, "200").len(), 1, "confirmed by the second refresh");
    assert_eq!(world.idp.redeemed, ["planted-refresh-token-1", "planted-refresh-token-2"]);
}

fn judged(world: &mut World, path: &str, subprotocol: bool) -> Gate {
    let key = basic(&format!("etl:{API_KEY}"));
    let mut lines =
        vec![("upgrade", "websocket"), ("connection", "Upgrade"), ("authorization", key.as_str())];
    if subprotocol {
        lines.push(("sec-websocket-protocol", "prefect"));
    }
    let (mut gate, outcome) = world.request(&request("GET", path, &lines));
    outcome.forwarded();
    answer(world, &mut gate, "101");
    gate
}

/// An auth frame that could not be read used to pass on the events socket, credential and all.
#[test]
fn only_clients_without_subprotocol_may_skip_the_auth_frame() {
    let message = br#"{"type":"auth","token":"etl:lk_x"}"#;
    let whole = websocket::write(websocket::TEXT, message, [1; 4]);
    let fragment = [&[whole[0] & 0x7f], &whole[1..]].concat();
    let binary = websocket::write(2, message, [1; 4]);
    let twice = websocket::write(
        websocket::TEXT,
        br#"{"type":"auth","token":"a:b","token":"c:d"}"#,
        [1; 4],
    );
    let long = websocket::write(websocket::TEXT, &[b'x'; 30_000], [1; 4]);
    for bytes in [fragment, binary, twice, long] {
        let mut world = World::new();
        let mut gate = judged(&mut world, "/api/events/in", true);
        assert_eq!(gate.on_request_data(&bytes, false, &mut world.cx()), DataStep::Reset);
        let mut old_client = judged(&mut world, "/api/events/in", false);
        assert_eq!(old_client.on_request_data(&bytes, false, &mut world.cx()), DataStep::Pass);
    }
    let mut world = World::new();
    let token = "t".repeat(8000);
    let honest = websocket::write(
        websocket::TEXT,
        json!({"type": "auth", "token": format!("x:{token}")}).to_string().as_bytes(),
        [1; 4],
    );
    let mut gate = judged(&mut world, "/api/events/in", true);
    let DataStep::Replace(sent) = gate.on_request_data(&honest, false, &mut world.cx()) else {
        panic!("not rewritten")
    };
    assert!(sent.len() < 200, "a large token is replaced as well");
}

/// Pings of a socket that is proved used to be counted, until it was reset.
#[test]
fn a_proved_socket_may_ping_as_long_as_it_likes() {
    let mut world = World::new();
    let mut gate = judged(&mut world, "/api/events/in", false);
    for _ in 0..1000 {
        assert_eq!(
            gate.on_request_data(
                &websocket::write(9, b"keepalive!", [1; 4]),
                false,
                &mut world.cx()
            ),
            DataStep::Pass
        );
    }
}

/// Requests used to wait for a silent provider in batches, one after the other.
#[test]
fn an_outage_answers_all_that_wait_for_a_recheck() {
    let mut world = World::new();
    let sessions: Vec<Browser> = (0..130)
        .map(|_| {
            let mut browser = Browser::default();
            browser.log_in(&mut world, "/");
            browser
        })
        .collect();
    world.pass(300);
    world.work();
    let mut waiting = Vec::new();
    for browser in &sessions {
        let headers = browser.headers("GET", "/api/flows/1", &SCRIPT);
        let (gate, outcome) = world.begin(&headers);
        assert!(matches!(outcome, Outcome::Waiting));
        waiting.push((gate, headers));
    }
    let mut calls = Vec::new();
    while let Some((call, _)) = world.poll() {
        calls.push(call);
    }
    assert!(calls.len() >= 64);
    world.site.on_callout(calls[0], crate::testing::reply_of(Some(&(504, Vec::new()))), world.now);
    let mut woken = world.site.take_woken(world.now);
    assert!(
        woken.len() > 60,
        "those that were queued, and the one whose call failed: {}",
        woken.len()
    );
    for call in &calls[1..] {
        world.site.on_callout(*call, crate::testing::reply_of(Some(&(504, Vec::new()))), world.now);
        woken.extend(world.site.take_woken(world.now));
    }
    assert_eq!(woken.len(), 130);
    for (_, outcome) in world.finish_waiting(waiting) {
        outcome.forwarded();
    }
    assert!(world.poll().is_none(), "nobody asks again at once");
}

/// A link elsewhere to a login used to clear a session that counts.
#[test]
fn a_link_to_a_login_signs_nobody_out() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    browser.log_in(&mut world, "/");
    let link = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    let reply = world.request(&browser.headers("GET", "/oauth2/start", &link)).1.reply();
    browser.keep(&reply);
    browser.fetch(&mut world, "GET", "/api/flows/1").forwarded();
}

/// The end of an old cookie's refresh used to end the newest cookie of the session, too.
#[test]
fn a_stale_cookie_that_is_refused_does_not_end_the_session() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    browser.log_in(&mut world, "/");
    let old = browser.clone();
    let mut other_worker = World::new();
    other_worker.pass(300);
    let headers = browser.headers("GET", "/api/flows/1", &SCRIPT);
    let (mut gate, outcome) = other_worker.request(&headers);
    outcome.forwarded();
    for cookie in answer(&mut other_worker, &mut gate, "200") {
        browser.keep_line(&cookie);
    }
    world.pass(300);
    world.idp.mood = Mood::RefreshRefused;
    assert_eq!(old.clone().fetch(&mut world, "GET", "/api/flows/1").status(), 401);
    world.idp.mood = Mood::Well;
    world.pass(1);
    browser.fetch(&mut world, "GET", "/api/flows/1").forwarded();
}

/// Only a whole Basic credential is a password that Prefect's UI left behind.
#[test]
fn other_malformed_credentials_never_fall_back_to_the_cookie() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    browser.log_in(&mut world, "/");
    for (line, wanted) in [
        (("authorization", "Basic YWRtaW46cGFzcw=="), 200),
        (("authorization", "Basic !"), 200),
        (("authorization", "Bearer a b"), 401),
        (("authorization", "Bearer "), 401),
        (("authorization", "Digest x"), 401),
        (("x-api-key", " "), 401),
    ] {
        let lines = [SCRIPT.as_slice(), &[line]].concat();
        let outcome = world.request(&browser.headers("GET", "/api/flows/1", &lines)).1;
        assert_eq!(outcome.status(), wanted, "{line:?}");
    }
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

/// Announced bytes would have stood before the first frame.
#[test]
fn a_handshake_with_a_body_is_refused() {
    let mut world = World::new();
    for (line, status) in [
        (("content-length", "5"), 400),
        (("content-length", ""), 400),
        (("transfer-encoding", "chunked"), 400),
        (("content-length", "0"), 200),
    ] {
        let key = crate::testing::basic(&format!("etl:{}", crate::testing::API_KEY));
        let lines = [
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("authorization", key.as_str()),
            line,
        ];
        let headers = crate::testing::request("GET", "/api/events/in", &lines);
        assert_eq!(world.request(&headers).1.status(), status, "{line:?}");
    }
}
