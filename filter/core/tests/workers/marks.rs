//! Tombstones of what is over: sign-outs and logouts, which all workers know and none forgets.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::rc::Rc;

use crate::foundation::id::TombstoneId;
use crate::foundation::id::{Id as _, SessionId};
use crate::foundation::time::UnixTime;
use crate::testing::World;
use crate::testing::browser::SCRIPT;
use crate::testing::store::MemoryStore;
use crate::workers::SharedStore;
use crate::workers::tombstones::{Tombstones, tombstone_of};

/// Our own bytes of before, written back by somebody else.
#[test]
fn marks_can_t_be_rolled_back() {
    let store = Rc::new(MemoryStore::default());
    let mut world = World::starting_worker(&store);
    world.work();
    let before = store.0.borrow().clone();
    let mut browser = world.log_in();
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
    let mut world = World::starting_worker(&Rc::new(MemoryStore::default()));
    world.work();
    let browser = world.log_in();
    let headers = browser.asks();
    assert_eq!(world.request(&headers).1.status(), 200);
    assert_eq!(world.idp.called("/realms/prefect/token"), 1);
    for number in 0..5000_u128 {
        world.site.sign_out(SessionId::from_bytes(number.to_be_bytes()), world.now);
    }
    assert_eq!(world.request(&headers).1.status(), 200);
    assert_eq!(world.idp.called("/realms/prefect/token"), 2, "it was confirmed anew");
    world.idp.mood = crate::testing::idp::Mood::RefreshRefused;
    world.pass(1);
    // Every record is full: each further mark takes the place of one.
    for number in 5000..5200_u128 {
        world.site.sign_out(SessionId::from_bytes(number.to_be_bytes()), world.now);
    }
    assert_eq!(world.request(&headers).1.status(), 401);
}

/// The same by marks alone: what was renewed elsewhere is newer here, and stays so in the store.
#[test]
fn marks_renewed_elsewhere_are_newer_here() {
    let store: Rc<dyn SharedStore> = Rc::new(MemoryStore::default());
    let master = [7; 32];
    let mk =
        || Tombstones::new("p", core::time::Duration::from_secs(3600), &master, Rc::clone(&store));
    let (mut a, mut b) = (mk(), mk());
    let what = tombstone_of(b"sub alice");
    let t = UnixTime::from_secs;
    a.renew(what, t(1000));
    b.look();
    assert_eq!(b.at(what, t(1000)), Some(t(1000)));
    a.renew(what, t(1020));
    b.look();
    // b writes another mark into the same record
    let mut other = what.bytes();
    other[0] ^= 1;
    let other = TombstoneId::from_bytes(other);
    b.renew(other, t(1021));
    let mut c = mk();
    c.look();
    assert_eq!(b.at(what, t(1020)), Some(t(1020)), "b");
    assert_eq!(c.at(what, t(1020)), Some(t(1020)), "c");
}

/// The later of two marks stands, whichever clock wrote last.
#[test]
fn a_mark_renewed_by_an_earlier_clock_stands() {
    let store: Rc<dyn SharedStore> = Rc::new(MemoryStore::default());
    let mut marks = Tombstones::new("p", core::time::Duration::from_secs(3600), &[7; 32], store);
    let (what, at) = (tombstone_of(b"sub alice"), UnixTime::from_secs);
    marks.renew(what, at(1000));
    marks.renew(what, at(950));
    assert_eq!(marks.at(what, at(950)), Some(at(1000)));
}
