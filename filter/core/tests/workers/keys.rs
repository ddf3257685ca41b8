//! The provider's keys: new ones that a request brings, sets that are of no use, keys that are
//! withdrawn.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::rc::Rc;

use crate::testing::browser::{Browser, NAVIGATION};
use crate::testing::logout::buffered;
use crate::testing::store::MemoryStore;
use crate::testing::{Outcome, World, code, reply_header, request};
use crate::tests::workers::{fetched, version_by};
use serde_json::json;

#[test]
fn an_unknown_key_is_fetched_once_in_ten_seconds_by_all_of_them() {
    let store = Rc::new(MemoryStore::default());
    let mut workers: Vec<World> = (0..3).map(|_| World::starting_worker(&store)).collect();
    for world in &mut workers {
        world.work();
    }
    for second in 0..30 {
        for world in &mut workers {
            world.idp.rotate("forged");
            let claims = world.idp.machine_claims(world.now);
            let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": "nobody's"});
            let token = format!("Bearer {}", world.idp.sign_with(&header, &claims));
            let headers = request("GET", "/api/admin/version", &[("authorization", &token)]);
            let (_, outcome) = world.request(&headers);
            assert!(matches!(outcome, Outcome::Reply(_)), "in second {second}");
            world.pass(1);
        }
    }
    let (_, keys) = fetched(&workers);
    assert!(keys <= 1 + 3, "{keys} fetches in 30 s");
}

#[test]
fn a_key_that_one_has_fetched_serves_the_others() {
    let store = Rc::new(MemoryStore::default());
    let mut workers: Vec<World> = (0..2).map(|_| World::starting_worker(&store)).collect();
    for world in &mut workers {
        world.work();
        world.idp.rotate("k2");
        world.pass(1);
    }
    for world in &mut workers {
        let headers = version_by(world);
        assert_eq!(world.request(&headers).1.status(), 200);
    }
    assert_eq!(fetched(&workers).1, 2, "the first set, and the one with the new key");
}

/// The same for logins and logout tokens, which have ways of their own.
#[test]
fn a_set_of_another_worker_serves_a_login_and_a_logout() {
    let store = Rc::new(MemoryStore::default());
    let worker = || World::worker_with(&buffered(), &store);
    let (mut first, mut second) = (worker(), worker());
    for kid in ["k2", "k3"] {
        for world in [&mut first, &mut second] {
            world.work();
            world.pass(20);
            world.idp.rotate(kid);
        }
        assert_eq!(first.request(&version_by(&first)).1.status(), 200, "it has fetched");
        let before = second.idp.called("/realms/prefect/certs");
        if kid == "k2" {
            let mut browser = Browser::default();
            let callback = browser.start_login(&mut second, "/");
            let (_, outcome) = second.begin(&browser.headers("GET", &callback, &NAVIGATION));
            assert!(matches!(outcome, Outcome::Reply(_)), "no wait for a fetch: {outcome:?}");
        } else {
            let header = json!({"alg": "EdDSA", "typ": "logout+jwt", "kid": kid});
            let token = second.idp.sign_with(&header, &second.logout_claims());
            assert_eq!(second.send_logout_token(&token).status, 200);
        }
        assert_eq!(second.idp.called("/realms/prefect/certs"), before, "{kid}");
    }
}

/// What another worker has fetched may be newer than this worker's set and still lack the key.
#[test]
fn a_newer_set_that_lacks_the_key_is_not_the_end() {
    let store = Rc::new(MemoryStore::default());
    let mut workers: Vec<World> = (0..2).map(|_| World::starting_worker(&store)).collect();
    workers.iter_mut().for_each(|world| drop(world.work()));
    for (round, kid) in ["k2", "k3", "k4", "k5"].into_iter().enumerate() {
        for world in &mut workers {
            world.pass(14);
            world.idp.rotate(kid);
        }
        // In turns one of them meets the key first. The other has an older set than that.
        let headers = version_by(&workers[round % 2]);
        assert_eq!(workers[round % 2].request(&headers).1.status(), 200, "{kid}");
    }
}

/// A request waits for a fetch, and the set that it waits for comes from another worker.
#[test]
fn a_newer_set_wakes_whoever_waits() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (World::starting_worker(&store), World::starting_worker(&store));
    for world in [&mut first, &mut second] {
        world.work();
        world.pass(20);
        world.idp.rotate("k2");
    }
    let headers = version_by(&second);
    let (gate, outcome) = second.begin(&headers);
    assert!(matches!(outcome, Outcome::Waiting));
    assert_eq!(first.request(&version_by(&first)).1.status(), 200, "it has fetched");
    // Another request of an unknown key finds the newer set before the fetch begins.
    let claims = second.idp.machine_claims(second.now);
    let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": "nobody's"});
    let token = format!("Bearer {}", second.idp.sign_with(&header, &claims));
    let unknown = request("GET", "/api/admin/version", &[("authorization", &token)]);
    assert!(matches!(second.begin(&unknown).1, Outcome::Reply(_)), "a fetch would be too soon");
    assert_eq!(second.work().len(), 1, "the one that waits is woken");
    let outcomes = second.finish_waiting(vec![(gate, headers)]);
    assert_eq!(outcomes[0].1.status(), 200);
}

/// Invariant I8, with what providers and proxies in front of them have been seen to answer.
#[test]
fn a_bad_set_leaves_the_last_good_one_for_a_day() {
    let encryption = br#"{"keys":[{"kty":"RSA","use":"enc","n":"AQAB","e":"AQAB"}]}"#;
    let many = format!("{{\"keys\":[{}]}}", vec!["{}"; 65].join(","));
    let bad: [&[u8]; 10] = [
        b"",
        b"<html><title>Sign in</title></html>",
        b"{\"keys\":[{\"kty\":\"OKP\"",
        &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0],
        &vec![b' '; 10 * 1024 * 1024],
        &[0xff, 0xfe, b'{', 0],
        b"{\"keys\":[],\"keys\":[]}",
        b"{\"keys\":[]}",
        encryption,
        many.as_bytes(),
    ];
    for body in bad {
        let mut world = World::starting_worker(&Rc::new(MemoryStore::default()));
        world.work();
        world.idp.instead_of_keys = Some(body.to_vec());
        for _ in 0..10 {
            world.pass(300);
            world.work();
            let headers = version_by(&world);
            assert_eq!(world.request(&headers).1.status(), 200, "{:?}", body.get(..20));
        }
        assert!(world.log.iter().any(|line| line.contains("can't be used") || line.contains("could not be fetched")), "{:?}", world.log);
        world.pass(24 * 3600);
        world.work();
        let headers = version_by(&world);
        assert_eq!(world.request(&headers).1.status(), 503, "keys of the day before are none");
        world.idp.instead_of_keys = None;
        world.pass(1);
        world.work();
        let headers = version_by(&world);
        assert_eq!(world.request(&headers).1.status(), 200, "and it recovers");
    }
}

/// A key that is gone from the set stops counting at the next refresh.
#[test]
fn a_key_that_is_gone_counts_for_five_minutes_at_most() {
    let mut world = World::starting_worker(&Rc::new(MemoryStore::default()));
    world.work();
    let mut claims = world.idp.machine_claims(world.now);
    claims["exp"] = (world.now.secs() + 3600).into();
    let token = format!("Bearer {}", world.idp.sign(&claims));
    let headers = request("GET", "/api/admin/version", &[("authorization", &token)]);
    world.idp.withdraw_all();
    world.idp.rotate("k2");
    world.pass(299);
    world.work();
    assert_eq!(world.request(&headers).1.status(), 200);
    world.pass(1);
    world.work();
    assert_ne!(world.request(&headers).1.status(), 200);
}

/// One worker always came first, and those who waited at the other one waited for ever.
#[test]
fn a_failure_of_one_worker_answers_those_who_wait_at_another() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (World::starting_worker(&store), World::starting_worker(&store));
    for world in [&mut first, &mut second] {
        world.work();
        world.pass(20);
        world.idp.mood = crate::testing::idp::Mood::Away;
    }
    first.idp.rotate("k2");
    let headers = version_by(&first);
    let (mut gate, outcome) = first.begin(&headers);
    assert!(matches!(outcome, Outcome::Waiting));
    let call = first.poll().unwrap();
    second.idp.rotate("k2");
    let waiting = second.begin(&headers);
    assert!(matches!(waiting.1, Outcome::Waiting));
    assert!(second.poll().is_none(), "the first one is fetching");
    first.site.on_callout(call.0, crate::testing::reply_of(Some(&(404, Vec::new()))), first.now);
    second.now = second.now.plus(core::time::Duration::from_millis(100));
    let woken = second.work();
    assert_eq!(woken.len(), 1);
    gate.finish(&mut first.site);
}

/// Requests that came between the first one and the fetch that it caused used to be refused.
#[test]
fn all_that_come_before_the_fetch_wait_for_it() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (World::starting_worker(&store), World::starting_worker(&store));
    first.work();
    second.work();
    for world in [&mut first, &mut second] {
        world.pass(20);
        world.idp.rotate("k2");
    }
    let headers = version_by(&first);
    let here: Vec<_> = (0..3).map(|_| (first.begin(&headers).0, headers.clone())).collect();
    let there: Vec<_> = (0..3).map(|_| (second.begin(&headers).0, headers.clone())).collect();
    assert!(here.iter().chain(&there).all(|(gate, _)| gate.is_waiting()));
    for (world, waiting) in [(&mut first, here), (&mut second, there)] {
        for (_, outcome) in world.finish_waiting(waiting) {
            outcome.forwarded();
        }
    }
    assert_eq!(fetched(&[first, second]).1, 2, "at the start, and once for all six");
}

#[test]
fn unknown_kids_wait_for_one_fetch_and_never_fail_falsely() {
    let mut world = World::new();
    world.pass(60);
    world.idp.rotate("k2");
    let bearer = world.bearer();
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
