//! How many workers of this Envoy are running.
//!
//! Some limits guard what all workers share, such as Prefect's sockets. Each worker keeps its part
//! of such a limit, which depends on their number.

use core::time::Duration;
use std::rc::Rc;

use crate::foundation::codec::{Reader, Writer};
use crate::foundation::crypto::{Entropy, Key, derive, random};
use crate::foundation::time::UnixTime;
use crate::workers::record::{Record, Seal};
use crate::workers::{READ_LATER, SharedStore};

/// How often a worker renews its entry.
const RENEWAL: Duration = Duration::from_secs(10);
/// The time after which a worker that does not renew its entry is no longer counted.
const LIFETIME: Duration = Duration::from_secs(35);
/// The number of looks in a row at which the list has the same length before a worker trusts that
/// number. The workers of an Envoy start one after another, on a busy machine over several seconds.
const FIRST_LOOKS: u8 = 3;
/// The time between these looks.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The number of workers that a worker assumes until it trusts the number.
const ASSUMED: usize = 16;
/// Largest number of entries. Envoy starts one worker for each core.
const MOST: usize = 512;

/// The list of running workers, and this worker's place on it.
pub(crate) struct Census {
    record: Record,
    own: [u8; 8],
    renewed: UnixTime,
    /// How many looks in a row had the same result, up to [`FIRST_LOOKS`].
    looks: u8,
    /// The VMs that are running, this one included.
    running: usize,
}

impl Census {
    /// Creates the list, on which this worker is not yet.
    pub(crate) fn new(master: &Key, store: Rc<dyn SharedStore>, entropy: &mut dyn Entropy) -> Self {
        let key = derive(master, "running workers");
        Self {
            record: Record::new("lictor.workers".to_owned(), key, store, Seal::Readable),
            // Without randomness, workers are taken for one another, and each keeps a larger part.
            own: random(entropy).unwrap_or_default(),
            renewed: UnixTime::default(),
            looks: 0,
            running: 1,
        }
    }

    /// Renews this worker's entry when it is due, and counts the workers.
    pub(crate) fn renew(&mut self, now: UnixTime) {
        let pause = if self.is_settled() { RENEWAL } else { LOOK_AGAIN };
        if !now.is_over(self.renewed, pause) {
            return;
        }
        self.renewed = now;
        let mut running = 1;
        let _ = self.record.update(|content| {
            let mut entries = decode(content.as_deref().unwrap_or_default());
            let is_other = |(id, seen): &([u8; 8], UnixTime)| {
                // A time in the future means that the clock went back.
                *id != self.own && !now.is_over(*seen, LIFETIME) && *seen <= now.plus(READ_LATER)
            };
            entries.retain(is_other);
            entries.truncate(MOST);
            entries.push((self.own, now));
            running = entries.len();
            Some(encode(&entries))
        });
        if !self.is_settled() {
            let is_same = running == self.running;
            self.looks = if is_same { self.looks.saturating_add(1) } else { 1 };
        }
        self.running = running;
    }

    /// Returns this worker's part of a limit for the whole process; at least 1.
    #[must_use]
    pub(crate) fn share(&self, whole: usize) -> usize {
        // Envoy's main thread has a VM, too. It is on the list and gets no requests.
        let workers = self.running.saturating_sub(1);
        let workers = if self.is_settled() { workers } else { workers.max(ASSUMED) };
        whole.checked_div(workers).unwrap_or(whole).max(1)
    }

    /// Trusts the number without further looks: in tests no time passes.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) const fn settle(&mut self) {
        self.looks = FIRST_LOOKS;
    }

    /// Returns whether the others have had time to join the list.
    const fn is_settled(&self) -> bool {
        self.looks >= FIRST_LOOKS
    }
}

fn encode(entries: &[([u8; 8], UnixTime)]) -> Vec<u8> {
    let text = Writer::default();
    entries.iter().fold(text, |text, (id, seen)| text.raw(id).number(seen.millis())).finish()
}

fn decode(content: &[u8]) -> Vec<([u8; 8], UnixTime)> {
    let mut fields = Reader::new(content);
    core::iter::from_fn(|| Some((fields.raw()?, UnixTime::from_millis(fields.number()?)))).collect()
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::testing::Repeatable;
    use crate::testing::store::MemoryStore;
    use crate::workers::NoStore;

    /// The VMs of an Envoy; one of them is the main thread's.
    fn vms(store: &Rc<dyn SharedStore>, count: u64) -> Vec<Census> {
        let master = derive(&[1; 32], "test");
        let census =
            |seed| Census::new(&master, Rc::clone(store), &mut Repeatable::seeded(seed * 1000));
        (1..=count).map(census).collect()
    }

    /// Looks often enough to trust the number; the last time is now.
    fn look(worker: &mut Census, now: UnixTime) {
        (worker.looks, worker.renewed) = (0, UnixTime::default());
        for seconds in (0..u64::from(FIRST_LOOKS)).rev() {
            worker.renew(UnixTime::from_secs(now.secs() - seconds));
        }
    }

    #[test]
    fn a_worker_takes_little_until_the_others_are_on_the_list() {
        let store: Rc<dyn SharedStore> = Rc::new(MemoryStore::default());
        let mut workers = vms(&store, 4);
        let at = UnixTime::from_secs;
        let shares = |worker: &mut Census| {
            // However often the worker could look.
            [100_000, 100_001, 100_050, 101_000, 101_999, 102_000].map(|millis| {
                let before = worker.share(48);
                worker.renew(UnixTime::from_millis(millis));
                before
            })
        };
        // The first one is alone at first, and does not take everything.
        assert_eq!(shares(&mut workers[0]), [3; 6]);
        assert_eq!(workers[0].share(48), 48);
        for worker in &mut workers[1..] {
            assert_eq!(shares(worker), [3; 6]);
        }
        assert_eq!(workers[3].share(48), 16);
        // While others join, it waits: three looks in a row must have the same result.
        let mut slow = vms(&store, 4);
        let mut first = slow.remove(0);
        for (second, worker) in (200..).step_by(2).zip(&mut slow) {
            first.renew(at(second));
            worker.renew(at(second));
            first.renew(at(second + 1));
            assert_eq!(first.share(48), 3, "one more has joined");
        }
        first.renew(at(206));
        first.renew(at(207));
        assert_eq!(first.share(48), 16);
        // More than it assumes are counted immediately.
        let mut crowd = vms(&store, 21);
        for worker in &mut crowd {
            worker.renew(at(103));
        }
        assert_eq!(crowd[20].share(48), 2);
    }

    #[test]
    fn each_worker_has_its_part_of_a_limit() {
        let store: Rc<dyn SharedStore> = Rc::new(MemoryStore::default());
        let mut workers = vms(&store, 5);
        let at = UnixTime::from_secs;
        for worker in &mut workers {
            look(worker, at(100));
        }
        for worker in &mut workers {
            worker.renew(at(110));
            assert_eq!(worker.share(48), 12);
            assert_eq!(worker.share(2), 1, "nobody is left without");
        }
        // All others end. Within half a minute they are no longer counted.
        let last = &mut workers[0];
        last.renew(at(120));
        assert_eq!(last.share(48), 12);
        last.renew(at(150));
        assert_eq!(last.share(48), 48);
    }

    #[test]
    fn what_others_wrote_is_not_counted() {
        let store = Rc::new(MemoryStore::default());
        let shared: Rc<dyn SharedStore> = Rc::<MemoryStore>::clone(&store);
        let mut worker = vms(&shared, 1).remove(0);
        for planted in [b"".as_slice(), b"0", &[1; 4000]] {
            let _ = store.write("lictor.workers", planted, None);
            look(&mut worker, UnixTime::from_secs(100));
            assert_eq!(worker.share(48), 48);
        }
    }

    #[test]
    fn a_host_without_a_store_has_one_worker() {
        let store: Rc<dyn SharedStore> = Rc::new(NoStore);
        let mut worker = vms(&store, 1).remove(0);
        look(&mut worker, UnixTime::from_secs(100));
        assert_eq!(worker.share(48), 48);
    }

    #[test]
    fn a_clock_that_goes_back_counts_nobody_twice() {
        let store: Rc<dyn SharedStore> = Rc::new(MemoryStore::default());
        let mut workers = vms(&store, 3);
        for seconds in [1000, 100, 110, 120, 130] {
            for worker in &mut workers {
                worker.renew(UnixTime::from_secs(seconds));
            }
        }
        assert_eq!(workers[1].share(48), 24);
    }
}
