//! The invariants of docs/architecture.md, tried on generated requests.

use std::collections::BTreeSet;

use crate::Gate;
use crate::gate::decision::{DataStep, Decision, ResponseStep};
use crate::provider::callout::{Callout, CalloutReply};
use crate::session::cookie::{Found, Names, SessionCookie};
use crate::testing::browser::{Browser, SCRIPT};
use crate::testing::logout::buffered;
use crate::testing::machines::{HTPASSWD, htpasswd};
use crate::testing::{
    API_KEY, AUTH_STRING, CLIENT_SECRET, COOKIE_KEY, Headers, Outcome, World, auth_frame, basic,
    configuration, replaced, request,
};
use crate::tests::generated_requests::any_request;
use crate::wire::http::authorization::HEADERS;
use crate::wire::http::cookies::Cookies;
use crate::wire::http::edit::HeaderEdit;
use crate::wire::http::request::{RequestView, ResponseView};
use proptest::prelude::*;
use serde_json::json;

fn text<'a>(headers: &'a Headers, name: &str) -> &'a [u8] {
    headers.iter().find(|(n, _)| n == name).map_or(b"", |(_, value)| value)
}

/// The headers by which a verdict tells another proxy the identity.
const IDENTITY: [&str; 5] = [
    "x-auth-request-email",
    "x-auth-request-groups",
    "x-auth-request-preferred-username",
    "x-auth-request-user",
    "x-forwarded-user",
];

/// The headers that an answer of Lictor's own may carry.
const LISTED: [&str; 16] = [
    "allow",
    "cache-control",
    "content-security-policy",
    "content-type",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "location",
    "referrer-policy",
    "refresh",
    "retry-after",
    "set-cookie",
    "strict-transport-security",
    "vary",
    "www-authenticate",
    "x-content-type-options",
    "x-frame-options",
];

proptest! {
    // A hundred sites, each asked forty times.
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// I2, I5, I10: without a valid credential nothing but public paths and handshakes of known
    /// sockets is forwarded, and what is forwarded carries none of our secrets. Whatever events
    /// follow the head, no body of another request passes.
    #[test]
    fn no_credential_no_way_to_prefect(
        reads_bodies in any::<bool>(),
        requests in prop::collection::vec((any_request(), events()), 40),
    ) {
        let mut world = if reads_bodies { World::with(&buffered()) } else { World::new() };
        for (headers, events) in requests {
            let (mut gate, outcome) = world.request(&headers);
            match &outcome {
                Outcome::Forwarded(seen) => forwarded_without_a_credential(&headers, seen)?,
                Outcome::Reading(held) => {
                    prop_assert!(reads_bodies);
                    let path = text(&headers, ":path");
                    let reads = [&b"/oauth2/backchannel_logout"[..], b"/oauth2/token"];
                    prop_assert!(reads.contains(&path), "{:?}", String::from_utf8_lossy(path));
                    carries_nothing_of_ours(held)?;
                }
                Outcome::Reply(_) | Outcome::Waiting => {}
            }
            let is_forwarded = matches!(outcome, Outcome::Forwarded(_));
            for event in &events {
                let passes = passes_after(event, &mut gate, &headers, &mut world);
                prop_assert!(!passes || is_forwarded, "{event:?} passes after {outcome:?}");
            }
            gate.finish(&mut world.site);
        }
    }

    /// I6: an answer of Lictor's own carries no header but those that are listed.
    #[test]
    fn answers_carry_listed_headers_only(requests in prop::collection::vec(any_request(), 20)) {
        let (mut world, mut browser) = (World::new(), Browser::default());
        let callback = browser.start_login(&mut world, "/");
        let mut answered = vec![browser.load(&mut world, &callback)];
        answered.push(browser.load(&mut world, &callback));
        answered.push(browser.fetch(&mut world, "GET", "/oauth2/auth"));
        answered.push(browser.load(&mut world, "/oauth2/sign_out"));
        answered.push(browser.load(&mut world, "/oauth2/token"));
        for headers in requests {
            let (mut gate, outcome) = world.request(&headers);
            answered.push(outcome);
            gate.finish(&mut world.site);
        }
        answered.push(browser.fetch(&mut world, "DELETE", "/oauth2/live"));
        let mut seen = BTreeSet::new();
        for outcome in answered {
            let Outcome::Reply(reply) = outcome else { continue };
            for (name, _) in reply.headers() {
                let is_identity = reply.status == 202 && IDENTITY.contains(name);
                let is_listed = LISTED.contains(name) || is_identity;
                prop_assert!(is_listed, "{} in an answer {}", name, reply.status);
                seen.insert(*name);
            }
        }
        for name in IDENTITY.iter().chain(&["allow", "location", "set-cookie"]) {
            prop_assert!(seen.contains(name), "no answer with {}: {:?}", name, seen);
        }
    }

    /// I12: equal inputs, equal decisions.
    #[test]
    fn decisions_are_repeatable(requests in prop::collection::vec(any_request(), 40)) {
        let (mut one, mut other) = (World::new(), World::new());
        for headers in requests {
            let answer = |world: &mut World| {
                let (mut gate, outcome) = world.request(&headers);
                gate.finish(&mut world.site);
                outcome
            };
            prop_assert_eq!(answer(&mut one), answer(&mut other));
        }
    }

    /// I9: whatever is asked for, the login ends on our origin.
    #[test]
    fn a_login_ends_on_our_origin(wishes in prop::collection::vec("[/\\\\a-z.:@%?#]{0,12}", 40)) {
        let mut world = World::new();
        for wish in wishes {
            let wish = crate::wire::http::query::encode_value(&wish);
            let end = Browser::default().log_in(&mut world, &format!("/oauth2/start?rd={wish}"));
            let end = url::Url::parse(&end).unwrap();
            prop_assert_eq!(end.origin().ascii_serialization(), crate::testing::PUBLIC);
        }
    }
}

/// An event after the head: its name, its bytes, and whether a body ends with them.
type Later = (&'static str, Vec<u8>, bool);

fn events() -> impl Strategy<Value = Vec<Later>> {
    let name = prop::sample::select(vec![
        "head",
        "wake",
        "callout",
        "data",
        "data wake",
        "trailers",
        "response",
        "response data",
    ]);
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        Just(b"logout_token=a.b.c".to_vec()),
        Just(auth_frame("etl:lk_wrong")),
    ];
    prop::collection::vec((name, bytes, any::<bool>()), 0..6)
}

/// Delivers an event. Returns whether something of the client's goes to Prefect by it.
fn passes_after(
    (name, bytes, end): &Later,
    gate: &mut Gate,
    headers: &Headers,
    world: &mut World,
) -> bool {
    let request = RequestView { headers };
    let forwards = |decision: &Decision| {
        matches!(decision, Decision::Forward { .. } | Decision::ForwardWithBody { .. })
    };
    let passes = |step: &DataStep| matches!(step, DataStep::Pass | DataStep::Replace(_));
    let cx = &mut world.cx();
    match *name {
        "head" => forwards(&gate.on_request(request, *end, cx)),
        "wake" => forwards(&gate.on_wake(request, cx)),
        "callout" => {
            let reply = CalloutReply::Answer { status: 200, encoded: false, body: bytes };
            forwards(&gate.on_callout(reply, request, cx))
        }
        "data" => passes(&gate.on_request_data(bytes, *end, cx)),
        "data wake" => passes(&gate.on_data_wake(bytes, cx)),
        "trailers" => passes(&gate.on_request_trailers(cx)),
        "response" => {
            let headers = [(":status".to_owned(), b"200".to_vec())];
            let _ = gate.on_response(ResponseView { headers: &headers }, cx);
            false
        }
        _ => {
            let _ = gate.on_response_data(bytes, *end, cx);
            false
        }
    }
}

/// What may reach Prefect of somebody who has shown nothing that counts.
fn forwarded_without_a_credential(headers: &Headers, seen: &Headers) -> Result<(), TestCaseError> {
    let path = text(headers, ":path");
    let public = text(headers, ":method") == b"GET"
        && matches!(path, b"/api/health" | b"/api/ready" | b"/api/health?x");
    let socket = path == b"/api/events/in" && !text(headers, "upgrade").is_empty();
    prop_assert!(public || socket, "{:?}", String::from_utf8_lossy(path));
    carries_nothing_of_ours(seen)
}

/// I5: no credential, no identity and no cookie of Lictor's is among these headers.
fn carries_nothing_of_ours(headers: &Headers) -> Result<(), TestCaseError> {
    for (name, value) in headers {
        prop_assert!(!HEADERS.contains(&name.as_str()) && !name.starts_with("x-auth"), "{name}");
        prop_assert!(name != "x-forwarded-user" && name != "x_auth_request_user");
        if name == "cookie" {
            let mut cookies = value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii_start);
            let is_ours = |cookie: &[u8]| {
                Names::is_ours(cookie.split(|byte| *byte == b'=').next().unwrap_or_default())
            };
            prop_assert!(!cookies.any(is_ours), "{}", String::from_utf8_lossy(value));
        }
    }
    Ok(())
}

/// I3: any changed bit of a sealed cookie is no session.
#[test]
fn every_single_bit_change_of_a_cookie_is_no_session() {
    let mut world = World::new();
    let browser = world.log_in();
    let value = browser.session().unwrap().clone().into_bytes();
    let config = crate::testing::compile(&crate::testing::configuration());
    let cookie = SessionCookie::new(&config);
    for bit in 0..value.len() * 8 {
        let mut changed = value.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let headers =
            vec![("cookie".to_owned(), [b"__Host-lictor=".as_slice(), &changed].concat())];
        let cookies = Cookies::parse(RequestView { headers: &headers }).unwrap();
        assert!(!matches!(cookie.find(&config, &cookies), Found::Session { .. }), "bit {bit}");
    }
}

/// A login cookie is no session, under no name.
#[test]
fn a_cookie_sealed_for_one_purpose_opens_for_no_other() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    browser.start_login(&mut world, "/");
    let (_, value) = browser.cookies.pop_first().unwrap();
    browser.cookies.insert("__Host-lictor".to_owned(), value);
    assert_eq!(browser.fetch(&mut world, "GET", "/api/flows/1").status(), 401);
}

/// I6, I7: planted secrets show up in no log line, answer or header.
#[test]
fn no_secret_is_ever_shown() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let mut shown = Vec::new();
    let mut look = |outcome: Outcome| {
        if let Outcome::Reply(reply) = outcome {
            let cookies = |name: &str| name == "set-cookie" || name == "location";
            shown.extend(
                reply.headers().iter().filter(|(n, _)| !cookies(n)).map(|(_, v)| v.clone()),
            );
            shown.push(String::from_utf8_lossy(&reply.body).into_owned());
        }
    };
    let callback = browser.start_login(&mut world, "/");
    look(browser.clone().load(&mut world, &format!("{callback}&code=twice")));
    look(browser.load(&mut world, &callback));
    let token = world.idp.sign(&serde_json::json!({"iss": "x", "sub": "planted-claim"}));
    let key = API_KEY.replace("worker", "wrong");
    for value in [
        format!("Bearer {token}"),
        format!("Bearer {key}"),
        basic(&format!("etl:{key}")),
        basic(AUTH_STRING),
        basic("someone:planted-password"),
        format!("Digest {key}"),
        "Bearer planted password".to_owned(),
    ] {
        look(world.request(&request("GET", "/api/flows/1", &[("authorization", &value)])).1);
    }
    look(world.request(&request("POST", "/api/admin/database/clear", &[("x-api-key", API_KEY)])).1);
    world.pass(300);
    world.idp.mood = crate::testing::idp::Mood::RefreshRefused;
    look(browser.fetch(&mut world, "POST", "/api/flows/filter"));
    look(world.request(&browser.headers("POST", "/oauth2/sign_out", &SCRIPT)).1);
    let (mut gate, _) = world.request(&request("GET", "/api/flows/1", &[("x-api-key", API_KEY)]));
    let answer = [(":status".to_owned(), b"401".to_vec())];
    let step = gate.on_response(ResponseView { headers: &answer }, &mut world.cx());
    look(Outcome::Reply(replaced(step)));
    let log = world.log.join("\n");
    assert!(
        log.contains("unknown_api_key") && log.contains("role_missing"),
        "there was something to see:\n{log}"
    );
    for text in shown.iter().chain([&log]) {
        for secret in ["planted", API_KEY, AUTH_STRING, CLIENT_SECRET, COOKIE_KEY, &token, "eyJ"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

/// I7: what the shell holds may be printed by mistake, in a panic or a log line.
#[test]
fn what_crosses_to_the_shell_prints_no_secret() {
    const SECRET: &str = "planted";
    let lines = || vec![("authorization", SECRET.as_bytes().to_vec())];
    let headers = [("cookie".to_owned(), SECRET.as_bytes().to_vec())];
    let edit = || HeaderEdit { remove: vec!["x-api-key".into()], set: lines(), add: lines() };
    let mut reply = World::new().request(&request("GET", "/api/flows/1", &[])).1.reply();
    reply.body = SECRET.as_bytes().to_vec();
    let replace = DataStep::Replace(SECRET.as_bytes().to_vec());
    let callout = Callout {
        cluster: "idp".to_owned(),
        headers: vec![(":path", "/token".to_owned()), ("authorization", SECRET.to_owned())],
        body: SECRET.as_bytes().to_vec(),
        timeout: core::time::Duration::from_secs(5),
    };
    let answer = CalloutReply::Answer { status: 200, encoded: false, body: SECRET.as_bytes() };
    let table: [(&dyn core::fmt::Debug, &str); 11] = [
        (&edit(), "authorization"),
        (&ResponseStep::Edit(edit()), "authorization"),
        (&ResponseStep::Replace(reply.clone()), "401"),
        (&Decision::ReadBody(edit()), "x-api-key"),
        (&Decision::Reply(reply.clone()), "401"),
        (&DataStep::Answer(reply), "401"),
        (&replace, "7"),
        (&Decision::Await(callout), "/token"),
        (&answer, "200"),
        (&RequestView { headers: &headers }, "cookie"),
        (&ResponseView { headers: &headers }, "cookie"),
    ];
    for (value, wanted) in table {
        let shown = format!("{value:?}");
        assert!(shown.contains(wanted), "{wanted}: {shown}");
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(!shown.contains(&format!("{:?}", SECRET.as_bytes())), "{shown}");
    }
}

/// I7: a refused machine's credential is not shown, wherever it stands and whatever is set.
#[test]
fn no_machine_credential_is_ever_shown() {
    let key = API_KEY.replace("worker", "planted");
    let values = [
        format!("etl:{key}"),
        format!("etl:{}", API_KEY.replace("lk_", "planted_")),
        "etl-worker:planted-password".to_owned(),
        "admin:planted-password".to_owned(),
        AUTH_STRING.to_owned(),
        format!("{key}:planted-password"),
        "Bearer planted:planted-password".to_owned(),
        "reports:planted-password".to_owned(),
        HTPASSWD.0.to_owned(),
    ];
    let set = [
        json!({}),
        json!({ "client_credentials": { "clients": ["etl-*"] } }),
        json!({ "client_credentials": false, "accept_auth_string": true }),
        json!({ "api_keys": [] }),
        json!({ "htpasswd": htpasswd() }),
        json!({ "htpasswd": htpasswd(), "client_credentials": false }),
    ];
    for machines in set {
        let mut settings = configuration();
        for (name, value) in machines.as_object().unwrap() {
            settings["machines"][name] = value.clone();
        }
        for value in &values {
            let mut world = World::with(&settings);
            let mut shown = Vec::new();
            let places = [
                ("authorization", basic(value)),
                ("authorization", format!("Bearer {value}")),
                ("x-api-key", value.clone()),
            ];
            for (name, line) in &places {
                let outcome =
                    world.request(&request("POST", "/api/flows/filter", &[(name, line)])).1;
                if let Outcome::Reply(reply) = outcome {
                    let lines = reply.headers().iter().map(|(_, line)| line.clone());
                    shown.extend(lines.chain([String::from_utf8_lossy(&reply.body).into_owned()]));
                }
            }
            let mut gate = world.unproved_socket();
            let held = auth_frame(value);
            let mut step = gate.on_request_data(&held, false, &mut world.cx());
            if gate.waits_with_data().is_some() {
                world.work();
                step = gate.on_data_wake(&held, &mut world.cx());
            }
            let DataStep::Replace(sent) = step else { panic!("{step:?}") };
            // Prefect's own string goes to Prefect, from whoever may use it.
            if value != AUTH_STRING {
                shown.push(String::from_utf8_lossy(&sent).into_owned());
            }
            let log = world.log.join("\n");
            assert!(!log.is_empty() && !shown.is_empty(), "nothing was refused");
            for text in shown.iter().chain([&log]) {
                for secret in ["planted", AUTH_STRING] {
                    assert!(!text.contains(secret), "{secret} in {text}");
                }
            }
        }
    }
}
