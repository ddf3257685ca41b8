//! Open sockets while the provider is away: they have the grace that requests have, and no more.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::foundation::stream::StreamId;
use crate::testing::idp::Mood;
use crate::testing::machines::{PAIR, asks};
use crate::testing::{Outcome, World};
use crate::tests::sockets::{ended, open_socket};
use serde_json::json;

#[test]
fn grace_is_for_sockets_too() {
    for slow in [false, true] {
        let mut world = World::new();
        let end = world.now.secs() + 3000;
        world.idp.client_claims = json!({ "exp": end });
        let _gate = open_socket(&mut world);
        world.pass(299);
        if slow {
            world.idp.mood = Mood::Away
        } else {
            world.idp.instead_of_tokens = Some((500, b"{}".to_vec()))
        }
        for second in 300..330 {
            world.pass(1);
            // A poll is answered first, each second: the best that a worker can do.
            if slow && second == 305 {
                // This time the provider lets the call wait.
                let (_, outcome) = world.begin(&asks(PAIR));
                assert!(matches!(outcome, Outcome::Waiting));
                assert!(world.poll().is_some());
            } else if !(slow && second > 305) {
                assert_eq!(world.status_of(PAIR), 200, "{second}");
            }
            assert_eq!(ended(&mut world), Vec::<StreamId>::new(), "slow {slow}, second {second}");
            if second == 306 {
                break;
            }
        }
    }
}

#[test]
fn a_socket_opened_in_grace_is_not_ended_at_once() {
    let mut world = World::new();
    let end = world.now.secs() + 3000;
    world.idp.client_claims = json!({ "exp": end });
    assert_eq!(world.status_of(PAIR), 200);
    world.pass(300);
    world.idp.instead_of_tokens = Some((500, b"{}".to_vec()));
    assert_eq!(world.status_of(PAIR), 200);
    let _gate = open_socket(&mut world);
    assert_eq!(ended(&mut world), Vec::<StreamId>::new());
}

#[test]
fn slow_provider_and_sockets() {
    let mut world = World::new();
    let end = world.now.secs() + 3000;
    world.idp.client_claims = json!({ "exp": end });
    let _gate = open_socket(&mut world);
    world.pass(300);
    world.idp.mood = Mood::Away;
    assert_eq!(world.status_of(PAIR), 200, "in grace");
    assert!(ended(&mut world).is_empty());
    world.pass(5);
    // The next try is on its way: the provider has 5 s.
    let (_gate2, outcome) = world.begin(&asks(PAIR));
    assert!(matches!(outcome, Outcome::Waiting));
    assert!(world.poll().is_some());
    assert_eq!(ended(&mut world), Vec::<StreamId>::new(), "while HTTP goes on in grace");
}

#[test]
fn in_an_outage_every_pair_s_sockets_have_grace() {
    let mut world = World::new();
    let end = world.now.secs() + 3000;
    world.idp.client_claims = json!({ "exp": end });
    world.idp.clients.insert("other".into(), "secret".into());
    assert_eq!(world.status_of("other:secret"), 200);
    let _gate = open_socket(&mut world); // etl-worker's
    world.pass(300);
    world.idp.instead_of_tokens = Some((503, Vec::new()));
    for second in 300..340 {
        // Both are shown in every second, and both go on in grace.
        assert_eq!(world.status_of("other:secret"), 200, "{second}");
        assert_eq!(world.status_of(PAIR), 200, "{second}");
        assert_eq!(ended(&mut world), Vec::<StreamId>::new(), "second {second}");
        world.pass(1);
    }
}

#[test]
fn a_socket_that_is_opened_in_another_pair_s_outage_lives() {
    let mut world = World::new();
    let end = world.now.secs() + 3000;
    world.idp.client_claims = json!({ "exp": end });
    world.idp.clients.insert("other".into(), "secret".into());
    assert_eq!(world.status_of("other:secret"), 200);
    assert_eq!(world.status_of(PAIR), 200);
    world.pass(330);
    world.idp.instead_of_tokens = Some((503, Vec::new()));
    assert_eq!(world.status_of("other:secret"), 200);
    let _gate = open_socket(&mut world);
    assert_eq!(ended(&mut world), Vec::<StreamId>::new());
}

#[test]
fn one_silence_is_no_grace_for_ever() {
    let mut world = World::new();
    let end = world.now.secs() + 100_000;
    world.idp.client_claims = json!({ "exp": end });
    let _gate = open_socket(&mut world);
    world.pass(300);
    world.idp.instead_of_tokens = Some((503, Vec::new()));
    assert_eq!(world.status_of(PAIR), 200);
    // The provider is back at once, and the client is revoked; it shows its pair to nobody any
    // more.
    world.idp.instead_of_tokens = None;
    world.idp.clients.clear();
    let mut last = 0;
    for second in 0..4000 {
        world.pass(1);
        world.work();
        if !ended(&mut world).is_empty() {
            break;
        }
        last = second;
    }
    assert!(last < 60, "a revoked client's socket went on for {last} s");
}
