//! Bodies that are read before a request is decided: how many at a time, and for how long.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::Gate;
use crate::foundation::limits::{BODIES, BODIES_PER_NETWORK};
use crate::gate::decision::{DataStep, Decision};
use crate::identity::role::Role;
use crate::testing::{FORM, Headers, Outcome, World, code, request};
use crate::tests::roles::{by, settings};
use crate::wire::http::request::RequestView;

/// Every request whose body is read: what endpoint or operation, and its headers.
fn readers() -> [(&'static str, Headers); 3] {
    [
        ("logout token", request("POST", "/oauth2/backchannel_logout", &[FORM])),
        ("token request", request("POST", "/oauth2/token", &[FORM])),
        ("operation", by(Role::Viewer, "POST", "/api/block_documents/filter")),
    ]
}

/// Half bodies from one address, and what becomes of the one that is too many.
fn half_bodies(world: &mut World, headers: &Headers, count: usize) -> Vec<Gate> {
    (0..count)
        .map(|number| {
            let (mut gate, outcome) = world.begin(headers);
            assert!(matches!(outcome, Outcome::Reading(_)), "{number}: {outcome:?}");
            assert_eq!(gate.on_request_data(b"half", false, &mut world.cx()), DataStep::Hold);
            gate
        })
        .collect()
}

#[test]
fn half_bodies_are_bounded_by_network_and_worker() {
    for (what, headers) in readers() {
        let mut world = World::with(&settings());
        let mut held = Vec::new();
        for network in 0..BODIES / BODIES_PER_NETWORK {
            world.peer.address = format!("192.0.2.{network}").into_bytes();
            held.extend(half_bodies(&mut world, &headers, BODIES_PER_NETWORK));
            let refused = world.begin(&headers).1.reply();
            assert_eq!((refused.status, code(&refused).as_str()), (503, "busy"), "{what}");
        }
        world.peer.address = b"192.0.2.99".to_vec();
        assert_eq!(world.begin(&headers).1.reply().status, 503, "{what}: from another network");
        // Whoever leaves or is answered makes room.
        held.pop().unwrap().finish(&mut world.site);
        half_bodies(&mut world, &headers, 1);
        let answered = held[0].on_request_data(b"not a form", true, &mut world.cx());
        assert!(matches!(answered, DataStep::Answer(_)), "{what}: {answered:?}");
        half_bodies(&mut world, &headers, 1);
    }
}

#[test]
fn a_body_that_does_not_arrive_is_answered_after_ten_seconds() {
    for (what, headers) in readers() {
        let mut world = World::with(&settings());
        let mut gate = half_bodies(&mut world, &headers, 1).remove(0);
        world.pass(9);
        // More bytes do not renew the time.
        assert_eq!(gate.on_request_data(b"half of", false, &mut world.cx()), DataStep::Hold);
        assert!(world.work().is_empty(), "{what}");
        world.pass(1);
        assert_eq!(world.work().len(), 1, "{what}");
        assert!(gate.is_waiting());
        let late = gate.on_wake(RequestView { headers: &headers }, &mut world.cx());
        let Decision::Reply(reply) = late else { panic!("{what}: {late:?}") };
        assert_eq!(reply.status, 408, "{what}");
        let line = gate.take_event(&mut world.site, world.now).unwrap().line.unwrap();
        assert!(line.contains("reason=body_timeout"), "{line}");
        assert!(gate.take_event(&mut world.site, world.now).is_none());
        half_bodies(&mut world, &headers, BODIES_PER_NETWORK);
    }
}

#[test]
fn trailers_give_the_place_back() {
    for (what, headers) in readers() {
        let mut world = World::with(&settings());
        for _ in 0..3 * BODIES_PER_NETWORK {
            let mut gate = half_bodies(&mut world, &headers, 1).remove(0);
            let step = gate.on_request_trailers(&mut world.cx());
            assert!(matches!(step, DataStep::Answer(_)), "{what}: {step:?}");
            gate.finish(&mut world.site);
        }
    }
}
