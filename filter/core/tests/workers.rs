//! Several workers of one process: what one has fetched all have, and what is in the store between
//! them is believed only when one of them wrote it (invariant I13).

use crate::foundation::id::{Id as _, SessionId};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::rc::Rc;

use crate::Site;
use crate::testing::browser::{Browser, NAVIGATION, SCRIPT};
use crate::testing::store::MemoryStore;
use crate::testing::{Outcome, World, compile, configuration, host, request};
use crate::workers::SharedStore;
use serde_json::json;

const METADATA: &str = "/realms/prefect/.well-known/openid-configuration";
const CERTS: &str = "/realms/prefect/certs";

/// A worker of the process whose store this is, with a provider of its own to count its calls.
fn worker(store: &Rc<MemoryStore>) -> World {
    let mut world = World::starting(&configuration());
    let store: Rc<dyn SharedStore> = Rc::<MemoryStore>::clone(store);
    world.site = Site::new(compile(&configuration()), host(store));
    world
}

fn fetched(workers: &[World]) -> (usize, usize) {
    let calls = |path| workers.iter().map(|world| world.idp.called(path)).sum();
    (calls(METADATA), calls(CERTS))
}

fn bearer(world: &World) -> crate::testing::Headers {
    let token = format!("Bearer {}", world.idp.sign(&world.idp.machine_claims(world.now)));
    request("GET", "/api/admin/version", &[("authorization", &token)])
}

#[test]
fn a_process_fetches_once() {
    let store = Rc::new(MemoryStore::default());
    let mut workers: Vec<World> = (0..4).map(|_| worker(&store)).collect();
    for world in &mut workers {
        world.work();
        assert!(world.site.is_ready(world.now));
    }
    assert_eq!(fetched(&workers), (1, 1));
    // Five minutes later one of them refreshes for all.
    for world in &mut workers {
        world.pass(300);
        world.work();
    }
    assert_eq!(fetched(&workers), (1, 2));
}

#[test]
fn while_one_fetches_the_others_wait() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (worker(&store), worker(&store));
    let call = first.poll();
    assert!(call.is_some());
    assert!(second.poll().is_none(), "the first has the lease");
    // It died: after the time of a call another one tries.
    second.pass(6);
    assert!(second.poll().is_some());
}

/// Workers read the clock one after the other, and may come to the store the other way round.
#[test]
fn a_worker_that_read_the_clock_earlier_sees_the_lease_of_a_later_reading() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (worker(&store), worker(&store));
    first.now = second.now.plus(core::time::Duration::from_millis(1));
    assert!(first.poll().is_some());
    assert!(second.poll().is_none(), "the first has the lease");
}

#[test]
fn a_failed_fetch_pauses_all_of_them() {
    let store = Rc::new(MemoryStore::default());
    let mut workers: Vec<World> = (0..4).map(|_| worker(&store)).collect();
    for tenth in 0..100 {
        for world in &mut workers {
            world.idp.mood = crate::testing::idp::Mood::Away;
            world.now = world.now.plus(core::time::Duration::from_millis(100));
            world.work();
        }
        let (metadata, _) = fetched(&workers);
        assert!(metadata <= tenth / 10 + 1, "{metadata} calls in {tenth} tenths of a second");
    }
}

#[test]
fn an_unknown_key_is_fetched_once_in_ten_seconds_by_all_of_them() {
    let store = Rc::new(MemoryStore::default());
    let mut workers: Vec<World> = (0..3).map(|_| worker(&store)).collect();
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
    let mut workers: Vec<World> = (0..2).map(|_| worker(&store)).collect();
    for world in &mut workers {
        world.work();
        world.idp.rotate("k2");
        world.pass(1);
    }
    for world in &mut workers {
        let headers = bearer(world);
        assert_eq!(world.request(&headers).1.status(), 200);
    }
    assert_eq!(fetched(&workers).1, 2, "the first set, and the one with the new key");
}

#[test]
fn what_others_wrote_into_the_store_is_not_believed() {
    let store = Rc::new(MemoryStore::default());
    let mut honest = worker(&store);
    honest.work();
    // Another module swaps the records, cuts them, and writes its own.
    let mut names: Vec<String> = store.0.borrow().keys().cloned().collect();
    names.retain(|name| name.starts_with("lictor.document."));
    assert_eq!(names.len(), 2);
    let (one, two) = {
        let values = store.0.borrow();
        (values[&names[0]].0.clone(), values[&names[1]].0.clone())
    };
    let mut changed = one.clone();
    *changed.last_mut().unwrap() ^= 1;
    let forgeries = [two, changed, one[..40].to_vec(), Vec::new(), b"{\"keys\":[]}".to_vec()];
    for forgery in forgeries {
        store.0.borrow_mut().insert(names[0].clone(), (forgery, 99));
        let mut world = worker(&store);
        world.work();
        assert!(world.site.is_ready(world.now), "it fetches for itself");
        assert_eq!(fetched(std::slice::from_ref(&world)).0 + fetched(&[world]).1, 1);
    }
}

#[test]
fn an_old_record_is_not_taken_for_a_fresh_one() {
    let store = Rc::new(MemoryStore::default());
    let mut first = worker(&store);
    first.work();
    let mut late = worker(&store);
    late.pass(301);
    late.work();
    assert_eq!(late.idp.called(CERTS), 1, "it serves meanwhile, and is fetched anew");
    let mut next_day = worker(&store);
    next_day.pass(2 * 24 * 3600);
    next_day.idp.mood = crate::testing::idp::Mood::Away;
    next_day.work();
    assert!(!next_day.site.is_ready(next_day.now), "keys of the day before are none");
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
        let mut world = worker(&Rc::new(MemoryStore::default()));
        world.work();
        world.idp.instead_of_keys = Some(body.to_vec());
        for _ in 0..10 {
            world.pass(300);
            world.work();
            let headers = bearer(&world);
            assert_eq!(world.request(&headers).1.status(), 200, "{:?}", body.get(..20));
        }
        assert!(world.log.iter().any(|line| line.contains("can't be used") || line.contains("could not be fetched")), "{:?}", world.log);
        world.pass(24 * 3600);
        world.work();
        let headers = bearer(&world);
        assert_eq!(world.request(&headers).1.status(), 503, "keys of the day before are none");
        world.idp.instead_of_keys = None;
        world.pass(1);
        world.work();
        let headers = bearer(&world);
        assert_eq!(world.request(&headers).1.status(), 200, "and it recovers");
    }
}

/// A key that is gone from the set stops counting at the next refresh (F-9).
#[test]
fn a_key_that_is_gone_counts_for_five_minutes_at_most() {
    let mut world = worker(&Rc::new(MemoryStore::default()));
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
    let (mut first, mut second) = (worker(&store), worker(&store));
    for world in [&mut first, &mut second] {
        world.work();
        world.pass(20);
        world.idp.mood = crate::testing::idp::Mood::Away;
    }
    first.idp.rotate("k2");
    let headers = bearer(&first);
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

/// Redeemed twice, a code makes Keycloak end the session.
#[test]
fn a_callback_that_comes_twice_is_redeemed_by_one_worker() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (worker(&store), worker(&store));
    first.work();
    second.work();
    let mut browser = Browser::default();
    let callback = browser.start_login(&mut first, "/");
    second.idp.nonce = first.idp.nonce.clone();
    let headers = browser.headers("GET", &callback, &NAVIGATION);
    assert_eq!(first.request(&headers).1.status(), 302);
    let reply = second.request(&headers).1.reply();
    let to = crate::testing::reply_header(&reply, "location").unwrap();
    assert!(to.starts_with(&format!("{}/auth?", crate::testing::ISSUER)), "a fresh login: {to}");
    assert_eq!(second.idp.called("/realms/prefect/token"), 0);
}

#[test]
fn a_session_that_was_signed_out_counts_at_no_worker() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (worker(&store), worker(&store));
    first.work();
    second.work();
    let mut browser = Browser::default();
    browser.log_in(&mut first, "/");
    let copied = browser.clone();
    let headers = copied.headers("GET", "/api/flows/1", &SCRIPT);
    assert_eq!(second.request(&headers).1.status(), 200);
    assert_eq!(browser.load(&mut first, "/oauth2/sign_out").reply().status, 200);
    for world in [&mut first, &mut second] {
        assert_eq!(world.request(&headers).1.status(), 401);
    }
    // What somebody else writes over the marks makes nobody forget them.
    for (value, version) in store.0.borrow_mut().values_mut() {
        *value = b"not ours".to_vec();
        *version += 1;
    }
    assert_eq!(second.request(&headers).1.status(), 401);
}

/// Our own bytes of before, written back by somebody else.
#[test]
fn marks_can_t_be_rolled_back() {
    let store = Rc::new(MemoryStore::default());
    let mut world = worker(&store);
    world.work();
    let before = store.0.borrow().clone();
    let mut browser = Browser::default();
    browser.log_in(&mut world, "/");
    let headers = browser.clone().headers("GET", "/api/flows/1", &SCRIPT);
    assert_eq!(world.request(&headers).1.status(), 200);
    browser.load(&mut world, "/oauth2/sign_out").reply();
    for (name, (value, _)) in before {
        store.0.borrow_mut().insert(name, (value, 99));
    }
    assert_eq!(world.request(&headers).1.status(), 401);
}

/// The list is bounded: when marks of sign-outs are lost, sessions of that time are confirmed anew.
#[test]
fn a_lost_mark_causes_a_recheck() {
    let mut world = worker(&Rc::new(MemoryStore::default()));
    world.work();
    let mut browser = Browser::default();
    browser.log_in(&mut world, "/");
    let headers = browser.headers("GET", "/api/flows/1", &SCRIPT);
    assert_eq!(world.request(&headers).1.status(), 200);
    assert_eq!(world.idp.called("/realms/prefect/token"), 1);
    for number in 0..5000_u128 {
        world.site.sign_out(SessionId::from_bytes(number.to_be_bytes()), world.now);
    }
    assert_eq!(world.request(&headers).1.status(), 200);
    assert_eq!(world.idp.called("/realms/prefect/token"), 2, "it was confirmed anew");
    world.idp.mood = crate::testing::idp::Mood::RefreshRefused;
    world.pass(1);
    for number in 5000..10_000_u128 {
        world.site.sign_out(SessionId::from_bytes(number.to_be_bytes()), world.now);
    }
    assert_eq!(world.request(&headers).1.status(), 401);
}

/// Keys that were fetched while the clock was an hour ahead are older than those that came after.
#[test]
fn a_worker_whose_clock_was_ahead_takes_the_others_keys() {
    let store = Rc::new(MemoryStore::default());
    let (mut right, mut ahead) = (worker(&store), worker(&store));
    let now = ahead.now;
    ahead.pass(3600);
    ahead.work();
    ahead.now = now;
    right.work();
    assert!(right.site.is_ready(right.now));
    ahead.idp.mood = crate::testing::idp::Mood::Away;
    ahead.pass(1);
    ahead.work();
    assert!(ahead.site.is_ready(ahead.now), "{:?}", ahead.log);
}

/// A stricter configuration beside an older one: what is in the store is of no use to it.
#[test]
fn metadata_that_can_t_be_used_here_are_fetched_and_complained_about() {
    let store = Rc::new(MemoryStore::default());
    let mut first = worker(&store);
    first.idp.instead_of_metadata = Some(json!({
        "issuer": crate::testing::ISSUER,
        "authorization_endpoint": format!("{}/auth", crate::testing::ISSUER),
        "token_endpoint": format!("{}/token", crate::testing::ISSUER),
        "jwks_uri": format!("{}/certs", crate::testing::ISSUER),
    }));
    first.work();
    assert!(first.site.is_ready(first.now));
    let mut settings = configuration();
    settings["idp"] = json!({"userinfo": true});
    let mut strict = worker(&store);
    let shared: Rc<dyn SharedStore> = Rc::<MemoryStore>::clone(&store);
    strict.site = Site::new(compile(&settings), host(shared));
    strict.idp.instead_of_metadata = first.idp.instead_of_metadata.clone();
    strict.work();
    assert!(!strict.site.is_ready(strict.now));
    assert!(strict.log.iter().any(|line| line.contains("userinfo_endpoint")), "{:?}", strict.log);
    strict.idp.instead_of_metadata = None;
    strict.pass(2);
    strict.work();
    assert!(strict.site.is_ready(strict.now), "it was mended at the provider");
}

/// A refusal is a sign of life: the session has ended, and the login is open.
#[test]
fn a_session_that_ended_at_the_provider_leads_to_the_login() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (worker(&store), worker(&store));
    first.work();
    second.work();
    let mut browser = Browser::default();
    browser.log_in(&mut second, "/");
    for world in [&mut first, &mut second] {
        world.pass(300);
        world.work();
        world.pass(40);
    }
    second.idp.mood = crate::testing::idp::Mood::RefreshRefused;
    let headers = browser.headers("GET", "/runs", &NAVIGATION);
    assert_eq!(second.request(&headers).1.reply().status, 302);
}

/// Better a page that tries again by itself than the browser's own at a provider that is gone.
#[test]
fn nobody_is_sent_to_a_provider_that_is_gone() {
    let mut world = worker(&Rc::new(MemoryStore::default()));
    world.work();
    let mut browser = Browser::default();
    assert_eq!(browser.load(&mut world, "/x").reply().status, 302);
    world.idp.mood = crate::testing::idp::Mood::Away;
    world.pass(31);
    for _ in 0..3 {
        let mut other = Browser::default();
        let reply = other.load(&mut world, "/x").reply();
        assert_eq!((reply.status, other.cookies.len()), (503, 0));
        assert!(crate::testing::reply_header(&reply, "retry-after").is_some());
        world.pass(1);
    }
    world.idp.mood = crate::testing::idp::Mood::Well;
    world.pass(1);
    world.work();
    assert_eq!(browser.load(&mut world, "/x").reply().status, 302, "it is back, and so are we");
}

/// Between the first worker's readiness and the next look of the others somebody may come.
#[test]
fn a_worker_that_has_nothing_yet_takes_what_is_there() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (worker(&store), worker(&store));
    assert!(second.poll().is_some(), "it is fetching, and would be for long");
    first.pass(7);
    second.pass(7);
    first.work();
    assert!(!second.site.is_ready(second.now));
    let headers = bearer(&first);
    assert_eq!(second.request(&headers).1.status(), 200);
    let ready = request("GET", "/oauth2/ready", &[]);
    assert_eq!(second.request(&ready).1.reply().status, 200);
    let mut third = worker(&store);
    third.pass(7);
    assert_eq!(Browser::default().load(&mut third, "/").reply().status, 302);
}

/// What another worker heard a minute ago is no sign of life, and no reason to say that there is none.
#[test]
fn a_login_waits_for_a_new_answer_not_for_an_old_one() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (worker(&store), worker(&store));
    first.work();
    second.work();
    for world in [&mut first, &mut second] {
        world.pass(100);
    }
    assert_eq!(Browser::default().load(&mut first, "/").reply().status, 302);
    for seconds in [31, 29, 60] {
        second.pass(seconds);
        assert_eq!(Browser::default().load(&mut second, "/").reply().status, 302);
    }
    let mut third = worker(&store);
    third.pass(400);
    assert_eq!(Browser::default().load(&mut third, "/").reply().status, 302);
}

/// Requests that came between the first one and the fetch that it caused used to be refused.
#[test]
fn all_that_come_before_the_fetch_wait_for_it() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (worker(&store), worker(&store));
    first.work();
    second.work();
    for world in [&mut first, &mut second] {
        world.pass(20);
        world.idp.rotate("k2");
    }
    let headers = bearer(&first);
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
