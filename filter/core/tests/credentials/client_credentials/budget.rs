//! Guesses of secrets: how many reach the provider, and whom they hold up.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::foundation::limits::ATTEMPTS_PER_CLIENT;
use crate::provider::callout::CalloutReply;
use crate::site::Call;
use crate::site::SiteCall;
use crate::testing::machines::{PAIR, asks};
use crate::testing::{Outcome, World, basic, code, reply_of, request};

#[test]
fn a_refusal_is_remembered_for_longer_each_time() {
    let mut world = World::new();
    for (number, pause) in [2, 4, 8, 16, 32, 64, 64].into_iter().enumerate() {
        for _ in 0..10 {
            assert_eq!(world.status_of("etl-worker:wrong"), 401);
        }
        assert_eq!(world.exchanges(), number + 1);
        world.pass(pause);
    }
    // Set right at the provider meanwhile.
    world.idp.clients.insert("etl-worker".into(), "wrong".into());
    assert_eq!(world.status_of("etl-worker:wrong"), 200);
    // Another secret of the same client is another matter.
    assert_eq!(world.status_of(PAIR), 401);
}

#[test]
fn guesses_are_bounded_and_starve_nobody() {
    let mut world = World::new();
    world.idp.clients.insert("other".into(), "secret".into());
    assert_eq!(world.status_of(PAIR), 200);
    let mut asked = 0;
    for number in 0..10_000 {
        let answer = world.status_of(&format!("etl-worker:guess-{number}"));
        assert!(matches!(answer, 401 | 503), "{answer}");
        asked += usize::from(answer == 401);
        if number % 100 == 0 {
            assert_eq!(world.status_of(PAIR), 200, "the known worker");
        }
    }
    // One was the worker's own.
    assert_eq!(asked + 1, ATTEMPTS_PER_CLIENT.burst as usize);
    // The same worker starts anew elsewhere, and another one at the same place.
    world.peer.address = b"198.51.100.7".to_vec();
    assert_eq!(world.status_of("other:secret"), 200);
    let mut fresh = World::new();
    fresh.idp.clients.insert("other".into(), "secret".into());
    for number in 0..100 {
        fresh.status_of(&format!("etl-worker:guess-{number}"));
    }
    assert_eq!(fresh.status_of("other:secret"), 200);
    fresh.peer.address = b"198.51.100.7".to_vec();
    assert_eq!(fresh.status_of(PAIR), 200);
}

/// Renewals have a budget of their own: a flood of guesses in flight holds up no worker.
#[test]
fn a_renewal_is_sent_while_guesses_fill_the_budget() {
    let mut world = World::new();
    assert_eq!(world.status_of(PAIR), 200);
    world.pass(300);
    world.work();
    for number in 0..200_u32 {
        world.peer.address = number.to_be_bytes().to_vec();
        drop(world.begin(&asks(&format!("guess-{number}:x"))));
    }
    let in_flight: Vec<_> = core::iter::from_fn(|| world.poll())
        .filter(|(call, _)| matches!(call, SiteCall(Call::Grant(_))))
        .collect();
    assert_eq!(in_flight.len(), 32);
    let (gate, outcome) = world.begin(&asks(PAIR));
    assert!(matches!(outcome, Outcome::Waiting));
    let outcomes = world.finish_waiting(vec![(gate, asks(PAIR))]);
    assert_eq!(outcomes[0].1.status(), 200);
}

#[test]
fn one_odd_guess_keeps_nobody_else_out() {
    let mut world = World::new();
    world.idp.clients.insert("other".into(), "secret".into());
    // A proxy or server between here and there drops a call with such a header: Envoy makes that a
    // 503.
    world.idp.instead_of_tokens = Some((503, Vec::new()));
    world.status_of(&format!("x:{}", "é".repeat(5000)));
    world.idp.instead_of_tokens = None;
    world.peer.address = b"198.51.100.7".to_vec();
    assert_eq!(world.status_of("other:secret"), 200);
}

#[test]
fn guesses_that_queue_hold_up_no_renewal() {
    let mut world = World::new();
    assert_eq!(world.status_of(PAIR), 200);
    world.pass(300);
    let mut next = 0_u32;
    let mut seconds = Vec::new();
    for second in 0..70 {
        for _ in 0..1100 {
            next += 1;
            world.peer.address = next.to_be_bytes().to_vec();
            drop(world.begin(&asks(&format!("guess-{next}:x"))));
        }
        world.peer.address = b"192.0.2.1".to_vec();
        let (_, outcome) = world.begin(&asks(PAIR));
        seconds.push((second, outcome.status()));
        // A provider that answers 32 in a second.
        let calls: Vec<_> = core::iter::from_fn(|| world.poll()).collect();
        for (call, callout) in calls {
            let answer = world.idp.answer(&callout, world.now);
            world.site.on_callout(call, reply_of(answer.as_ref()), world.now);
        }
        if world.idp.shown.iter().filter(|client| *client == "etl-worker").count() > 1 {
            return;
        }
        world.pass(1);
    }
    panic!("never renewed: {seconds:?}");
}

fn code_of(reply: &crate::answer::reply::Reply) -> String {
    if reply.body.is_empty() { String::new() } else { code(reply) }
}

#[test]
fn guesses_behind_nginx_starve_nobody() {
    let mut world = World::new();
    for n in 0..100_u32 {
        world.peer.address = n.to_be_bytes().to_vec();
        let line = basic(&format!("guess-{n}:x"));
        world.request(&request("GET", "/oauth2/auth", &[("authorization", &line)]));
    }
    world.peer.address = b"198.51.100.7".to_vec();
    let line = basic(PAIR);
    let reply =
        world.request(&request("GET", "/oauth2/auth", &[("authorization", &line)])).1.reply();
    assert_eq!((reply.status, code_of(&reply)), (202, String::new()));
}

#[test]
fn names_that_nobody_has_fill_no_bucket_up() {
    let mut world = World::new();
    for n in 0..20 {
        world.status_of(&format!("etl-worker:guess-{n}"));
    }
    assert_eq!(world.idp.shown.len(), 8);
    for n in 0..5000 {
        world.status_of(&format!("nobody-{n}:x"));
    }
    world.pass(1);
    let before = world.idp.shown.iter().filter(|c| *c == "etl-worker").count();
    for n in 20..40 {
        world.status_of(&format!("etl-worker:guess-{n}"));
    }
    let after = world.idp.shown.iter().filter(|c| *c == "etl-worker").count();
    assert!(after - before <= 1, "{} guesses in one second", after - before);
}

#[test]
fn mapped_addresses_are_those_of_ipv4() {
    use crate::wire::network::network;
    assert_ne!(network(b"[::ffff:192.0.2.1]"), network(b"[::ffff:198.51.100.7]"));
}

#[test]
fn one_lost_guess_gives_up_nobody_who_stands_in_the_queue() {
    let mut world = World::new();
    world.idp.clients.insert("other".into(), "secret".into());
    let mut guesses = Vec::new();
    for n in 0..33_u32 {
        world.peer.address = n.to_be_bytes().to_vec();
        guesses.push(world.begin(&asks(&format!("guess-{n}:x"))).0);
    }
    world.peer.address = b"198.51.100.7".to_vec();
    let (gate, outcome) = world.begin(&asks("other:secret"));
    assert!(matches!(outcome, Outcome::Waiting));
    // 32 are sent; one of them is lost on the way, the others are answered.
    let calls: Vec<_> = core::iter::from_fn(|| world.poll()).collect();
    assert_eq!(calls.len(), 32);
    world.site.on_callout(
        calls[0].0,
        CalloutReply::Answer { status: 503, encoded: false, body: b"" },
        world.now,
    );
    let outcomes = world.finish_waiting(vec![(gate, asks("other:secret"))]);
    assert_eq!(outcomes[0].1.status(), 200);
}

/// An answer of the provider after the request has left: counters come back to nothing.
#[test]
fn counters_come_back() {
    let mut world = World::new();
    for round in 0..50_u32 {
        for n in 0..40_u32 {
            world.peer.address = (round * 1000 + n).to_be_bytes().to_vec();
            let (mut gate, _) = world.begin(&asks(&format!("g-{round}-{n}:x")));
            if n % 3 == 0 {
                gate.finish(&mut world.site)
            }
        }
        let calls: Vec<_> = core::iter::from_fn(|| world.poll())
            .filter(|(c, _)| matches!(c, SiteCall(Call::Grant(_))))
            .collect();
        assert_eq!(calls.len(), 32, "round {round}");
        for (at, (call, callout)) in calls.into_iter().enumerate() {
            let answer = match at % 4 {
                0 => None,
                1 => Some((500, vec![])),
                _ => world.idp.answer(&callout, world.now),
            };
            world.site.on_callout(call, reply_of(answer.as_ref()), world.now);
            world.site.on_callout(call, reply_of(answer.as_ref()), world.now);
        }
        world.work();
        world.pass(5);
        while let Some((call, callout)) = world.poll() {
            let answer = world.idp.answer(&callout, world.now);
            world.site.on_callout(call, reply_of(answer.as_ref()), world.now);
        }
        world.pass(5);
    }
}

#[test]
fn who_was_given_up_is_not_queued_for_nobody() {
    let mut world = World::new();
    let mut guesses = Vec::new();
    for n in 0..40_u32 {
        world.peer.address = n.to_be_bytes().to_vec();
        let headers = asks(&format!("guess-{n}:x"));
        guesses.push((world.begin(&headers).0, headers));
    }
    let calls: Vec<_> = core::iter::from_fn(|| world.poll())
        .filter(|(c, _)| matches!(c, SiteCall(Call::Grant(_))))
        .collect();
    assert_eq!(calls.len(), 32);
    world.pass(6);
    assert!(world.poll().is_none());
    let now = world.now;
    let woken = world.site.take_woken(now);
    assert_eq!(woken.len(), 8);
    let rest = guesses.split_off(32);
    for (mut gate, headers) in rest {
        let view = crate::wire::http::request::RequestView { headers: &headers };
        let decision = gate.on_wake(view, &mut world.cx());
        assert!(matches!(decision, crate::gate::decision::Decision::Reply(_)));
        gate.finish(&mut world.site);
    }
    for (call, _) in calls {
        world.site.on_callout(call, CalloutReply::NoAnswer, now);
    }
    let sent = core::iter::from_fn(|| world.poll())
        .filter(|(c, _)| matches!(c, SiteCall(Call::Grant(_))))
        .count();
    assert_eq!(sent, 0, "exchanges for requests that were answered with 503");
}
