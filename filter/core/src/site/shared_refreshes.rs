//! Refreshes that another worker has made or is making: sealed records in the store that all workers
//! share, one for several sessions. Bounded in number and size, the oldest go first.

use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;

use crate::crypto::{self, Entropy, Key, derive, sha256, to_base64url};
use crate::limits::CALLOUT_TIMEOUT;
use crate::session::codec::{Reader, Writer};
use crate::session::model::Session;
use crate::shared::{SharedStore, Written};
use crate::time::UnixTime;

use super::refreshes::{Kept, Verdict};

/// Records; sessions are spread over them.
const RECORDS: usize = 256;
/// Sessions in one record,
const MOST: usize = 8;
/// and their bytes.
const BYTES: usize = 48 * 1024;
/// How often a write is tried again that met another one.
const TRIES: usize = 16;
/// How long one worker may keep the others from asking: the refresh, and userinfo after it.
const LEASE: Duration = CALLOUT_TIMEOUT.saturating_mul(2).saturating_add(Duration::from_secs(1));

/// See the module.
pub struct SharedRefreshes {
    key: Key,
    prefix: String,
    store: Rc<dyn SharedStore>,
    entropy: Rc<RefCell<dyn Entropy>>,
}

/// What the other workers know of a session.
#[derive(Clone, Debug)]
pub enum Known {
    /// Nothing.
    Nothing,
    /// One of them is asking.
    Asking,
    /// The result of the last refresh.
    Done(Kept),
}

struct Record {
    version: Option<u32>,
    /// Oldest first.
    entries: Vec<Entry>,
}

#[derive(Clone)]
struct Entry {
    id: [u8; 16],
    /// Until when somebody is asking.
    leased: UnixTime,
    kept: Option<Kept>,
}

impl SharedRefreshes {
    /// For the key that all workers have.
    #[must_use]
    pub fn new(
        master: &Key,
        store: Rc<dyn SharedStore>,
        entropy: Rc<RefCell<dyn Entropy>>,
    ) -> Self {
        let key = derive(master, "shared refreshes");
        // The name says nothing, and another key's records stand elsewhere.
        let prefix = format!("lictor.refreshes.{}", to_base64url(&sha256(&key)));
        Self { key, prefix, store, entropy }
    }

    /// What is known of a session.
    #[must_use]
    pub fn look(&self, id: &[u8; 16], now: UnixTime) -> Known {
        let record = self.read(&self.name(id));
        match record.entries.into_iter().find(|entry| entry.id == *id) {
            Some(entry) if is_leased(&entry, now) => Known::Asking,
            Some(Entry { kept: Some(kept), .. }) => Known::Done(kept),
            _ => Known::Nothing,
        }
    }

    /// Takes it upon this worker to ask; whether it may. Without a store every worker may.
    #[must_use]
    pub fn lease(&self, id: &[u8; 16], now: UnixTime) -> bool {
        self.change(id, |entry| {
            if is_leased(entry, now) {
                return false;
            }
            entry.leased = now.plus(LEASE);
            true
        })
    }

    /// Tells the others what came of it.
    pub fn publish(&self, id: &[u8; 16], kept: &Kept) {
        // If it finds no place they ask for themselves.
        let _ = self.change(id, |entry| {
            entry.leased = UnixTime::default();
            entry.kept = Some(kept.clone());
            true
        });
    }

    /// Changes an entry, unless the change itself declines.
    fn change(&self, id: &[u8; 16], change: impl Fn(&mut Entry) -> bool) -> bool {
        let name = self.name(id);
        for _ in 0..TRIES {
            let mut record = self.read(&name);
            let at = record.entries.iter().position(|entry| entry.id == *id);
            let mut entry = match at {
                Some(at) => record.entries.remove(at),
                None => Entry { id: *id, leased: UnixTime::default(), kept: None },
            };
            if !change(&mut entry) {
                return false;
            }
            record.entries.push(entry);
            let Some(sealed) = self.seal(&name, record.entries) else { return true };
            match self.store.write(&name, &sealed, record.version) {
                Written::Done | Written::NoStore => return true,
                Written::Conflict => {}
            }
        }
        // Nobody knows who was faster: better twice than never.
        true
    }

    fn name(&self, id: &[u8; 16]) -> String {
        let [first, ..] = *id;
        format!("{}.{}", self.prefix, usize::from(first) % RECORDS)
    }

    fn read(&self, name: &str) -> Record {
        let stored = self.store.read(name);
        let version = stored.as_ref().and_then(|stored| stored.version);
        // What does not open is nobody's.
        let plain = stored.and_then(|s| crypto::open(&self.key, name.as_bytes(), &s.value));
        let entries = plain.and_then(|plain| decode(&plain)).unwrap_or_default();
        Record { version, entries }
    }

    fn seal(&self, name: &str, entries: Vec<Entry>) -> Option<Vec<u8>> {
        let mut texts: Vec<Vec<u8>> = entries.iter().map(encode).collect();
        let bytes = |texts: &[Vec<u8>]| texts.iter().map(Vec::len).sum::<usize>();
        while texts.len() > MOST || (texts.len() > 1 && bytes(&texts) > BYTES) {
            texts.remove(0);
        }
        let entropy = &mut *self.entropy.borrow_mut();
        crypto::seal(&self.key, name.as_bytes(), &texts.concat(), entropy).ok()
    }
}

fn is_leased(entry: &Entry, now: UnixTime) -> bool {
    // A lease that ends later than any could means that the clock went back.
    now < entry.leased && entry.leased.since(now) <= LEASE
}

fn encode(entry: &Entry) -> Vec<u8> {
    let head = Writer::default().raw(&entry.id).number(entry.leased.millis());
    match &entry.kept {
        None => head.raw(&[0]).finish(),
        Some(Kept { session, verdict, at }) => {
            let verdict = match verdict {
                Verdict::Confirmed => 1,
                Verdict::Ended => 2,
                Verdict::Unavailable => 3,
            };
            head.raw(&[verdict]).number(at.millis()).bytes(&session.encode()).finish()
        }
    }
}

fn decode(plain: &[u8]) -> Option<Vec<Entry>> {
    let mut fields = Reader::new(plain);
    let mut entries = Vec::new();
    while !fields.is_done() {
        let (id, leased) = (fields.raw()?, UnixTime::from_millis(fields.number()?));
        let verdict = match fields.raw()? {
            [0] => None,
            [1] => Some(Verdict::Confirmed),
            [2] => Some(Verdict::Ended),
            [3] => Some(Verdict::Unavailable),
            _ => return None,
        };
        let kept = match verdict {
            None => None,
            Some(verdict) => {
                let at = UnixTime::from_millis(fields.number()?);
                let session = Box::new(Session::decode(fields.bytes()?)?);
                Some(Kept { session, verdict, at })
            }
        };
        entries.push(Entry { id, leased, kept });
    }
    Some(entries)
}
