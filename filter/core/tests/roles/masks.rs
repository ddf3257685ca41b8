//! What Prefect shows of secrets unasked, on its way to people.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::foundation::limits::MASKED_BODY;
use crate::gate::Interest;
use crate::gate::decision::{DataStep, ResponseStep};
use crate::identity::role::Role;
use crate::testing::{AUTH_REQUEST_SECRET, World, code, edited, header, request};
use crate::tests::roles::{by, settings};
use crate::wire::http::request::ResponseView;
use serde_json::{Value, json};

const DOCUMENT: &str = "/api/block_documents/1";

fn world() -> World {
    World::with(&settings())
}

/// What somebody gets of an answer; `None` for nothing.
fn answered(
    world: &mut World,
    role: Role,
    path: &str,
    status: &str,
    body: &[u8],
) -> Option<Vec<u8>> {
    let method = if path.ends_with("/filter") { "POST" } else { "GET" };
    let (mut gate, outcome) = world.request(&by(role, method, path));
    let sent = outcome.forwarded();
    let answer =
        [(":status".to_owned(), status.as_bytes().to_vec()), ("etag".to_owned(), b"x".to_vec())];
    let edit = edited(gate.on_response(ResponseView { headers: &answer }, &mut world.cx()));
    if gate.response_data() != Interest::Whole {
        return Some(body.to_vec());
    }
    assert_eq!(header(&sent, "accept-encoding"), Some("identity"));
    assert!(edit.remove.contains(&"content-length".into()) && edit.remove.contains(&"etag".into()));
    let half = &body[..body.len() / 2];
    assert_eq!(gate.on_response_data(half, false, &mut world.cx()), DataStep::Hold);
    match gate.on_response_data(body, true, &mut world.cx()) {
        DataStep::Replace(bytes) => Some(bytes),
        DataStep::Reset => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn people_without_secrets_get_blocks_without_data() {
    let mut world = world();
    // Prefect's own `Secret` block with an object in it.
    let document = json!({"id": "1", "name": "db", "block_type_id": "2",
        "data": {"value": {"user": "u", "password": "planted"}}});
    let body = document.to_string().into_bytes();
    let by_name = "/api/block_types/slug/secret/block_documents/name/db";
    for path in [DOCUMENT, by_name, "/api/block_types/slug/secret/block_documents"] {
        for role in Role::ALL {
            let got = answered(&mut world, role, path, "200", &body).unwrap();
            let got: Value = serde_json::from_slice(&got).unwrap();
            assert_eq!(got["name"], "db");
            let whole = matches!(role, Role::Worker | Role::Admin);
            assert_eq!(got["data"] == document["data"], whole, "{} {path}", role.name());
        }
    }
}

#[test]
fn people_without_secrets_get_events_of_blocks_without_their_texts() {
    let mut world = world();
    let event =
        |name: &str| json!({"event": name, "payload": {"data": {"url": "https://u:planted@h"}}});
    let body = json!({"events": [event("prefect.block-document.created"), event("etl.done")]});
    for path in ["/api/events/filter", "/api/events/filter/next"] {
        for role in Role::ALL {
            let got = answered(&mut world, role, path, "200", body.to_string().as_bytes()).unwrap();
            let got: Value = serde_json::from_slice(&got).unwrap();
            assert_eq!(got["events"][1], body["events"][1]);
            let whole = matches!(role, Role::Worker | Role::Admin);
            assert_eq!(got["events"][0] == body["events"][0], whole, "{} {path}", role.name());
        }
    }
}

/// Whoever may write blocks can nest them as Prefect lets him: nobody else's list is cut off for
/// that.
#[test]
fn deep_data_is_taken_out_like_any() {
    let mut world = world();
    let deep = format!("{}\"planted\"{}", "[".repeat(90), "]".repeat(90));
    let body = format!(r#"[{{"block_type_id":"2","data":{deep}}}]"#);
    let got = answered(&mut world, Role::Viewer, DOCUMENT, "200", body.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(got).unwrap(), r#"[{"block_type_id":"2","data":{}}]"#);
}

/// Trailers come after the last bytes, and nobody has said that these were the last.
#[test]
fn trailers_let_nothing_go_unmasked() {
    let mut world = world();
    for (role, wanted) in [(Role::Viewer, DataStep::Reset), (Role::Worker, DataStep::Pass)] {
        let (mut gate, outcome) = world.request(&by(role, "GET", DOCUMENT));
        outcome.forwarded();
        let answer = [(":status".to_owned(), b"200".to_vec())];
        let _ = gate.on_response(ResponseView { headers: &answer }, &mut world.cx());
        if gate.response_data() == Interest::Whole {
            assert_eq!(gate.on_response_data(b"{}", false, &mut world.cx()), DataStep::Hold);
        }
        assert_eq!(gate.response_trailers(), wanted, "{}", role.name());
    }
}

#[test]
fn settings_are_for_admins() {
    let mut world = world();
    let body = json!({"server": {"docket": {"url": "redis://:planted@h"}}}).to_string();
    for role in Role::ALL {
        let wanted = match role {
            Role::Viewer | Role::Operator => false,
            Role::Admin => true,
            Role::Worker => {
                let asked = world.request(&by(role, "GET", "/api/admin/settings")).1;
                assert_eq!(asked.status(), 403);
                continue;
            }
        };
        let got = answered(&mut world, role, "/api/admin/settings", "200", body.as_bytes());
        let shown = String::from_utf8(got.unwrap()).unwrap().contains("planted");
        assert_eq!(shown, wanted, "{}", role.name());
    }
}

#[test]
fn what_cannot_be_masked_is_not_sent() {
    let mut world = world();
    let large = format!("[{}1]", "1,".repeat(MASKED_BODY / 2));
    for body in [b"planted".as_slice(), b"\x1f\x8b\x08", b"{\"a\":1", large.as_bytes()] {
        assert_eq!(answered(&mut world, Role::Viewer, DOCUMENT, "200", body), None);
        assert_eq!(
            answered(&mut world, Role::Worker, DOCUMENT, "200", body).as_deref(),
            Some(body)
        );
    }
    assert!(!world.log.join("").contains("planted"));
}

/// Prefect states the length of its responses, so the client gets a sentence, not a broken stream.
#[test]
fn what_is_too_long_to_be_masked_is_refused_with_a_sentence() {
    let mut world = world();
    for (role, path, length, refused) in [
        (Role::Viewer, DOCUMENT, MASKED_BODY + 1, true),
        (Role::Viewer, DOCUMENT, MASKED_BODY, false),
        (Role::Operator, "/api/events/filter", MASKED_BODY + 1, true),
        (Role::Worker, DOCUMENT, MASKED_BODY + 1, false),
        (Role::Viewer, "/api/flows/1", MASKED_BODY + 1, false),
    ] {
        let method = if path.ends_with("/filter") { "POST" } else { "GET" };
        let (mut gate, outcome) = world.request(&by(role, method, path));
        outcome.forwarded();
        let answer = [(":status", "200"), ("content-length", &length.to_string())]
            .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        match gate.on_response(ResponseView { headers: &answer }, &mut world.cx()) {
            ResponseStep::Replace(reply) => {
                assert!(refused, "{} {path} {length}", role.name());
                assert_eq!((reply.status, code(&reply).as_str()), (403, "masked_too_large"));
            }
            ResponseStep::Edit(_) => assert!(!refused, "{} {path} {length}", role.name()),
        }
    }
}

/// Nobody masks what another proxy hands on.
#[test]
fn a_verdict_for_another_proxy_is_no_for_what_would_be_masked() {
    let mut world = world();
    for (role, method, path, status) in [
        (Role::Viewer, "GET", DOCUMENT, 403),
        (Role::Operator, "GET", "/api/admin/settings", 403),
        (Role::Worker, "GET", DOCUMENT, 202),
        (Role::Viewer, "GET", "/api/events/out", 403),
        (Role::Worker, "GET", "/api/events/out", 202),
        (Role::Viewer, "GET", "/api/logs/out", 202),
        (Role::Viewer, "GET", "/api/events/in", 403),
        (Role::Worker, "GET", "/api/events/in", 202),
        (Role::Worker, "GET", "/api/work_pools/etl/workers/connect", 202),
        (Role::Viewer, "GET", "/api/flows/1", 202),
    ] {
        let key = format!("lk_planted-key-of-{}", role.name());
        let headers = request(
            "GET",
            "/oauth2/auth",
            &[
                ("x-api-key", &key),
                ("x-lictor-auth-request-secret", AUTH_REQUEST_SECRET),
                ("x-original-method", method),
                ("x-original-uri", path),
            ],
        );
        let reply = world.request(&headers).1.reply();
        assert_eq!(reply.status, status, "{} {path}", role.name());
    }
}

#[test]
fn errors_pass_as_they_are() {
    let mut world = world();
    for status in ["404", "422", "503"] {
        let got = answered(&mut world, Role::Viewer, DOCUMENT, status, b"no JSON");
        assert_eq!(got.as_deref(), Some(b"no JSON".as_slice()), "{status}");
    }
}

#[test]
fn nothing_is_masked_where_roles_are_only_reported() {
    let mut settings = settings();
    settings["roles"] = json!({ "report_only": true });
    let mut world = World::with(&settings);
    let got = answered(&mut world, Role::Viewer, DOCUMENT, "200", b"{\"planted\":1}");
    assert_eq!(got.as_deref(), Some(b"{\"planted\":1}".as_slice()));
    let line = "reported reason=masked principal=\"key:viewer\" \
                seen=\"role viewer for GET /block_documents/1, whose answer would be masked\" \
                wanted=\"worker or admin\"";
    assert!(world.log.join("\n").contains(line), "{:?}", world.log);
    assert!(!world.log.join("\n").contains("key:worker"));
}
