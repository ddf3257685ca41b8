//! A first frame that is held while the provider is asked.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::gate::decision::DataStep;
use crate::testing::idp::Mood;
use crate::testing::machines::PAIR;
use crate::testing::{AUTH_STRING, World, auth_frame};
use crate::tests::sockets::rewritten;
use crate::wire::websocket;
use serde_json::json;

#[test]
fn a_first_frame_is_held_until_the_provider_has_spoken() {
    let mut world = World::new();
    let mut gate = world.unproved_socket();
    let held = auth_frame(PAIR);
    for end in 1..held.len() {
        let step = gate.on_request_data(&held[..end], false, &mut world.cx());
        assert_eq!(step, DataStep::Hold);
        assert!(gate.waits_with_data().is_none());
    }
    assert_eq!(gate.on_request_data(&held, false, &mut world.cx()), DataStep::Hold);
    assert!(gate.waits_with_data().is_some());
    // More bytes change nothing.
    let more = [held.as_slice(), b"more"].concat();
    assert_eq!(gate.on_request_data(&more, false, &mut world.cx()), DataStep::Hold);
    world.work();
    let step = gate.on_data_wake(&held, &mut world.cx());
    assert_eq!(rewritten(step)["token"], AUTH_STRING);
    // Known now: the next one does not wait.
    let mut gate = world.unproved_socket();
    let step = gate.on_request_data(&held, false, &mut world.cx());
    assert_eq!(rewritten(step)["token"], AUTH_STRING);
    assert_eq!(world.exchanges(), 1);
}

#[test]
fn a_first_frame_that_is_refused_or_not_judged_is_closed_with_the_right_code() {
    for (mood, pair, close) in [
        (Mood::Well, "etl-worker:wrong", 1008),
        (Mood::Away, PAIR, 1013),
        (Mood::NoCluster, PAIR, 1013),
    ] {
        let mut world = World::new();
        let mut gate = world.unproved_socket();
        world.idp.mood = mood;
        let held = auth_frame(pair);
        assert_eq!(gate.on_request_data(&held, false, &mut world.cx()), DataStep::Hold);
        world.work();
        let step = gate.on_data_wake(&held, &mut world.cx());
        assert_eq!(rewritten(step), json!(close), "{mood:?}");
    }
}

#[test]
fn trailers_let_no_held_first_frame_go() {
    let mut world = World::new();
    let mut gate = world.unproved_socket();
    let held = auth_frame(PAIR);
    assert_eq!(gate.on_request_data(&held[..20], false, &mut world.cx()), DataStep::Hold);
    assert_ne!(
        gate.on_request_trailers(&mut world.cx()),
        DataStep::Pass,
        "an unjudged frame reaches Prefect"
    );
    let mut gate = world.unproved_socket();
    assert_eq!(gate.on_request_data(&held, false, &mut world.cx()), DataStep::Hold);
    assert!(gate.waits_with_data().is_some());
    assert_ne!(
        gate.on_request_trailers(&mut world.cx()),
        DataStep::Pass,
        "a client's secret reaches Prefect"
    );
}

#[test]
fn more_than_a_first_frame_is_never_held() {
    use crate::foundation::limits::HELD;
    let mut world = World::new();
    let mut gate = world.unproved_socket();
    // A refused pair, and a lot behind it, in one read of Envoy's.
    let mut held = auth_frame("nobody:wrong");
    held.extend(websocket::write(websocket::TEXT, &vec![b'x'; 20_000], [1, 2, 3, 4]));
    let step = gate.on_request_data(&held, false, &mut world.cx());
    if step == DataStep::Hold {
        assert!(gate.waits_with_data().is_some());
        world.work();
        // The shell reads HELD bytes, and replaces HELD bytes.
        let step = gate.on_data_wake(&held[..HELD], &mut world.cx());
        let DataStep::Replace(close) = step else { panic!("{step:?}") };
        let reaches = [close.as_slice(), &held[HELD..]].concat();
        panic!("{} bytes behind the close frame reach Prefect", reaches.len() - close.len());
    }
}

/// The shell reads as many bytes again at the wake-up, and replaces as many.
#[test]
fn while_the_provider_is_asked_so_many_bytes_are_held_and_no_more() {
    use crate::foundation::limits::HELD;
    for (length, wanted) in
        [(HELD - 1, DataStep::Hold), (HELD, DataStep::Hold), (HELD + 1, DataStep::Reset)]
    {
        let frame = auth_frame("nobody:wrong");
        let mut held = frame.clone();
        held.resize(length, b'x');
        let mut world = World::new();
        let mut gate = world.unproved_socket();
        let at_once = gate.on_request_data(&held, false, &mut world.cx());
        assert_eq!(at_once, wanted, "{length} bytes at once");
        let mut gate = world.unproved_socket();
        assert_eq!(gate.on_request_data(&frame, false, &mut world.cx()), DataStep::Hold);
        let later = gate.on_request_data(&held, false, &mut world.cx());
        assert_eq!(later, wanted, "{length} bytes later");
    }
}

/// A wait ends once. A frame that is woken without a verdict does not wait again.
#[test]
fn a_first_frame_waits_once() {
    let mut world = World::new();
    let mut gate = world.unproved_socket();
    let held = auth_frame(PAIR);
    assert_eq!(gate.on_request_data(&held, false, &mut world.cx()), DataStep::Hold);
    // Woken, while the provider has not answered.
    let step = gate.on_data_wake(&held, &mut world.cx());
    assert_eq!(rewritten(step), json!(1013), "try again later");
    assert!(gate.waits_with_data().is_none());
}
