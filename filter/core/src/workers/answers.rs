//! Answers of the provider that one worker requests and all workers use: session refreshes and
//! client credentials grants.
//!
//! Sealed records in the shared store hold several answers each. Their number and size are bounded;
//! the oldest answers are dropped first.

use core::marker::PhantomData;
use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;

use crate::foundation::codec::{Reader, Writer};
use crate::foundation::crypto::{Entropy, Key, derive, random, sha256, to_base64url};
use crate::foundation::id::Id;
use crate::foundation::limits::CALLOUT_TIMEOUT;
use crate::foundation::time::UnixTime;
use crate::workers::record::{Record, Seal, Updated};
use crate::workers::{READ_LATER, SharedStore};

/// Number of records over which answers are spread.
const RECORDS: usize = 256;
/// Largest number of answers in one record.
const MOST: usize = 8;
/// Largest number of entries in one record, including leases without an answer.
const ENTRIES: usize = 64;
/// Largest size of one record, in bytes.
const BYTES: usize = 64 * 1024;
/// How long a worker may keep the others from sending the same request. It covers two calls: a
/// refresh, and userinfo after it.
const LEASE: Duration = CALLOUT_TIMEOUT.saturating_mul(2).saturating_add(Duration::from_secs(1));

/// An answer that workers can share.
pub(crate) trait Answer: Clone {
    /// Returns the binary form.
    fn encode(&self) -> Vec<u8>;
    /// Reads the binary form; `None` if it is malformed.
    fn decode(bytes: &[u8]) -> Option<Self>;
    /// Returns when the answer was given.
    fn at(&self) -> UnixTime;
    /// Returns when the provider last confirmed the content. Of two answers, the one that was
    /// confirmed later wins.
    fn confirmed(&self) -> UnixTime;
}

/// Shared answers of one kind, with ids of type `I`.
pub(crate) struct Answers<I, T> {
    records: Vec<Record>,
    /// A random id of this worker.
    worker: [u8; 8],
    types: PhantomData<(I, T)>,
}

/// What the workers know about a question.
#[derive(Clone, Debug)]
pub(crate) enum Shared<T> {
    /// There is no answer, and no other worker is asking.
    Nothing,
    /// Another worker is asking the provider.
    Asking,
    /// This is the last answer.
    Done(T),
}

/// The answer for one id, or a lease for it.
#[derive(Clone)]
struct Entry<T> {
    id: [u8; 16],
    /// When the lease ends.
    leased: UnixTime,
    /// The worker that took the lease.
    by: [u8; 8],
    answer: Option<T>,
}

impl<I: Id, T: Answer> Answers<I, T> {
    /// Creates the handle for answers of one kind. `master` is the master key of all workers.
    #[must_use]
    pub(crate) fn new(
        purpose: &str,
        master: &Key,
        store: Rc<dyn SharedStore>,
        entropy: Rc<RefCell<dyn Entropy>>,
    ) -> Self {
        let key = derive(master, purpose);
        // The names reveal nothing about the key, and records of another key have other names.
        let prefix = format!("lictor.answers.{}", to_base64url(&sha256(&key)));
        // Without randomness nothing can be sealed, so a default id does no harm.
        let worker = random(&mut *entropy.borrow_mut()).unwrap_or_default();
        let record = |number| {
            let (store, seal) = (Rc::clone(&store), Seal::Secret(Rc::clone(&entropy)));
            Record::new(format!("{prefix}.{number}"), key, store, seal)
        };
        Self { records: (0..RECORDS).map(record).collect(), worker, types: PhantomData }
    }

    /// Returns the last answer, even if a worker is asking again.
    #[must_use]
    pub(crate) fn kept(&self, id: I) -> Option<T> {
        self.entry(id)?.answer
    }

    /// Returns what the workers know about an id.
    #[must_use]
    pub(crate) fn look(&self, id: I, now: UnixTime) -> Shared<T> {
        match self.entry(id) {
            Some(entry) if self.is_asked(&entry, now) => Shared::Asking,
            Some(Entry { answer: Some(answer), .. }) => Shared::Done(answer),
            _ => Shared::Nothing,
        }
    }

    /// Takes the lease for an id, so that this worker may ask the provider.
    ///
    /// Returns `false` if another worker is asking, or if the last answer satisfies `is_answer`.
    /// Without a store, every worker may ask.
    #[must_use]
    pub(crate) fn lease_unless(
        &self,
        id: I,
        now: UnixTime,
        is_answer: impl Fn(&T) -> bool,
    ) -> bool {
        self.change(id, now, |entry| {
            if self.is_asked(entry, now) || entry.answer.as_ref().is_some_and(&is_answer) {
                return false;
            }
            (entry.leased, entry.by) = (now.plus(LEASE), self.worker);
            true
        })
    }

    /// Publishes an answer, ends the lease of this worker, and returns the answer that is valid.
    ///
    /// If another worker has published as well, the answer that was confirmed later wins.
    pub(crate) fn publish(&self, id: I, answer: T) -> T {
        let valid = RefCell::new(answer.clone());
        // If it can't be written, other workers ask the provider themselves.
        let _ = self.change(id, answer.at(), |entry| {
            if entry.by == self.worker {
                entry.leased = UnixTime::default();
            }
            let known = entry.answer.take();
            // An answer from the future means that the clock went back. It would win until that
            // time.
            let latest = answer.at().plus(READ_LATER);
            let known = known
                .filter(|known| known.confirmed() > answer.confirmed() && known.at() <= latest);
            entry.answer = Some(known.unwrap_or_else(|| answer.clone()));
            valid.replace(entry.answer.clone().unwrap_or_else(|| answer.clone()));
            true
        });
        valid.into_inner()
    }

    /// Removes the answer for an id, because it is no longer true.
    pub(crate) fn withdraw(&self, id: I, now: UnixTime) {
        self.amend(id, now, |entries, at| {
            entries.remove(at);
            true
        });
    }

    /// Changes the record of an id if it has an entry for it.
    ///
    /// `change` takes all entries and the index of that entry. It returns `false` to leave the
    /// record unchanged.
    fn amend(&self, id: I, now: UnixTime, change: impl Fn(&mut Vec<Entry<T>>, usize) -> bool) {
        let Some(record) = self.record(id) else { return };
        // If it can't be written, the lease expires.
        let _ = record.update(|content| {
            let mut entries = entries_of(content);
            let at = entries.iter().position(|entry| entry.id == id.bytes())?;
            change(&mut entries, at).then(|| content_of(entries, now))
        });
    }

    /// Ends the lease of this worker without an answer, so that another worker may ask.
    ///
    /// An entry without any answer is removed, so that it does not push out answers.
    pub(crate) fn release(&self, id: I, now: UnixTime) {
        self.amend(id, now, |entries, at| {
            let leased_here = entries.get(at).is_some_and(|entry| entry.by == self.worker);
            match entries.get_mut(at).filter(|_| leased_here) {
                Some(entry) if entry.answer.is_some() => entry.leased = UnixTime::default(),
                Some(_) => drop(entries.remove(at)),
                None => return false,
            }
            true
        });
    }

    /// Returns whether another worker is asking.
    fn is_asked(&self, entry: &Entry<T>, now: UnixTime) -> bool {
        entry.by != self.worker && is_leased(entry, now)
    }

    /// Changes the entry of an id. Returns `false` only if `change` returned `false`.
    ///
    /// If the record can't be written, the change is treated as done. Two workers may then ask the
    /// provider, which is better than none.
    fn change(&self, id: I, now: UnixTime, change: impl Fn(&mut Entry<T>) -> bool) -> bool {
        let Some(record) = self.record(id) else { return true };
        let updated = record.update(|content| {
            let mut entries = entries_of(content);
            let mut entry = match entries.iter().position(|entry| entry.id == id.bytes()) {
                Some(at) => entries.remove(at),
                None => {
                    Entry { id: id.bytes(), leased: UnixTime::default(), by: [0; 8], answer: None }
                }
            };
            if !change(&mut entry) {
                return None;
            }
            entries.push(entry);
            Some(content_of(entries, now))
        });
        updated != Updated::Declined
    }

    fn record(&self, id: I) -> Option<&Record> {
        let [first, ..] = id.bytes();
        self.records.get(usize::from(first) % RECORDS)
    }

    fn entry(&self, id: I) -> Option<Entry<T>> {
        let entries = entries_of(self.record(id)?.read().content);
        entries.into_iter().find(|entry| entry.id == id.bytes())
    }
}

/// Returns the entries of a record, oldest first; empty if the content can't be read.
fn entries_of<T: Answer>(content: Option<Vec<u8>>) -> Vec<Entry<T>> {
    content.and_then(|content| decode(&content)).unwrap_or_default()
}

/// Returns the content of a record within its bounds. The last entry is the one just written.
///
/// Above [`MOST`] answers, the oldest entries without a lease are dropped first. If all others are
/// leased, the oldest one loses its answer but keeps its lease. A lease is small and other workers
/// rely on it, and the worker that holds it has the earlier answer. Above [`ENTRIES`] entries or
/// [`BYTES`], the oldest entries are dropped.
fn content_of<T: Answer>(mut entries: Vec<Entry<T>>, now: UnixTime) -> Vec<u8> {
    while entries.iter().filter(|entry| entry.answer.is_some()).count() > MOST {
        let others = entries.len().saturating_sub(1);
        let oldest = |entry: &Entry<T>| entry.answer.is_some() && !is_leased(entry, now);
        if let Some(at) = entries.iter().take(others).position(oldest) {
            entries.remove(at);
        } else if let Some(leased) = entries.iter_mut().find(|entry| entry.answer.is_some()) {
            leased.answer = None;
        }
    }
    let surplus = entries.len().saturating_sub(ENTRIES);
    entries.drain(..surplus);
    let mut texts: Vec<Vec<u8>> = entries.iter().map(encode).collect();
    while texts.len() > 1 && texts.iter().map(Vec::len).sum::<usize>() > BYTES {
        texts.remove(0);
    }
    texts.concat()
}

fn is_leased<T>(entry: &Entry<T>, now: UnixTime) -> bool {
    // A lease that ends later than any possible one means that the clock went back.
    now < entry.leased && entry.leased.since(now) <= LEASE.saturating_add(READ_LATER)
}

fn encode<T: Answer>(entry: &Entry<T>) -> Vec<u8> {
    let head = Writer::default().raw(&entry.id).number(entry.leased.millis()).raw(&entry.by);
    match &entry.answer {
        None => head.raw(&[0]).finish(),
        Some(answer) => head.raw(&[1]).bytes(&answer.encode()).finish(),
    }
}

fn decode<T: Answer>(plain: &[u8]) -> Option<Vec<Entry<T>>> {
    let mut fields = Reader::new(plain);
    let mut entries = Vec::new();
    while !fields.is_done() {
        let (id, leased) = (fields.raw()?, UnixTime::from_millis(fields.number()?));
        let by = fields.raw()?;
        let answer = match fields.raw()? {
            [0] => None,
            [1] => Some(T::decode(fields.bytes()?)?),
            _ => return None,
        };
        entries.push(Entry { id, leased, by, answer });
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::foundation::id::SessionId;
    use crate::testing::Repeatable;
    use crate::testing::store::MemoryStore;

    #[derive(Clone, Debug, PartialEq, Eq)]
    struct TestAnswer(UnixTime);

    impl Answer for TestAnswer {
        fn encode(&self) -> Vec<u8> {
            self.0.millis().to_be_bytes().to_vec()
        }

        fn decode(bytes: &[u8]) -> Option<Self> {
            let millis = u64::from_be_bytes(bytes.try_into().ok()?);
            Some(Self(UnixTime::from_millis(millis)))
        }

        fn at(&self) -> UnixTime {
            self.0
        }

        fn confirmed(&self) -> UnixTime {
            self.0
        }
    }

    fn answers(store: &Rc<dyn SharedStore>, seed: u64) -> Answers<SessionId, TestAnswer> {
        let entropy = Rc::new(RefCell::new(Repeatable::seeded(seed)));
        Answers::new("test", &[1; 32], Rc::clone(store), entropy)
    }

    fn store() -> Rc<dyn SharedStore> {
        Rc::new(MemoryStore::default())
    }

    fn id(number: u8) -> SessionId {
        // The first byte selects the record: all ids are in the same one.
        let mut bytes = [7; 16];
        bytes[15] = number;
        SessionId::from_bytes(bytes)
    }

    #[test]
    fn attempts_that_come_to_nothing_push_no_answer_out() {
        let answers = answers(&store(), 0);
        let now = UnixTime::from_secs(1000);
        assert!(answers.lease_unless(id(0), now, |_| false));
        answers.publish(id(0), TestAnswer(now));
        for number in 1..=200 {
            assert!(answers.lease_unless(id(number), now, |_| false));
            answers.release(id(number), now);
        }
        assert_eq!(answers.kept(id(0)), Some(TestAnswer(now)));
    }

    #[test]
    fn what_was_told_meanwhile_is_not_asked_for_again() {
        let store = store();
        let (first, second) = (answers(&store, 0), answers(&store, 99));
        let now = UnixTime::from_secs(1000);
        assert!(first.lease_unless(id(0), now, |_| true));
        assert!(!second.lease_unless(id(0), now, |_| true), "the first one is asking");
        first.publish(id(0), TestAnswer(now));
        assert!(!second.lease_unless(id(0), now, |answer| answer.0 == now), "and has told");
        assert!(second.lease_unless(id(0), now, |answer| answer.0 > now), "which is known");
    }

    #[test]
    fn an_answer_from_the_future_does_not_stand() {
        let answers = answers(&store(), 0);
        let (now, later) = (UnixTime::from_secs(1000), UnixTime::from_secs(1600));
        answers.publish(id(0), TestAnswer(later));
        assert_eq!(answers.publish(id(0), TestAnswer(now)), TestAnswer(now));
        let soon = UnixTime::from_secs(1003);
        answers.publish(id(0), TestAnswer(soon));
        assert_eq!(
            answers.publish(id(0), TestAnswer(now)),
            TestAnswer(soon),
            "read a moment later"
        );
    }
}
