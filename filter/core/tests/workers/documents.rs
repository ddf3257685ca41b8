//! The provider's metadata and keys, which one worker fetches for all.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::rc::Rc;

use crate::Site;
use crate::testing::browser::Browser;
use crate::testing::store::MemoryStore;
use crate::testing::{World, compile, configuration, host, request};
use crate::tests::workers::{CERTS, fetched, version_by};
use crate::workers::SharedStore;
use serde_json::json;

#[test]
fn a_process_fetches_once() {
    let store = Rc::new(MemoryStore::default());
    let mut workers: Vec<World> = (0..4).map(|_| World::starting_worker(&store)).collect();
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
    let (mut first, mut second) = (World::starting_worker(&store), World::starting_worker(&store));
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
    let (mut first, mut second) = (World::starting_worker(&store), World::starting_worker(&store));
    first.now = second.now.plus(core::time::Duration::from_millis(1));
    assert!(first.poll().is_some());
    assert!(second.poll().is_none(), "the first has the lease");
}

#[test]
fn a_failed_fetch_pauses_all_of_them() {
    let store = Rc::new(MemoryStore::default());
    let mut workers: Vec<World> = (0..4).map(|_| World::starting_worker(&store)).collect();
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
fn what_others_wrote_into_the_store_is_not_believed() {
    let store = Rc::new(MemoryStore::default());
    let mut honest = World::starting_worker(&store);
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
    // The content is good, but its code is not: nobody but a worker can have written the content.
    let mut unproved = one.clone();
    unproved[0] ^= 1;
    let forgeries =
        [two, changed, unproved, one[..40].to_vec(), Vec::new(), b"{\"keys\":[]}".to_vec()];
    for forgery in forgeries {
        store.0.borrow_mut().insert(names[0].clone(), (forgery, 99));
        let mut world = World::starting_worker(&store);
        world.work();
        assert!(world.site.is_ready(world.now), "it fetches for itself");
        assert_eq!(fetched(std::slice::from_ref(&world)).0 + fetched(&[world]).1, 1);
    }
}

#[test]
fn an_old_record_is_not_taken_for_a_fresh_one() {
    let store = Rc::new(MemoryStore::default());
    let mut first = World::starting_worker(&store);
    first.work();
    let mut late = World::starting_worker(&store);
    late.pass(301);
    late.work();
    assert_eq!(late.idp.called(CERTS), 1, "it serves meanwhile, and is fetched anew");
    let mut next_day = World::starting_worker(&store);
    next_day.pass(2 * 24 * 3600);
    next_day.idp.mood = crate::testing::idp::Mood::Away;
    next_day.work();
    assert!(!next_day.site.is_ready(next_day.now), "keys of the day before are none");
}

/// Keys that were fetched while the clock was an hour ahead are older than those that came after.
#[test]
fn a_worker_whose_clock_was_ahead_takes_the_others_keys() {
    let store = Rc::new(MemoryStore::default());
    let (mut right, mut ahead) = (World::starting_worker(&store), World::starting_worker(&store));
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
    let mut first = World::starting_worker(&store);
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
    let mut strict = World::starting_worker(&store);
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

/// Between the first worker's readiness and the next look of the others somebody may come.
#[test]
fn a_worker_that_has_nothing_yet_takes_what_is_there() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (World::starting_worker(&store), World::starting_worker(&store));
    assert!(second.poll().is_some(), "it is fetching, and would be for long");
    first.pass(7);
    second.pass(7);
    first.work();
    assert!(!second.site.is_ready(second.now));
    let headers = version_by(&first);
    assert_eq!(second.request(&headers).1.status(), 200);
    let ready = request("GET", "/oauth2/ready", &[]);
    assert_eq!(second.request(&ready).1.reply().status, 200);
    let mut third = World::starting_worker(&store);
    third.pass(7);
    assert_eq!(Browser::default().load(&mut third, "/").reply().status, 302);
}
