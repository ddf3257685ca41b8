//! Prefect's responses on their way to the client.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::gate::decision::{DataStep, ResponseStep};
use crate::testing::browser::{NAVIGATION, SCRIPT};
use crate::testing::{API_KEY, World, code, edited, header, replaced, reply_header, request};
use crate::wire::http::request::ResponseView;
use serde_json::json;

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

/// Prefect's own errors pass. Envoy's, which come when Prefect gives no response, become ours.
#[test]
fn without_a_response_of_prefects_the_client_is_told_when_to_try_again() {
    let mut world = World::new();
    let browser = world.log_in();
    let script = browser.headers("GET", "/api/flows/1", &SCRIPT);
    let page = browser.headers("GET", "/runs", &NAVIGATION);
    let machine = request("GET", "/api/flows/1", &[("x-api-key", API_KEY)]);
    let health = request("GET", "/api/health", &[]);
    for (status, by_envoy, ours) in [
        ("503", true, true),
        ("502", true, true),
        ("504", true, true),
        ("503", false, false),
        ("500", true, false),
        ("413", true, false),
        ("200", true, false),
    ] {
        for headers in [&script, &page, &machine, &health] {
            let (mut gate, outcome) = world.request(headers);
            outcome.forwarded();
            world.peer.answered_by_envoy = by_envoy;
            let answer = [(":status".to_owned(), status.as_bytes().to_vec())];
            let step = gate.on_response(ResponseView { headers: &answer }, &mut world.cx());
            world.peer.answered_by_envoy = false;
            let ResponseStep::Replace(reply) = step else {
                assert!(!ours, "{status}");
                continue;
            };
            assert!(ours, "{status}");
            assert_eq!((reply.status, reply_header(&reply, "retry-after")), (503, Some("5")));
            if headers == &page {
                assert!(String::from_utf8(reply.body).unwrap().contains("Prefect is unavailable"));
            } else {
                assert_eq!(code(&reply), "prefect_unreachable");
            }
        }
    }
}

/// Whose request it was stays in the access log, and no flood of strangers leaves the line out.
#[test]
fn an_answer_in_place_of_prefects_names_the_principal() {
    let mut world = World::new();
    let browser = world.log_in();
    let by_key = request("GET", "/api/flows/1", &[("x-api-key", API_KEY)]);
    let rows = [(browser.asks(), "user:alice-1", "operator"), (by_key, "key:etl", "worker")];
    for (headers, principal, role) in rows {
        for (status, by_envoy) in [("503", true), ("401", false)] {
            let (mut gate, outcome) = world.request(&headers);
            outcome.forwarded();
            world.peer.answered_by_envoy = by_envoy;
            let answer = [(":status".to_owned(), status.as_bytes().to_vec())];
            let _ = replaced(gate.on_response(ResponseView { headers: &answer }, &mut world.cx()));
            let event = gate.take_event(&mut world.site, world.now).unwrap();
            assert_eq!((event.principal.as_str(), event.outcome), (principal, "refused"));
            assert_eq!(event.role, role);
            assert!(event.line.unwrap().contains(principal), "{status}");
        }
    }
}

/// A rotated refresh token must reach the browser, whatever becomes of Prefect's response.
#[test]
fn an_answer_in_place_of_prefects_keeps_the_renewed_session() {
    for (status, by_envoy) in [("503", true), ("401", false), ("200", false)] {
        let mut world = World::new();
        let browser = world.log_in();
        world.pass(300);
        world.work();
        let (mut gate, outcome) = world.request(&browser.asks());
        outcome.forwarded();
        world.peer.answered_by_envoy = by_envoy;
        let answer = [(":status".to_owned(), status.as_bytes().to_vec())];
        let step = gate.on_response(ResponseView { headers: &answer }, &mut world.cx());
        let renewed = match step {
            ResponseStep::Replace(reply) => reply_header(&reply, "set-cookie").is_some(),
            ResponseStep::Edit(edit) => edit.add.iter().any(|(name, _)| *name == "set-cookie"),
        };
        assert!(renewed, "{status}");
    }
}

#[test]
fn the_uis_settings_are_rewritten_whole_or_not_at_all() {
    let mut world = World::new();
    let browser = world.log_in();
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
