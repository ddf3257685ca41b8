//! Answers of the provider that one worker asks for and all use (refreshes of sessions, exchanges of
//! client credentials): sealed records in the shared store, one for several answers. Bounded in number
//! and size, the oldest go first.

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

/// Records; answers are spread over them.
const RECORDS: usize = 256;
/// Answers in one record,
const MOST: usize = 8;
/// and with those that somebody is asking for,
const LEASES: usize = 64;
/// and bytes.
const BYTES: usize = 64 * 1024;
/// How long one worker may keep the others from asking: a refresh, and userinfo after it.
const LEASE: Duration = CALLOUT_TIMEOUT.saturating_mul(2).saturating_add(Duration::from_secs(1));

/// What is shared.
pub(crate) trait Answer: Clone {
    /// Its binary form.
    fn encode(&self) -> Vec<u8>;
    /// Reads the binary form.
    fn decode(bytes: &[u8]) -> Option<Self>;
    /// When it was given.
    fn at(&self) -> UnixTime;
    /// Up to when the provider has confirmed what it says: of two the later one stands.
    fn confirmed(&self) -> UnixTime;
}

/// See the module.
pub(crate) struct Answers<I, T> {
    records: Vec<Record>,
    /// This worker among the others.
    own: [u8; 8],
    what: PhantomData<(I, T)>,
}

/// What the other workers know.
#[derive(Clone, Debug)]
pub(crate) enum Known<T> {
    /// Nothing.
    Nothing,
    /// One of them is asking.
    Asking,
    /// The last answer.
    Done(T),
}

#[derive(Clone)]
struct Entry<T> {
    id: [u8; 16],
    /// Until when somebody is asking, and who.
    leased: UnixTime,
    by: [u8; 8],
    kept: Option<T>,
}

impl<I: Id, T: Answer> Answers<I, T> {
    /// Answers of a kind. `master` is the key that all workers have.
    #[must_use]
    pub(crate) fn new(
        purpose: &str,
        master: &Key,
        store: Rc<dyn SharedStore>,
        entropy: Rc<RefCell<dyn Entropy>>,
    ) -> Self {
        let key = derive(master, purpose);
        // The name says nothing, and another key's records stand elsewhere.
        let prefix = format!("lictor.answers.{}", to_base64url(&sha256(&key)));
        // Without randomness nothing can be sealed there, so it does not matter who this is.
        let own = random(&mut *entropy.borrow_mut()).unwrap_or_default();
        let record = |number| {
            let (store, seal) = (Rc::clone(&store), Seal::Secret(Rc::clone(&entropy)));
            Record::new(format!("{prefix}.{number}"), key, store, seal)
        };
        Self { records: (0..RECORDS).map(record).collect(), own, what: PhantomData }
    }
    /// The last answer, whoever is asking.
    #[must_use]
    pub(crate) fn kept(&self, id: I) -> Option<T> {
        self.entry(id)?.kept
    }

    /// What is known.
    #[must_use]
    pub(crate) fn look(&self, id: I, now: UnixTime) -> Known<T> {
        match self.entry(id) {
            Some(entry) if self.is_asked(&entry, now) => Known::Asking,
            Some(Entry { kept: Some(kept), .. }) => Known::Done(kept),
            _ => Known::Nothing,
        }
    }

    /// Takes it upon this worker to ask, unless another worker is asking, or has told meanwhile what this one
    /// wants to know. Without a store every worker may ask.
    #[must_use]
    pub(crate) fn lease_unless(&self, id: I, now: UnixTime, told: impl Fn(&T) -> bool) -> bool {
        self.change(id, now, |entry| {
            if self.is_asked(entry, now) || entry.kept.as_ref().is_some_and(&told) {
                return false;
            }
            (entry.leased, entry.by) = (now.plus(LEASE), self.own);
            true
        })
    }

    /// Tells the others what came of it; gives what stands. If another worker was asking as well, what was
    /// confirmed later counts, not the later word.
    pub(crate) fn publish(&self, id: I, kept: T) -> T {
        let standing = RefCell::new(kept.clone());
        // If it finds no place they ask for themselves.
        let _ = self.change(id, kept.at(), |entry| {
            if entry.by == self.own {
                entry.leased = UnixTime::default();
            }
            let known = entry.kept.take();
            // One from the future is of a clock that went back, and would stand until that time.
            let latest = kept.at().plus(READ_LATER);
            let known =
                known.filter(|known| known.confirmed() > kept.confirmed() && known.at() <= latest);
            entry.kept = Some(known.unwrap_or_else(|| kept.clone()));
            standing.replace(entry.kept.clone().unwrap_or_else(|| kept.clone()));
            true
        });
        standing.into_inner()
    }

    /// What was known is true no more.
    pub(crate) fn withdraw(&self, id: I, now: UnixTime) {
        self.amend(id, now, |entries, at| {
            entries.remove(at);
            true
        });
    }

    /// Changes the entries of a record in which there is one of a name, unless the change declines.
    fn amend(&self, id: I, now: UnixTime, change: impl Fn(&mut Vec<Entry<T>>, usize) -> bool) {
        let Some(record) = self.record(id) else { return };
        // If it can't be written the lease ends by itself.
        let _ = record.update(|content| {
            let mut entries = entries_of(content);
            let at = entries.iter().position(|entry| entry.id == id.bytes())?;
            change(&mut entries, at).then(|| content_of(entries, now))
        });
    }

    /// This worker has asked and has nothing to tell: another one may ask. What says nothing takes no place
    /// from what does.
    pub(crate) fn release(&self, id: I, now: UnixTime) {
        self.amend(id, now, |entries, at| {
            let own = entries.get(at).is_some_and(|entry| entry.by == self.own);
            match entries.get_mut(at).filter(|_| own) {
                Some(entry) if entry.kept.is_some() => entry.leased = UnixTime::default(),
                Some(_) => drop(entries.remove(at)),
                None => return false,
            }
            true
        });
    }

    /// Whether another worker is asking.
    fn is_asked(&self, entry: &Entry<T>, now: UnixTime) -> bool {
        entry.by != self.own && is_leased(entry, now)
    }

    /// Changes an entry, unless the change itself declines. Where nobody knows who was faster it is taken for
    /// done: better twice than never.
    fn change(&self, id: I, now: UnixTime, change: impl Fn(&mut Entry<T>) -> bool) -> bool {
        let Some(record) = self.record(id) else { return true };
        let updated = record.update(|content| {
            let mut entries = entries_of(content);
            let mut entry = match entries.iter().position(|entry| entry.id == id.bytes()) {
                Some(at) => entries.remove(at),
                None => {
                    Entry { id: id.bytes(), leased: UnixTime::default(), by: [0; 8], kept: None }
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

/// The entries of a record, oldest first. What can't be read is empty.
fn entries_of<T: Answer>(content: Option<Vec<u8>>) -> Vec<Entry<T>> {
    content.and_then(|content| decode(&content)).unwrap_or_default()
}

/// The content of a record, within its bounds. The oldest result goes first, the one that was just written
/// never. A lease without a result is small, and somebody counts on it; whoever holds it has the result of
/// before.
fn content_of<T: Answer>(mut entries: Vec<Entry<T>>, now: UnixTime) -> Vec<u8> {
    while entries.iter().filter(|entry| entry.kept.is_some()).count() > MOST {
        let others = entries.len().saturating_sub(1);
        let oldest = |entry: &Entry<T>| entry.kept.is_some() && !is_leased(entry, now);
        if let Some(at) = entries.iter().take(others).position(oldest) {
            entries.remove(at);
        } else if let Some(leased) = entries.iter_mut().find(|entry| entry.kept.is_some()) {
            leased.kept = None;
        }
    }
    let surplus = entries.len().saturating_sub(LEASES);
    entries.drain(..surplus);
    let mut texts: Vec<Vec<u8>> = entries.iter().map(encode).collect();
    while texts.len() > 1 && texts.iter().map(Vec::len).sum::<usize>() > BYTES {
        texts.remove(0);
    }
    texts.concat()
}

fn is_leased<T>(entry: &Entry<T>, now: UnixTime) -> bool {
    // A lease that ends later than any could means that the clock went back.
    now < entry.leased && entry.leased.since(now) <= LEASE.saturating_add(READ_LATER)
}

fn encode<T: Answer>(entry: &Entry<T>) -> Vec<u8> {
    let head = Writer::default().raw(&entry.id).number(entry.leased.millis()).raw(&entry.by);
    match &entry.kept {
        None => head.raw(&[0]).finish(),
        Some(kept) => head.raw(&[1]).bytes(&kept.encode()).finish(),
    }
}

fn decode<T: Answer>(plain: &[u8]) -> Option<Vec<Entry<T>>> {
    let mut fields = Reader::new(plain);
    let mut entries = Vec::new();
    while !fields.is_done() {
        let (id, leased) = (fields.raw()?, UnixTime::from_millis(fields.number()?));
        let by = fields.raw()?;
        let kept = match fields.raw()? {
            [0] => None,
            [1] => Some(T::decode(fields.bytes()?)?),
            _ => return None,
        };
        entries.push(Entry { id, leased, by, kept });
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
    struct Told(UnixTime);

    impl Answer for Told {
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

    fn answers(store: &Rc<dyn SharedStore>, seed: u64) -> Answers<SessionId, Told> {
        let entropy = Rc::new(RefCell::new(Repeatable::seeded(seed)));
        Answers::new("test", &[1; 32], Rc::clone(store), entropy)
    }

    fn store() -> Rc<dyn SharedStore> {
        Rc::new(MemoryStore::default())
    }

    fn id(number: u8) -> SessionId {
        // All in one record.
        let mut bytes = [7; 16];
        bytes[15] = number;
        SessionId::from_bytes(bytes)
    }

    #[test]
    fn attempts_that_come_to_nothing_push_no_answer_out() {
        let answers = answers(&store(), 0);
        let now = UnixTime::from_secs(1000);
        assert!(answers.lease_unless(id(0), now, |_| false));
        answers.publish(id(0), Told(now));
        for number in 1..=200 {
            assert!(answers.lease_unless(id(number), now, |_| false));
            answers.release(id(number), now);
        }
        assert_eq!(answers.kept(id(0)), Some(Told(now)));
    }

    #[test]
    fn what_was_told_meanwhile_is_not_asked_for_again() {
        let store = store();
        let (first, second) = (answers(&store, 0), answers(&store, 99));
        let now = UnixTime::from_secs(1000);
        assert!(first.lease_unless(id(0), now, |_| true));
        assert!(!second.lease_unless(id(0), now, |_| true), "the first one is asking");
        first.publish(id(0), Told(now));
        assert!(!second.lease_unless(id(0), now, |told| told.0 == now), "and has told");
        assert!(second.lease_unless(id(0), now, |told| told.0 > now), "which is known");
    }

    #[test]
    fn an_answer_from_the_future_does_not_stand() {
        let answers = answers(&store(), 0);
        let (now, later) = (UnixTime::from_secs(1000), UnixTime::from_secs(1600));
        answers.publish(id(0), Told(later));
        assert_eq!(answers.publish(id(0), Told(now)), Told(now));
        let soon = UnixTime::from_secs(1003);
        answers.publish(id(0), Told(soon));
        assert_eq!(answers.publish(id(0), Told(now)), Told(soon), "read a moment later");
    }
}
