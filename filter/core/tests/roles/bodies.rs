//! `include_secrets` in the body of `POST /block_documents/filter`.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::Gate;
use crate::answer::reply::Reply;
use crate::foundation::limits::BODY_LIMIT;
use crate::foundation::stream::StreamId;
use crate::gate::Interest;
use crate::gate::decision::{DataStep, Decision, ResponseStep};
use crate::identity::role::Role;
use crate::testing::browser::{Browser, SCRIPT};
use crate::testing::{World, code, edited, replaced};
use crate::tests::roles::{by, settings};
use crate::wire::http::request::{RequestView, ResponseView};
use serde_json::json;

const PATH: &str = "/api/block_documents/filter";

fn world() -> World {
    World::with(&settings())
}

/// The head of such a request: it hangs on the body.
fn begin(world: &mut World, role: Role, path: &str) -> Gate {
    let headers = by(role, "POST", path);
    let mut gate = Gate::new(StreamId(7));
    let decision = gate.on_request(RequestView { headers: &headers }, false, &mut world.cx());
    let Decision::ForwardWithBody { permit, edit } = decision else { panic!("{decision:?}") };
    assert_eq!(permit.identity().unwrap().1, Some(role));
    assert!(edit.remove.contains(&"x-api-key".into()));
    assert!(gate.take_event(&mut world.site, world.now).is_none(), "nothing is decided");
    assert_eq!(gate.request_data(), Interest::Whole);
    gate
}

fn verdict(world: &mut World, role: Role, body: &[u8]) -> Result<(), Reply> {
    let mut gate = begin(world, role, PATH);
    match gate.on_request_data(body, true, &mut world.cx()) {
        DataStep::Pass => {
            assert!(gate.is_forwarded());
            assert_eq!(gate.take_event(&mut world.site, world.now).unwrap().outcome, "forwarded");
            Ok(())
        }
        DataStep::Answer(reply) => {
            assert!(!gate.is_forwarded(), "answered, and on its way");
            let event = gate.take_event(&mut world.site, world.now).unwrap();
            assert_eq!(event.outcome, "refused");
            assert!(!event.line.unwrap().contains("planted"));
            Err(reply)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_body_that_asks_for_secrets_is_refused_for_those_who_may_not() {
    let mut world = world();
    for role in Role::for_people() {
        for body in [
            r#"{"include_secrets":true,"x":"planted"}"#.as_bytes(),
            br#"{"include_secrets":false,"include\u005fsecrets":true}"#,
            b"planted: not JSON",
            &"{}".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>(),
        ] {
            let reply = verdict(&mut world, role, body).unwrap_err();
            assert_eq!((reply.status, code(&reply).as_str()), (403, "role_missing"));
            let text = String::from_utf8(reply.body).unwrap();
            assert!(text.contains("worker or admin"), "{text}");
        }
        for body in ["", "{}", r#"{"include_secrets":false}"#] {
            assert_eq!(verdict(&mut world, role, body.as_bytes()), Ok(()), "{body}");
        }
    }
}

#[test]
fn a_body_is_judged_whole_whatever_its_pieces() {
    let mut world = world();
    let body = json!({"block_documents": {"name": {"any_": ["planted"]}}, "include_secrets": true});
    let body = body.to_string();
    let mut gate = begin(&mut world, Role::Viewer, PATH);
    for end in 0..=body.len() {
        let step = gate.on_request_data(&body.as_bytes()[..end], false, &mut world.cx());
        assert_eq!(step, DataStep::Hold, "{end}");
    }
    let step = gate.on_request_data(body.as_bytes(), true, &mut world.cx());
    assert!(matches!(step, DataStep::Answer(_)), "{step:?}");
    // After the answer nothing goes on.
    assert_eq!(gate.on_request_data(b"{}", true, &mut world.cx()), DataStep::Hold);
}

#[test]
fn a_body_is_bounded_on_both_sides() {
    let mut world = world();
    let padded = |length: usize| format!("{{}}{}", " ".repeat(length - 2)).into_bytes();
    assert_eq!(verdict(&mut world, Role::Viewer, &padded(BODY_LIMIT)), Ok(()));
    let reply = verdict(&mut world, Role::Viewer, &padded(BODY_LIMIT + 1)).unwrap_err();
    assert_eq!((reply.status, code(&reply).as_str()), (413, "body_too_large"));
    // Before it has ended, too.
    let mut gate = begin(&mut world, Role::Viewer, PATH);
    let step = gate.on_request_data(&padded(BODY_LIMIT + 1), false, &mut world.cx());
    assert!(matches!(step, DataStep::Answer(_)), "{step:?}");
}

#[test]
fn an_answer_before_the_verdict_reaches_nobody() {
    let mut world = world();
    let answer = [(":status".to_owned(), b"200".to_vec())];
    for length in [Some("0"), Some("2"), None] {
        let mut headers = by(Role::Viewer, "POST", PATH);
        headers.extend(length.map(|length| ("content-length".into(), length.as_bytes().to_vec())));
        let mut gate = Gate::new(StreamId(7));
        let decision = gate.on_request(RequestView { headers: &headers }, false, &mut world.cx());
        assert!(matches!(decision, Decision::ForwardWithBody { .. }));
        let step = gate.on_response(ResponseView { headers: &answer }, &mut world.cx());
        let reply = replaced(step);
        assert_eq!((reply.status, code(&reply).as_str()), (503, "internal"), "{length:?}");
        assert_eq!(gate.take_event(&mut world.site, world.now).unwrap().outcome, "refused");
        assert_eq!(gate.response_data(), Interest::None);
    }
    for (status, passes) in [("100", false), ("302", false), ("399", false), ("400", true)] {
        let mut gate = begin(&mut world, Role::Viewer, PATH);
        let answer = [(":status".to_owned(), status.as_bytes().to_vec())];
        let step = gate.on_response(ResponseView { headers: &answer }, &mut world.cx());
        assert_eq!(matches!(step, ResponseStep::Edit(_)), passes, "{status}");
    }
    // Envoy's own word about a body that does not come is as clean as any answer, and lets nothing
    // go on.
    let mut gate = begin(&mut world, Role::Viewer, PATH);
    let timeout = [
        (":status".to_owned(), b"408".to_vec()),
        ("access-control-allow-origin".to_owned(), b"*".to_vec()),
    ];
    let edit = edited(gate.on_response(ResponseView { headers: &timeout }, &mut world.cx()));
    assert_eq!(edit.remove, ["access-control-allow-origin"]);
    let step = gate.on_request_data(br#"{"include_secrets":true}"#, true, &mut world.cx());
    assert!(matches!(step, DataStep::Answer(_)), "{step:?}");
    // Prefect's own 401 is ours, here too.
    let mut gate = begin(&mut world, Role::Viewer, PATH);
    let refused = [(":status".to_owned(), b"401".to_vec())];
    let step = gate.on_response(ResponseView { headers: &refused }, &mut world.cx());
    assert_eq!(replaced(step).status, 502);
}

/// A head behind which nothing follows is judged at once, also when it has waited for the provider.
#[test]
fn a_head_without_a_body_is_judged_as_an_empty_one() {
    let mut world = world();
    let headers = by(Role::Viewer, "POST", PATH);
    let view = RequestView { headers: &headers };
    let mut gate = Gate::new(StreamId(7));
    let decision = gate.on_request(view, true, &mut world.cx());
    assert!(matches!(decision, Decision::Forward { .. }), "{decision:?}");
    assert_eq!(gate.take_event(&mut world.site, world.now).unwrap().outcome, "forwarded");
    let answer = [(":status".to_owned(), b"200".to_vec())];
    let _ = gate.on_response(ResponseView { headers: &answer }, &mut world.cx());
    assert_eq!(gate.response_data(), Interest::Whole, "masked all the same");
    // An empty body pauses nothing: the other rule refuses it.
    let headers = by(Role::Operator, "PATCH", "/api/deployments/1");
    let mut gate = Gate::new(StreamId(8));
    let decision = gate.on_request(RequestView { headers: &headers }, true, &mut world.cx());
    assert!(matches!(decision, Decision::Reply(_)), "{decision:?}");
    let mut browser = Browser::default();
    world.idp.claims["realm_access"] = json!({"roles": ["prefect-viewer"]});
    browser.log_in(&mut world, "/");
    world.pass(301);
    let headers = browser.headers("POST", PATH, &SCRIPT);
    let view = RequestView { headers: &headers };
    let mut gate = Gate::new(StreamId(9));
    assert!(matches!(gate.on_request(view, true, &mut world.cx()), Decision::AwaitSite));
    world.work();
    let decision = gate.on_wake(view, &mut world.cx());
    assert!(matches!(decision, Decision::Forward { .. }), "{decision:?}");
}

#[test]
fn trailers_are_no_end_that_was_seen() {
    let mut world = world();
    let mut gate = begin(&mut world, Role::Viewer, PATH);
    assert_eq!(gate.on_request_data(b"{}", false, &mut world.cx()), DataStep::Hold);
    let step = gate.on_request_trailers(&mut world.cx());
    assert!(matches!(step, DataStep::Answer(_)), "{step:?}");
}

#[test]
fn whoever_may_have_secrets_is_not_held_up() {
    let mut world = world();
    for role in [Role::Worker, Role::Admin] {
        world.request(&by(role, "POST", PATH)).1.forwarded();
    }
}

/// Without the buffer filter, or where its route would not match, nobody looks into a body.
#[test]
fn a_body_that_is_not_read_counts_as_asking() {
    let mut world = world();
    for path in ["/api/block_documents/filter/", "/api/block_documents/filte%72"] {
        let reply = world.request(&by(Role::Viewer, "POST", path)).1.reply();
        assert_eq!(code(&reply), "role_missing", "{path}");
    }
    let mut settings = settings();
    settings["prefect"]["buffered_routes"] = json!(false);
    let mut world = World::with(&settings);
    for role in Role::for_people() {
        assert_eq!(code(&world.request(&by(role, "POST", PATH)).1.reply()), "role_missing");
    }
    world.request(&by(Role::Worker, "POST", PATH)).1.forwarded();
}

#[test]
fn roles_that_are_only_reported_are_reported_by_the_body() {
    let mut settings = settings();
    settings["roles"] = json!({ "report_only": true });
    let mut world = World::with(&settings);
    // The one would get the list without data, the other would be refused.
    for (body, reason) in [("{}", "masked"), (r#"{"include_secrets":true}"#, "role_missing")] {
        let mut gate = begin(&mut world, Role::Viewer, PATH);
        let step = gate.on_request_data(body.as_bytes(), true, &mut world.cx());
        assert_eq!(step, DataStep::Pass);
        let event = gate.take_event(&mut world.site, world.now).unwrap();
        assert_eq!((event.outcome, event.reason), ("reported", reason), "{body}");
    }
}
