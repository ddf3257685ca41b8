//! Short stories in virtual time.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::gate::decision::DataStep;
use crate::testing::browser::{Browser, NAVIGATION, SCRIPT};
use crate::testing::idp::{Mood, merge};
use crate::testing::{
    API_KEY, AUTH_STRING, Outcome, PUBLIC, World, basic, code, edited, header, replaced,
    reply_header, request, request_to,
};
use crate::wire::http::request::{RequestView, ResponseView};
use crate::wire::websocket;
use serde_json::json;

#[test]
fn a_login_ends_on_the_deep_link() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let end = browser.log_in(&mut world, "/runs/flow-run/1?tab=logs&x=%20");
    assert_eq!(end, format!("{PUBLIC}/runs/flow-run/1?tab=logs&x=%20"));
    assert_eq!(browser.cookies.len(), 1, "the attempt's cookie is gone");
    assert!(browser.session().unwrap().len() < 1536);
    let seen = browser.fetch(&mut world, "POST", "/api/flows/filter").forwarded();
    assert_eq!(header(&seen, "authorization"), Some(basic(AUTH_STRING).as_str()));
    assert_eq!(header(&seen, "x-auth-request-user"), Some("user:alice-1"));
    assert_eq!(header(&seen, "cookie"), None);
    let page = browser.load(&mut world, "/dashboard").forwarded();
    assert_eq!(header(&page, "authorization"), None, "Prefect's credential goes to its API only");
}

#[test]
fn two_tabs_log_in_at_once() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let first = browser.start_login(&mut world, "/a");
    let nonce = world.idp.nonce.clone();
    let second = browser.start_login(&mut world, "/b");
    let reply = browser.load(&mut world, &second).reply();
    assert_eq!(reply_header(&reply, "location"), Some(format!("{PUBLIC}/b").as_str()));
    world.idp.nonce = nonce;
    let reply = browser.load(&mut world, &first).reply();
    assert_eq!(reply_header(&reply, "location"), Some(format!("{PUBLIC}/a").as_str()));
}

#[test]
fn a_browser_keeps_at_most_five_attempts() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    for _ in 0..9 {
        browser.start_login(&mut world, "/");
        world.pass(1);
    }
    assert_eq!(browser.cookies.len(), 5);
}

#[test]
fn only_page_loads_begin_a_login() {
    let mut world = World::new();
    for headers in [
        request("GET", "/", &SCRIPT),
        request("POST", "/", &NAVIGATION),
        request("GET", "/", &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")]),
        request(
            "GET",
            "/",
            &[
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
                ("sec-purpose", "prefetch"),
            ],
        ),
        request("GET", "/", &[("accept", "*/*")]),
        request("GET", "/oauth2/start?rd=/x", &SCRIPT),
    ] {
        let reply = world.request(&headers).1.reply();
        assert_eq!(reply.status, 401, "{headers:?}");
        assert_eq!(reply_header(&reply, "set-cookie"), None);
    }
}

#[test]
fn a_callback_counts_once_in_its_own_browser_and_in_time() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let callback = browser.start_login(&mut world, "/");
    let mut thief = Browser::default();
    assert!(thief.is_sent_to_the_provider(&mut world, &callback), "another browser");
    let late = browser.clone();
    let used = browser.clone();
    assert_eq!(browser.load(&mut world, &callback).reply().status, 302);
    assert!(used.clone().is_sent_to_the_provider(&mut world, &callback), "a state is used once");
    let home = browser.load(&mut world, &callback).reply();
    assert_eq!(
        reply_header(&home, "location"),
        Some(format!("{PUBLIC}/").as_str()),
        "logged in: go on"
    );
    world.pass(30 * 60);
    assert!(late.clone().is_sent_to_the_provider(&mut world, &callback), "too late");
    assert_eq!(world.idp.called("/realms/prefect/token"), 1);
}

#[test]
fn a_callback_of_another_issuer_redeems_nothing() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let callback = browser.start_login(&mut world, "/");
    let (before, _) = callback.split_once("&iss=").unwrap();
    for query in [before.to_owned(), format!("{before}&iss=https%3A%2F%2Fevil.example")] {
        let mut attempt = browser.clone();
        assert_eq!(attempt.load(&mut world, &query).reply().status, 400, "{query}");
    }
    assert_eq!(world.idp.called("/realms/prefect/token"), 0);
}

const AT_HASH: &str = "cULnkdhG7796NG-afFSraYKdeVGlbZ-8HhlCCteM_Q8";

#[test]
fn id_tokens_that_do_not_fit_log_nobody_in() {
    for (patch, why) in [
        (json!({"iss": "https://sso.example.com/realms/prefect/"}), "IDT-2"),
        (json!({"aud": "other"}), "IDT-3"),
        (json!({"aud": ["prefect", "stranger"]}), "IDT-3"),
        (json!({"aud": null}), "IDT-3"),
        (json!({"azp": "other"}), "IDT-4/5"),
        (json!({"azp": 1}), "IDT-4/5"),
        (json!({"exp": 1_799_999_900}), "IDT-9"),
        (json!({"exp": "1900000000"}), "IDT-9"),
        (json!({"iat": null}), "IDT-10"),
        (json!({"iat": 1_800_000_061}), "IDT-10"),
        (json!({"nonce": "other"}), "IDT-11"),
        (json!({"nonce": null}), "IDT-11"),
        (json!({"sub": null}), "IDT-14"),
        (json!({"sub": ""}), "IDT-14"),
        (json!({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}), "IDT-15"),
        (json!({"at_hash": 1}), "IDT-15"),
        // The left half of the SHA-512 of "planted-access-token": Ed25519 signs over SHA-512.
        (json!({"at_hash": AT_HASH}), ""),
        (json!({"typ": "Bearer"}), "KC-1"),
        (json!({"typ": "Logout"}), "KC-1"),
    ] {
        let (mut world, mut browser) = (World::new(), Browser::default());
        let callback = browser.start_login(&mut world, "/");
        world.idp.claims = patch.clone();
        let reply = browser.load(&mut world, &callback).reply();
        let wanted = if why.is_empty() { 302 } else { 502 };
        assert_eq!(reply.status, wanted, "{why} {patch}");
        assert_eq!(browser.session().is_some(), why.is_empty(), "{why} {patch}");
    }
}

#[test]
fn a_rotated_key_is_fetched_while_the_login_waits() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let callback = browser.start_login(&mut world, "/x");
    world.idp.rotate("k2");
    let reply = browser.load(&mut world, &callback).reply();
    assert_eq!(reply_header(&reply, "location"), Some(format!("{PUBLIC}/x").as_str()));
    assert_eq!(world.idp.called("/realms/prefect/certs"), 2);
}

#[test]
fn parallel_requests_of_a_due_session_cause_one_refresh() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    browser.log_in(&mut world, "/");
    world.pass(300);
    let headers = browser.headers("POST", "/api/flows/filter", &SCRIPT);
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let (gate, outcome) = world.begin(&headers);
            assert!(matches!(outcome, Outcome::Waiting));
            (gate, headers.clone())
        })
        .collect();
    let outcomes = world.finish_waiting(waiting);
    assert_eq!(world.idp.called("/realms/prefect/token"), 2, "the login and one refresh");
    for (mut gate, outcome) in outcomes {
        outcome.forwarded();
        let answer = [(":status".to_owned(), b"200".to_vec())];
        let edit = edited(gate.on_response(ResponseView { headers: &answer }, &mut world.cx()));
        let cookie = edit
            .add
            .iter()
            .find(|(name, _)| *name == "set-cookie")
            .expect("every tab gets the new cookie");
        assert!(edit.set.contains(&("cache-control", "no-store".into())));
        browser.keep_line(&cookie.1);
    }
    // A tab whose Set-Cookie was lost shows the old cookie and goes on without another refresh.
    world.request(&headers).1.forwarded();
    assert_eq!(world.idp.called("/realms/prefect/token"), 2);
}

#[test]
fn a_refused_refresh_ends_the_session() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    browser.log_in(&mut world, "/");
    world.pass(300);
    world.idp.mood = Mood::RefreshRefused;
    let reply = browser.fetch(&mut world, "POST", "/api/flows/filter").reply();
    assert_eq!((reply.status, code(&reply).as_str()), (401, "session_ended"));
    assert!(browser.session().is_none(), "its cookie is cleared");
    assert_eq!(browser.load(&mut world, "/").reply().status, 302, "a page load logs in again");
}

#[test]
fn sessions_outlive_an_absent_provider_for_the_time_of_grace() {
    for mood in [Mood::Away, Mood::NoCluster, Mood::ClientRefused] {
        let (mut world, mut browser) = (World::new(), Browser::default());
        browser.log_in(&mut world, "/");
        world.idp.mood = mood;
        // Recheck is 5 minutes, grace an hour; the tab keeps asking, so idle does not end it.
        for minutes in (5..65).step_by(5) {
            world.pass(300);
            let headers = browser.headers("GET", "/api/flows/1", &SCRIPT);
            let (mut gate, outcome) = world.request(&headers);
            assert_eq!(outcome.status(), 200, "{mood:?} after {minutes} minutes");
            let answer = [(":status".to_owned(), b"200".to_vec())];
            let edit = edited(gate.on_response(ResponseView { headers: &answer }, &mut world.cx()));
            for (_, cookie) in edit.add.iter().filter(|(name, _)| *name == "set-cookie") {
                browser.keep_line(cookie);
            }
        }
        world.pass(300);
        let reply = browser.fetch(&mut world, "GET", "/api/flows/1").reply();
        assert_eq!((reply.status, code(&reply).as_str()), (503, "idp_unreachable"));
        assert!(browser.session().is_some(), "our trouble does not end a session");
    }
}

#[test]
fn roles_are_read_again_at_every_refresh() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    browser.log_in(&mut world, "/");
    let run = "/api/deployments/1/create_flow_run";
    browser.fetch(&mut world, "POST", run).forwarded();
    world.idp.claims = json!({"realm_access": {"roles": ["prefect-viewer"]}});
    world.pass(300);
    let reply = browser.fetch(&mut world, "POST", run).reply();
    assert_eq!((reply.status, code(&reply).as_str()), (403, "role_missing"));
}

#[test]
fn a_refreshed_id_token_of_somebody_else_ends_the_session() {
    for patch in [
        json!({"sub": "bob-1"}),
        json!({"auth_time": 1_799_999_001}),
        json!({"iss": "https://x"}),
        json!({"aud": "x"}),
    ] {
        let (mut world, mut browser) = (World::new(), Browser::default());
        browser.log_in(&mut world, "/");
        world.idp.claims = patch.clone();
        world.pass(300);
        assert_eq!(browser.fetch(&mut world, "GET", "/api/flows/1").status(), 401, "{patch}");
    }
}

#[test]
fn a_session_ends_at_idle_and_absolute() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    browser.log_in(&mut world, "/");
    world.pass(30 * 60);
    assert_eq!(browser.fetch(&mut world, "GET", "/api/flows/1").status(), 401);
}

#[test]
fn signing_out_ends_the_session_at_the_provider_too() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    browser.log_in(&mut world, "/");
    for headers in [
        browser.headers(
            "GET",
            "/oauth2/sign_out",
            &[
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "no-cors"),
                ("sec-fetch-dest", "image"),
            ],
        ),
        browser.headers(
            "GET",
            "/oauth2/sign_out",
            &[
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-mode", "no-cors"),
                ("sec-fetch-dest", "image"),
            ],
        ),
        browser.headers("POST", "/oauth2/sign_out", &[("origin", "https://evil.example")]),
        browser.headers(
            "POST",
            "/oauth2/sign_out",
            &[
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
            ],
        ),
    ] {
        assert_eq!(world.request(&headers).1.reply().status, 403, "{headers:?}");
    }
    let from_elsewhere = browser.headers(
        "GET",
        "/oauth2/sign_out",
        &[
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ],
    );
    let page = world.request(&from_elsewhere).1.reply();
    assert!(String::from_utf8_lossy(&page.body).contains("<form method=\"post\""), "it asks");
    assert_eq!(world.idp.called("/realms/prefect/protocol/openid-connect/logout"), 0);
    let reply = browser.fetch(&mut world, "POST", "/oauth2/sign_out").reply();
    assert_eq!(reply.status, 200);
    assert_eq!(world.idp.called("/realms/prefect/protocol/openid-connect/logout"), 1);
    assert!(browser.session().is_none());
}

#[test]
fn a_request_of_another_site_with_a_session_is_refused() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    browser.log_in(&mut world, "/");
    for extra in [
        [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")],
        [("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")],
        [("origin", "https://evil.example"), ("content-type", "text/plain")],
        [("origin", "null"), ("content-type", "text/plain")],
    ] {
        let headers = browser.headers("POST", "/api/flow_runs/1/set_state", &extra);
        let reply = world.request(&headers).1.reply();
        assert_eq!((reply.status, code(&reply).as_str()), (403, "csrf"), "{extra:?}");
    }
}

#[test]
fn machines_are_proved_by_key_and_by_token() {
    let mut world = World::new();
    let token = world.idp.sign(&world.idp.machine_claims(world.now));
    let (pair, bearer_key) = (basic(&format!("etl:{API_KEY}")), format!("Bearer {API_KEY}"));
    let (bearer, as_password) = (format!("Bearer {token}"), basic(&format!("x:{token}")));
    let (wrapped, wrapped_key) = (
        basic(&format!("Bearer {token}")),
        basic(&format!(
            "Basic {}",
            crate::foundation::crypto::to_base64(format!("etl:{API_KEY}").as_bytes())
        )),
    );
    for (name, value, principal) in [
        ("authorization", pair.as_str(), "key:etl"),
        ("authorization", &bearer_key, "key:etl"),
        ("x-api-key", API_KEY, "key:etl"),
        ("authorization", &bearer, "client:etl-worker"),
        ("authorization", &as_password, "client:etl-worker"),
        ("authorization", &wrapped, "client:etl-worker"),
        ("authorization", &wrapped_key, "key:etl"),
    ] {
        let headers = request_to(
            "api.prefect.example.com",
            "POST",
            "/api/flow_runs/filter",
            &[(name, value)],
        );
        let seen = world.request(&headers).1.forwarded();
        assert_eq!(header(&seen, "authorization"), Some(basic(AUTH_STRING).as_str()));
        assert_eq!(header(&seen, "x-auth-request-user"), Some(principal));
        assert_eq!(header(&seen, "x-api-key"), None);
        assert_eq!(header(&seen, ":authority"), Some("api.prefect.example.com"));
    }
}

#[test]
fn bearer_tokens_that_do_not_fit_are_refused() {
    let mut world = World::new();
    for (patch, why) in [
        (json!({"typ": "ID"}), "JWT-11"),
        (json!({"typ": "Refresh"}), "JWT-11"),
        (json!({"typ": "Offline"}), "JWT-11"),
        (json!({"typ": "Logout"}), "JWT-11"),
        (json!({"typ": "DPoP"}), "JWT-11"),
        (json!({"typ": null}), "JWT-11"),
        (json!({"aud": "account"}), "JWT-8"),
        (json!({"aud": null}), "KC-3"),
        (json!({"iss": "https://other"}), "AT-3"),
        (json!({"exp": 1_799_999_940}), "AT-3"),
        (json!({"exp": null}), "AT-3"),
        (json!({"iat": null}), "AT-2"),
        (json!({"nbf": 1_800_000_061}), "AT-3"),
        (json!({"cnf": {"jkt": "x"}}), "AT-4"),
        (json!({"sub": null}), "AT-2"),
    ] {
        let mut claims = world.idp.machine_claims(world.now);
        merge(&mut claims, &patch);
        let bearer = format!("Bearer {}", world.idp.sign(&claims));
        let reply =
            world.request(&request("GET", "/api/flows/1", &[("authorization", &bearer)])).1.reply();
        assert_eq!((reply.status, code(&reply).as_str()), (401, "invalid_token"), "{why} {patch}");
        assert!(reply_header(&reply, "www-authenticate").unwrap().starts_with("Bearer realm="));
    }
    assert_eq!(world.idp.called("/realms/prefect/certs"), 1, "none of them causes a fetch of keys");
}

#[test]
fn unknown_kids_wait_for_one_fetch_and_never_fail_falsely() {
    let mut world = World::new();
    world.pass(60);
    world.idp.rotate("k2");
    let bearer = format!("Bearer {}", world.idp.sign(&world.idp.machine_claims(world.now)));
    world.request(&request("GET", "/api/flows/1", &[("authorization", &bearer)])).1.forwarded();
    assert_eq!(world.idp.called("/realms/prefect/certs"), 2);
    // A flood of unknown kids: no further fetch within ten seconds, and no verdict either.
    for n in 0..100 {
        let header = json!({"alg": "EdDSA", "kid": format!("flood-{n}")});
        let bearer = format!(
            "Bearer {}",
            world.idp.sign_with(&header, &world.idp.machine_claims(world.now))
        );
        let reply =
            world.request(&request("GET", "/api/flows/1", &[("authorization", &bearer)])).1.reply();
        assert_eq!((reply.status, reply_header(&reply, "retry-after")), (503, Some("1")));
    }
    assert_eq!(world.idp.called("/realms/prefect/certs"), 2);
    world.pass(10);
    let bearer = format!(
        "Bearer {}",
        world.idp.sign_with(
            &json!({"alg": "EdDSA", "kid": "nobody"}),
            &world.idp.machine_claims(world.now)
        )
    );
    let reply =
        world.request(&request("GET", "/api/flows/1", &[("authorization", &bearer)])).1.reply();
    assert_eq!((reply.status, code(&reply).as_str()), (401, "unknown_key"));
}

#[test]
fn while_the_provider_is_away_at_start_only_keys_are_served() {
    let mut world = World::starting(&crate::testing::configuration());
    world.idp.mood = Mood::Away;
    world.work();
    let page = world.request(&request("GET", "/", &NAVIGATION)).1.reply();
    assert_eq!((page.status, reply_header(&page, "retry-after")), (503, Some("1")));
    let bearer = format!("Bearer {}", world.idp.sign(&world.idp.machine_claims(world.now)));
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

#[test]
fn prefect_refusing_the_shared_secret_is_a_clear_502() {
    let mut world = World::new();
    let (mut gate, outcome) =
        world.request(&request("GET", "/api/flows/1", &[("x-api-key", API_KEY)]));
    outcome.forwarded();
    let answer = [
        (":status".to_owned(), b"401".to_vec()),
        ("www-authenticate".to_owned(), b"Basic".to_vec()),
    ];
    let reply = replaced(gate.on_response(ResponseView { headers: &answer }, &mut world.cx()));
    assert_eq!(
        (reply.status, code(&reply).as_str(), reply_header(&reply, "www-authenticate")),
        (502, "prefect_secret", None)
    );
}

fn upgrade(extra: &[(&str, &str)]) -> crate::testing::Headers {
    let own = [
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-extensions", "permessage-deflate"),
    ];
    request("GET", "/api/events/out", &[own.as_slice(), extra].concat())
}

fn opened(world: &mut World, gate: &mut crate::Gate) {
    let answer = [(":status".to_owned(), b"101".to_vec())];
    let _ = gate.on_response(ResponseView { headers: &answer }, &mut world.cx());
}

fn auth(token: &str) -> Vec<u8> {
    websocket::write(
        websocket::TEXT,
        format!(r#"{{"type":"auth","token":"{token}"}}"#).as_bytes(),
        [1, 2, 3, 4],
    )
}

#[test]
fn a_first_frame_is_held_judged_and_rewritten() {
    let mut world = World::new();
    let (mut gate, outcome) = world.request(&upgrade(&[]));
    let seen = outcome.forwarded();
    assert_eq!(
        (header(&seen, "authorization"), header(&seen, "sec-websocket-extensions")),
        (None, None)
    );
    opened(&mut world, &mut gate);
    let ping = websocket::write(9, b"hi", [5; 4]);
    assert_eq!(gate.on_request_data(&ping, false, &mut world.cx()), DataStep::Pass);
    let bytes = auth(&format!("etl:{API_KEY}"));
    for end in 1..bytes.len() {
        assert_eq!(
            gate.on_request_data(&bytes[..end], false, &mut world.cx()),
            DataStep::Hold,
            "{end}"
        );
    }
    let DataStep::Replace(sent) = gate.on_request_data(&bytes, false, &mut world.cx()) else {
        panic!("not rewritten")
    };
    let websocket::Read::Frame(sent) = websocket::read(&sent, 4096) else { panic!("no frame") };
    let text = String::from_utf8(sent.payload).unwrap();
    assert!(text.contains(AUTH_STRING) && !text.contains(API_KEY));
    assert_eq!(gate.on_request_data(b"anything", false, &mut world.cx()), DataStep::Pass);
    assert!(world.site.pending.is_empty());
}

#[test]
fn first_frames_that_prove_nobody_are_closed_with_1008() {
    for frame in [
        auth("etl:lk_wrong"),
        auth(AUTH_STRING),
        auth(""),
        auth("eyJ.eyJ.x"),
        websocket::write(websocket::TEXT, br#"{"type":"auth","token":null}"#, [0; 4]),
        websocket::write(websocket::TEXT, br#"{"type":"filter"}"#, [0; 4]),
        websocket::write(2, br#"{"type":"auth"}"#, [0; 4]),
    ] {
        let mut world = World::new();
        let (mut gate, outcome) = world.request(&upgrade(&[]));
        outcome.forwarded();
        opened(&mut world, &mut gate);
        let DataStep::Replace(sent) = gate.on_request_data(&frame, false, &mut world.cx()) else {
            panic!("not replaced")
        };
        let websocket::Read::Frame(close) = websocket::read(&sent, 4096) else {
            panic!("no frame")
        };
        assert_eq!(
            (close.opcode, &close.payload[..2]),
            (websocket::CLOSE, 1008_u16.to_be_bytes().as_slice())
        );
        assert_eq!(sent.len(), close.length, "nothing of the client's follows");
        let more = gate.on_request_data(&auth(&format!("etl:{API_KEY}")), false, &mut world.cx());
        assert_eq!(more, DataStep::Replace(Vec::new()), "a refused socket stays refused");
        // Its place stays taken until Prefect has closed, or the time of a silent socket is over.
        world.pass(5);
        assert_eq!(world.site.pending.expire(world.now).len(), 1);
    }
}

#[test]
fn bytes_before_the_101_end_the_socket() {
    let mut world = World::new();
    let (mut gate, outcome) = world.request(&upgrade(&[]));
    outcome.forwarded();
    let early = gate.on_request_data(&auth(&format!("etl:{API_KEY}")), false, &mut world.cx());
    assert_eq!(early, DataStep::Reset);
}

#[test]
fn sockets_without_a_place_or_by_cookie_are_refused() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    browser.log_in(&mut world, "/");
    let cookies = browser.cookie_header();
    let reply = world.request(&upgrade(&[("cookie", &cookies)])).1.reply();
    assert_eq!((reply.status, code(&reply).as_str()), (403, "socket_by_cookie"));
    let gates: Vec<_> = (0..16).map(|_| world.request(&upgrade(&[])).0).collect();
    assert_eq!(world.request(&upgrade(&[])).1.reply().status, 503);
    for mut gate in gates {
        gate.finish(&mut world.site);
    }
    world.request(&upgrade(&[])).1.forwarded();
}

#[test]
fn a_socket_ends_with_its_credential() {
    let mut world = World::new();
    let bearer = format!("Bearer {}", world.idp.sign(&world.idp.machine_claims(world.now)));
    let (mut gate, outcome) = world.request(&upgrade(&[("authorization", &bearer)]));
    outcome.forwarded();
    opened(&mut world, &mut gate);
    let DataStep::Replace(_) = gate.on_request_data(&auth("x:y"), false, &mut world.cx()) else {
        panic!("not rewritten")
    };
    // As long as the token would still be accepted: its end and the leeway of a minute.
    world.pass(359);
    assert_eq!(gate.on_response_data(b"", false, &mut world.cx()), DataStep::Pass);
    world.pass(1);
    assert_eq!(gate.on_response_data(b"", false, &mut world.cx()), DataStep::Reset);
    assert_eq!(gate.on_request_data(b"x", false, &mut world.cx()), DataStep::Reset);
}

#[test]
fn the_uis_settings_are_rewritten_whole_or_not_at_all() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    browser.log_in(&mut world, "/");
    let settings =
        json!({"api_url": "http://127.0.0.1:4200/api", "auth": "BASIC", "flags": []}).to_string();
    for (body, rewritten) in
        [(settings.as_bytes(), true), (b"<html>", false), (b"{\"auth\":", false), (b"[]", false)]
    {
        let mut headers = browser.headers("GET", "/ui-settings", &SCRIPT);
        headers.push(("accept-encoding".into(), b"gzip".to_vec()));
        let (mut gate, outcome) = world.request(&headers);
        assert_eq!(header(&outcome.forwarded(), "accept-encoding"), Some("identity"));
        let answer =
            [(":status".to_owned(), b"200".to_vec()), ("content-length".to_owned(), b"9".to_vec())];
        let edit = edited(gate.on_response(ResponseView { headers: &answer }, &mut world.cx()));
        assert!(edit.remove.contains(&"content-length".into()));
        assert_eq!(gate.on_response_data(&body[..1], false, &mut world.cx()), DataStep::Hold);
        match gate.on_response_data(body, true, &mut world.cx()) {
            DataStep::Replace(new) => {
                assert!(rewritten);
                let new: serde_json::Value = serde_json::from_slice(&new).unwrap();
                assert_eq!(new, json!({"api_url": "/api", "auth": null, "flags": []}));
            }
            step => assert_eq!((step, rewritten), (DataStep::Pass, false)),
        }
    }
}

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
        let crate::gate::decision::Decision::Reply(reply) = decision else {
            panic!("event {event} was not refused")
        };
        assert_eq!(reply.status, 503);
    }
}
