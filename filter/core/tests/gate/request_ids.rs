//! The id by which a person's question finds the log line of a request.

use serde_json::json;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::Gate;
use crate::foundation::stream::StreamId;
use crate::gate::decision::{DataStep, Decision};
use crate::identity::role::Role;
use crate::testing::browser::{NAVIGATION, SCRIPT};
use crate::testing::logout::logout_request;
use crate::testing::{API_KEY, FORM, Headers, World, auth_frame, replaced, request};
use crate::tests::roles::{by, settings};
use crate::tests::sockets::upgrade;
use crate::wire::http::request::{RequestView, ResponseView};

const ID: &str = "7f3c9a52-0d4e-4b8c-9a51-2f6f0c8d1e7a";

#[test]
fn a_refusal_and_its_log_line_carry_the_request_id() {
    let refused_page = [&NAVIGATION[..], &[("origin", "https://evil.example.com")]].concat();
    let table: [(&str, &str, &[(&str, &str)]); 3] = [
        ("for a script", "GET", &SCRIPT),
        ("for a machine", "GET", &[("x-api-key", "lk_unknown")]),
        ("as a page", "POST", &refused_page),
    ];
    for (what, method, extra) in table {
        let mut world = World::new();
        let headers = [extra, &[("x-request-id", ID)]].concat();
        let reply = world.request(&request(method, "/oauth2/nowhere", &headers)).1.reply();
        assert!(String::from_utf8(reply.body).unwrap().contains(ID), "{what}");
        assert!(world.log.join("\n").contains(&format!("request={ID}")), "{what}: {:?}", world.log);
    }
}

#[test]
fn a_refusal_by_the_body_carries_the_request_id() {
    let mut world = World::with(&settings());
    let mut headers = by(Role::Viewer, "POST", "/api/block_documents/filter");
    headers.push(("x-request-id".to_owned(), ID.as_bytes().to_vec()));
    let mut gate = Gate::new(StreamId(7));
    let view = RequestView { headers: &headers };
    let decision = gate.on_request(view, false, &mut world.cx());
    assert!(matches!(decision, Decision::ForwardWithBody { .. }), "{decision:?}");
    let step = gate.on_request_data(br#"{"include_secrets":true}"#, true, &mut world.cx());
    let DataStep::Answer(reply) = step else { panic!("{step:?}") };
    assert!(String::from_utf8(reply.body).unwrap().contains(ID));
    assert!(line_of(&mut gate, &mut world).contains(&format!("request={ID}")));
}

#[test]
fn a_response_that_comes_before_the_body_is_replaced_with_the_request_id() {
    let mut world = World::with(&settings());
    let mut headers = by(Role::Viewer, "POST", "/api/block_documents/filter");
    headers.push(("x-request-id".to_owned(), ID.as_bytes().to_vec()));
    let (mut gate, _) = world.begin(&headers);
    let answer = [(":status".to_owned(), b"200".to_vec())];
    let reply = replaced(gate.on_response(ResponseView { headers: &answer }, &mut world.cx()));
    assert_eq!(reply.status, 503);
    assert!(String::from_utf8(reply.body).unwrap().contains(ID));
    assert!(line_of(&mut gate, &mut world).ends_with(&format!("request={ID}")));
}

#[test]
fn a_replaced_response_of_prefect_carries_the_request_id() {
    let mut world = World::new();
    let headers = [("x-api-key", API_KEY), ("x-request-id", ID)];
    let (mut gate, _) = world.request(&request("GET", "/api/flows/1", &headers));
    let answer = [(":status".to_owned(), b"401".to_vec())];
    let reply = replaced(gate.on_response(ResponseView { headers: &answer }, &mut world.cx()));
    assert!(String::from_utf8(reply.body).unwrap().contains(ID));
    assert!(line_of(&mut gate, &mut world).contains(&format!("request={ID}")));
}

/// Each event that writes a log line, whatever its answer is.
#[test]
fn every_log_line_ends_with_the_request_id() {
    let id = ("x-request-id", ID);
    let mut reading = settings();
    reading["machines"]["personal_tokens"] = json!(true);
    let table: [(&str, fn(&mut Gate, &mut World), Headers); 4] = [
        (
            "trailers of a logout token",
            |gate, world| {
                let _ = gate.on_request_trailers(&mut world.cx());
            },
            logout_request(&[FORM, id]),
        ),
        (
            "a form of a program without a code",
            |gate, world| {
                let _ = gate.on_request_data(b"a=b", true, &mut world.cx());
            },
            request("POST", "/oauth2/token", &[FORM, id]),
        ),
        (
            "a first frame with an unknown key",
            |gate, world| {
                world.answer(gate, "101");
                let _ = gate.take_event(&mut world.site, world.now);
                let _ = gate.on_request_data(&auth_frame("etl:lk_unknown"), false, &mut world.cx());
            },
            upgrade(&[id]),
        ),
        ("a verdict for another proxy", |_, _| {}, request("GET", "/oauth2/auth", &[id])),
    ];
    for (what, event, headers) in table {
        let mut world = World::with(&reading);
        let mut gate = Gate::new(StreamId(7));
        let view = RequestView { headers: &headers };
        let _ = gate.on_request(view, false, &mut world.cx());
        event(&mut gate, &mut world);
        let line = line_of(&mut gate, &mut world);
        assert!(line.ends_with(&format!("request={ID}")), "{what}: {line}");
    }
}

fn line_of(gate: &mut Gate, world: &mut World) -> String {
    gate.take_event(&mut world.site, world.now).and_then(|event| event.line).expect("a log line")
}

#[test]
fn an_id_of_another_form_than_envoy_s_is_not_repeated() {
    let long = "a".repeat(65);
    let table = [("a", true), (&long[..64], true), (&long, false), ("a b", false), ("ä", false)];
    for (id, repeated) in table {
        let headers = [&SCRIPT[..], &[("x-request-id", id)]].concat();
        let reply = World::new().request(&request("GET", "/api/flows/1", &headers)).1.reply();
        let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(body.get("request_id").is_some(), repeated, "{id}");
    }
}
