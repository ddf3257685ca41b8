//! Workers share the results of exchanges, and only under the same settings.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::rc::Rc;

use crate::testing::machines::{PAIR, asks};
use crate::testing::store::MemoryStore;
use crate::testing::{Outcome, World, configuration, header, reply_of};
use crate::tests::credentials::client_credentials::workers;
use crate::wire::http::request::RequestView;
use serde_json::json;

/// Another worker asks, and dies: this one asks in its place.
#[test]
fn a_lease_ends() {
    let (mut first, mut second) = workers(&configuration());
    let (_gate, outcome) = first.begin(&asks(PAIR));
    assert!(matches!(outcome, Outcome::Waiting));
    assert!(first.poll().is_some());
    let (mut gate, outcome) = second.begin(&asks(PAIR));
    assert!(matches!(outcome, Outcome::Waiting));
    assert!(second.poll().is_none(), "the other one is asking");
    second.pass(12);
    let (call, callout) = second.poll().expect("its turn");
    let answer = second.idp.answer(&callout, second.now);
    second.site.on_callout(call, reply_of(answer.as_ref()), second.now);
    let headers = asks(PAIR);
    let decision = gate.on_wake(RequestView { headers: &headers }, &mut second.cx());
    assert!(matches!(decision, crate::gate::decision::Decision::Forward { .. }), "{decision:?}");
}

/// Another worker dies with several questions: this one asks them all, though they are old.
#[test]
fn all_questions_of_a_dead_worker_are_asked() {
    let (mut first, mut second) = workers(&configuration());
    let pairs = ["one:secret", "two:secret", "three:secret"];
    for pair in pairs {
        let (name, secret) = pair.split_once(':').unwrap();
        second.idp.clients.insert(name.to_owned(), secret.to_owned());
        let _ = first.begin(&asks(pair));
    }
    assert_eq!(core::iter::from_fn(|| first.poll()).count(), pairs.len());
    let waiting = pairs.map(|pair| (second.begin(&asks(pair)).0, asks(pair)));
    assert!(second.poll().is_none(), "the other one is asking");
    second.pass(12);
    for (_, outcome) in second.finish_waiting(waiting.into()) {
        assert_eq!(outcome.status(), 200);
    }
    assert_eq!(second.exchanges(), pairs.len());
}

/// A request that finds the other worker's answer before its own worker has looked for it, costs no
/// second exchange, and those that wait are served.
#[test]
fn an_answer_that_was_used_before_it_was_awaited_is_the_awaited_one() {
    let (mut first, mut second) = workers(&configuration());
    let (_gate, _) = first.begin(&asks(PAIR));
    let (call, callout) = first.poll().expect("an exchange");
    let (gate, outcome) = second.begin(&asks(PAIR));
    assert!(matches!(outcome, Outcome::Waiting));
    let answer = first.idp.answer(&callout, first.now);
    first.site.on_callout(call, reply_of(answer.as_ref()), first.now);
    assert_eq!(second.status_of(PAIR), 200, "from the store");
    second.pass(1);
    let outcomes = second.finish_waiting(vec![(gate, asks(PAIR))]);
    assert_eq!(outcomes[0].1.status(), 200);
    assert_eq!(second.exchanges(), 0);
}

#[test]
fn what_other_settings_said_of_credentials_is_not_believed() {
    let store = Rc::new(MemoryStore::default());
    let mut loose = configuration();
    loose["roles"] = json!({ "admin": ["prefect-worker"], "worker": ["x"] });
    let mut before = World::worker_with(&loose, &store);
    assert_eq!(
        header(&before.request(&asks(PAIR)).1.forwarded(), "x-auth-request-groups"),
        Some("admin")
    );
    let mut after = World::worker(&store);
    let headers = after.request(&asks(PAIR)).1.forwarded();
    assert_eq!(
        header(&headers, "x-auth-request-groups"),
        Some("worker"),
        "the role of other settings"
    );
}

#[test]
fn nor_of_another_issuer_or_audience() {
    for (name, value) in [
        ("issuer", json!("https://sso.example.com/realms/other")),
        ("audiences", json!(["elsewhere"])),
        ("authorized_parties", json!(["ci"])),
    ] {
        let store = Rc::new(MemoryStore::default());
        let mut before = World::worker(&store);
        assert_eq!(before.status_of(PAIR), 200);
        let mut settings = configuration();
        settings[name] = value;
        let mut after = World::worker_with(&settings, &store);
        assert_ne!(after.status_of(PAIR), 200, "{name}");
    }
}
