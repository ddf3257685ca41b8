//! Marks that all workers of a process see: used states, signed-out sessions. Bounded in number and
//! in time, the oldest go first.

use core::time::Duration;
use std::rc::Rc;

use crate::foundation::crypto::{Key, constant_time_eq, derive, mac, sha256, to_base64url};
use crate::foundation::time::UnixTime;
use crate::workers::{SharedStore, Written};

/// Marks are spread over so many records, so that workers seldom meet in one.
const RECORDS: usize = 16;
/// Marks in one record.
const MOST: usize = 256;
/// How often a write is tried again that met another one.
const TRIES: usize = 16;

/// See the module.
pub(crate) struct Marks {
    key: Key,
    store: Rc<dyn SharedStore>,
    life: Duration,
    records: Vec<Record>,
    /// The name of a value whose version changes with every mark: as long as it stands nothing else is
    /// read. What stands in it is of no account.
    changes: String,
    /// Which version that was when this worker last looked.
    seen: Option<u32>,
}

/// One record as this worker saw it last.
struct Record {
    name: String,
    version: Option<u32>,
    /// When the last mark was dropped that was still alive.
    lost: Option<UnixTime>,
    marks: Vec<Mark>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    what: Name,
    at: UnixTime,
}

/// What is marked: random bytes of our own, or [`name`].
pub(crate) type Name = [u8; 16];

/// The name of something that is no random bytes of our own.
#[must_use]
pub(crate) fn name(item: &[u8]) -> Name {
    let mut name = Name::default();
    name.copy_from_slice(sha256(item).first_chunk::<16>().unwrap_or(&Name::default()));
    name
}

/// What became of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// It is there, and was not before: only one of several workers hears this.
    New,
    /// It was there already.
    Known,
    /// Too many wanted to write at once: nobody knows.
    Busy,
}

impl Marks {
    /// Marks of a purpose that live for a while. `master` is the key that all workers have.
    #[must_use]
    pub(crate) fn new(
        purpose: &str,
        life: Duration,
        master: &Key,
        store: Rc<dyn SharedStore>,
    ) -> Self {
        let key = derive(master, purpose);
        // The name says nothing, and another key's marks stand elsewhere.
        let name = to_base64url(&sha256(&key));
        let record = |at| Record {
            name: format!("lictor.marks.{name}.{at}"),
            version: None,
            lost: None,
            marks: Vec::new(),
        };
        let marks = Self {
            key,
            store,
            life,
            records: (0..RECORDS).map(record).collect(),
            changes: format!("lictor.marks.{name}.changes"),
            seen: None,
        };
        for record in &marks.records {
            // Before there is any worker: from here on only one of several writes wins.
            if marks.store.read(&record.name).is_none() {
                let _ = marks.store.write(&record.name, &marks.seal(&record.name, None, &[]), None);
            }
        }
        if marks.store.read(&marks.changes).is_none() {
            let _ = marks.store.write(&marks.changes, b"0", None);
        }
        marks
    }

    /// Marks something, unless it is marked already.
    pub(crate) fn add(&mut self, what: Name, now: UnixTime) -> Added {
        self.put(what, now, false)
    }

    /// Marks something as of now, even if it is marked already.
    pub(crate) fn renew(&mut self, what: Name, now: UnixTime) -> Added {
        self.put(what, now, true)
    }

    fn put(&mut self, what: Name, now: UnixTime, renew: bool) -> Added {
        let at = place(&what);
        for _ in 0..TRIES {
            self.look_at(at);
            let Some(record) = self.records.get(at) else { return Added::Busy };
            let alive = record.marks.iter().filter(|mark| self.is_alive(mark, now));
            let mut marks: Vec<Mark> = alive.copied().collect();
            let mut mark = Mark { what, at: now };
            if let Some(known) = marks.iter().position(|mark| mark.what == what) {
                if !renew {
                    return Added::Known;
                }
                // A clock that went back takes nothing of it back.
                mark.at = marks.remove(known).at.max(now);
            }
            let mut lost = record.lost;
            if marks.len() >= MOST {
                lost = lost.max(Some(marks.remove(0).at));
            }
            marks.push(mark);
            let sealed = self.seal(&record.name, lost, &marks);
            let written = self.store.write(&record.name, &sealed, record.version);
            if written != Written::Conflict {
                if let Some(record) = self.records.get_mut(at) {
                    record.marks = marks;
                    record.lost = lost;
                    record.version = None;
                }
                // After the mark: whoever sees the change finds it.
                let _ = self.store.write(&self.changes, b"1", None);
                return Added::New;
            }
        }
        Added::Busy
    }

    /// Takes over what other workers have marked since the last look: one look at the number of
    /// changes, and the records only if there was one.
    pub(crate) fn look(&mut self) {
        let version = self.store.read(&self.changes).and_then(|stored| stored.version);
        if version.is_some() && version == self.seen {
            return;
        }
        self.seen = version;
        (0..self.records.len()).for_each(|at| self.look_at(at));
    }

    /// When something was marked, if it is, as far as this worker knows.
    #[must_use]
    pub(crate) fn at(&self, what: &Name, now: UnixTime) -> Option<UnixTime> {
        let marks = &self.records.get(place(what))?.marks;
        let mark = marks.iter().find(|mark| mark.what == *what)?;
        self.is_alive(mark, now).then_some(mark.at)
    }

    /// A mark in the future is one: a clock that went back revives nothing.
    fn is_alive(&self, mark: &Mark, now: UnixTime) -> bool {
        now.since(mark.at) < self.life
    }

    /// Until when marks have been lost, in the record where this one would stand.
    #[must_use]
    pub(crate) fn lost(&self, what: &Name) -> Option<UnixTime> {
        self.records.get(place(what))?.lost
    }

    /// Whether nothing is marked and nothing was lost.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.records.iter().all(|record| record.marks.is_empty() && record.lost.is_none())
    }

    /// Takes over what others have written, if anybody has. What this worker knows stays: older
    /// bytes of our own, written back by somebody else, make nobody forget.
    fn look_at(&mut self, at: usize) {
        let Some(record) = self.records.get(at) else { return };
        let Some(stored) = self.store.read(&record.name) else { return };
        if stored.version.is_some() && stored.version == record.version {
            return;
        }
        // What does not open is nobody's.
        let opened = self.open(&record.name, &stored.value);
        let Some(record) = self.records.get_mut(at) else { return };
        record.version = stored.version;
        let Some((lost, marks)) = opened else { return };
        record.lost = record.lost.max(lost);
        for mark in marks {
            match record.marks.iter_mut().find(|known| known.what == mark.what) {
                Some(known) => known.at = known.at.max(mark.at),
                None => record.marks.push(mark),
            }
        }
        record.marks.sort_by_key(|mark| mark.at);
        let surplus = record.marks.len().saturating_sub(MOST);
        if let Some(last) = record.marks.drain(..surplus).next_back() {
            record.lost = record.lost.max(Some(last.at));
        }
    }

    fn seal(&self, name: &str, lost: Option<UnixTime>, marks: &[Mark]) -> Vec<u8> {
        let mut content = lost.unwrap_or_default().millis().to_be_bytes().to_vec();
        for mark in marks {
            content.extend_from_slice(&mark.what);
            content.extend_from_slice(&mark.at.millis().to_be_bytes());
        }
        [mac(&self.key, name, &content).as_slice(), &content].concat()
    }

    fn open(&self, name: &str, sealed: &[u8]) -> Option<(Option<UnixTime>, Vec<Mark>)> {
        let (code, content) = sealed.split_first_chunk::<32>()?;
        if !constant_time_eq(code, &mac(&self.key, name, content)) {
            return None;
        }
        let mark = |bytes: &[u8]| {
            let (what, at) = bytes.split_first_chunk::<16>()?;
            let at = UnixTime::from_millis(u64::from_be_bytes(at.try_into().ok()?));
            Some(Mark { what: *what, at })
        };
        let (lost, marks) = content.split_first_chunk::<8>()?;
        let lost = UnixTime::from_millis(u64::from_be_bytes(*lost));
        let marks: Option<Vec<Mark>> = marks.chunks(24).map(mark).collect();
        Some((Some(lost).filter(|at| *at != UnixTime::default()), marks?))
    }
}

/// In which record a mark stands.
fn place(what: &Name) -> usize {
    let [.., last] = *what;
    usize::from(last) % RECORDS
}
