//! The records of the store in which leases and results of refreshes stand: two workers that write
//! one at once, and more sessions in one than it has places for.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use core::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::LazyLock;

use crate::testing::browser::Browser;
use crate::testing::store::MemoryStore;
use crate::testing::{Outcome, World, configuration, reply_of};
use crate::tests::sessions::pass;
use crate::workers::{SharedStore, Stored, Written};

/// The first reads see nothing, as between another worker's read and its write.
struct Racing {
    inner: Rc<MemoryStore>,
    blind: Cell<usize>,
}

impl SharedStore for Racing {
    fn read(&self, name: &str) -> Option<Stored> {
        if name.starts_with("lictor.answers.") && self.blind.get() > 0 {
            self.blind.set(self.blind.get() - 1);
            // What stood there when this worker read: nothing, for the very first time.
            return None;
        }
        self.inner.read(name)
    }
    fn write(&self, name: &str, value: &[u8], version: Option<u32>) -> Written {
        self.inner.write(name, value, version)
    }
}

/// Two workers that write a record for the first time.
#[test]
fn the_first_lease_of_a_record_is_won_by_one_worker() {
    let store = Rc::new(MemoryStore::default());
    let mut first = World::worker(&store);
    let racing = Rc::new(Racing { inner: Rc::clone(&store), blind: Cell::new(0) });
    let mut second = World::worker(&racing);
    let browser = first.log_in();
    for w in [&mut first, &mut second] {
        w.pass(300);
        w.work();
    }
    // both look and read for the lease before either writes
    let (_g1, o1) = first.begin(&browser.asks());
    racing.blind.set(2);
    let (_g2, o2) = second.begin(&browser.asks());
    assert!(matches!((o1, o2), (Outcome::Waiting, Outcome::Waiting)));
    let (a, b) = (first.poll().is_some(), second.poll().is_some());
    assert!(a ^ b, "one refresh: {a} {b}");
}

/// Nine people whose results stand in one record, found once by a worker on a store of its own.
static NINE_OF_ONE_RECORD: LazyLock<Vec<Browser>> = LazyLock::new(|| {
    let mut world = World::new();
    let store = Rc::new(MemoryStore::default());
    let mut probe = World::worker(&store);
    probe.pass(300);
    let mut by_record: HashMap<String, Vec<Browser>> = HashMap::new();
    for number in 1.. {
        let browser = world.log_in();
        let name = record_of(&mut probe, &store, &browser);
        let sharing = by_record.entry(name).or_default();
        sharing.push(browser);
        if sharing.len() == 9 {
            return sharing.clone();
        }
        if number % 32 == 0 {
            // The probe waits for nobody, so that its queue never fills.
            probe.restart(&configuration(), &store);
            probe.work();
        }
    }
    panic!("a record takes in any number of sessions")
});

/// The record in which a worker takes the lease of a due session.
fn record_of(probe: &mut World, store: &MemoryStore, browser: &Browser) -> String {
    let versions = || -> HashMap<String, u32> {
        let values = store.0.borrow();
        let records = values.iter().filter(|(name, _)| name.starts_with("lictor.answers."));
        records.map(|(name, (_, version))| (name.clone(), *version)).collect()
    };
    let before = versions();
    assert!(matches!(probe.begin(&browser.asks()).1, Outcome::Waiting));
    while probe.poll().is_some() {}
    let changed = |(name, version): &(String, u32)| before.get(name) != Some(version);
    versions().into_iter().find(changed).expect("a lease").0
}

/// Two workers, and nine people of one record whose sessions are due.
fn crowded() -> (World, World, Vec<Browser>) {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (World::worker(&store), World::worker(&store));
    pass([&mut first, &mut second], 300);
    (first, second, NINE_OF_ONE_RECORD.clone())
}

fn all_wait(world: &mut World, browsers: &[Browser]) {
    for browser in browsers {
        assert!(matches!(world.begin(&browser.asks()).1, Outcome::Waiting));
    }
}

/// More sessions than a record has results for: leases stay.
#[test]
fn leases_are_not_pushed_out_of_a_crowded_record() {
    let (mut first, mut second, nine) = crowded();
    all_wait(&mut first, &nine);
    assert!(matches!(second.begin(&nine[0].asks()).1, Outcome::Waiting));
    assert!(second.poll().is_none(), "a second refresh of the same session in this process");
}

/// And a result that was just written stays, whoever else is asking.
#[test]
fn a_result_is_not_pushed_out_of_a_crowded_record_as_it_is_written() {
    let (mut first, mut second, nine) = crowded();
    for browser in &nine[..8] {
        first.request(&browser.asks()).1.forwarded();
    }
    pass([&mut first, &mut second], 301);
    all_wait(&mut first, &nine);
    assert!(matches!(second.begin(&nine[8].asks()).1, Outcome::Waiting));
    let calls: Vec<_> = core::iter::from_fn(|| first.poll()).collect();
    assert_eq!(calls.len(), 9);
    let (call, callout) = calls.last().unwrap();
    let answer = first.idp.answer(callout, first.now);
    first.site.on_callout(*call, reply_of(answer.as_ref()), first.now);
    second.pass(1);
    assert!(second.poll().is_none(), "the same token a second time");
}
