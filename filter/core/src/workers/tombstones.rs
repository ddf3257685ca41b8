//! Tombstones that all workers of a process share, such as used login states and signed-out
//! sessions.

use core::time::Duration;
use std::rc::Rc;

use crate::foundation::codec::{Reader, Writer};
use crate::foundation::crypto::{Key, derive, sha256, to_base64url};
use crate::foundation::id::{Id, TombstoneId};
use crate::foundation::time::UnixTime;
use crate::workers::SharedStore;
use crate::workers::record::{Look, Record, Seal, Updated};

/// Number of records over which tombstones are spread, so that workers rarely write the same one.
const RECORDS: usize = 16;
/// Largest number of tombstones in one record.
const MOST: usize = 256;

/// Tombstones of one purpose. Their number and lifetime are bounded; the oldest are dropped first.
pub(crate) struct Tombstones {
    /// The lifetime of a tombstone.
    life: Duration,
    shards: Vec<Shard>,
}

/// A record that tells all workers of new tombstones, of one purpose or of several. While its
/// version stays the same, no other record needs to be read.
pub(crate) struct Changes {
    record: Record,
    /// The version when this worker last read it.
    seen: Option<u32>,
}

/// One record, and the tombstones in it that this worker knows.
struct Shard {
    record: Record,
    version: Option<u32>,
    known: Marks,
}

/// The tombstones of one record.
#[derive(Clone, Default)]
struct Marks {
    /// The time of the newest tombstone that was dropped to make room.
    lost: Option<UnixTime>,
    /// The tombstones, oldest first.
    marks: Vec<Mark>,
}

/// A tombstone: what it marks, and when.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    id: TombstoneId,
    at: UnixTime,
}

/// Returns the tombstone id of an item that has no id: a hash of its bytes.
#[must_use]
pub(crate) fn tombstone_of(item: &[u8]) -> TombstoneId {
    TombstoneId::from_bytes(sha256(item).first_chunk().copied().unwrap_or_default())
}

/// The result of adding a tombstone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// The tombstone is new. Only one of several workers gets this result.
    New,
    /// The tombstone exists already.
    Known,
    /// The tombstone could not be written, because too many workers wrote at the same time.
    Busy,
}

impl Tombstones {
    /// Creates the handle for the tombstones of one purpose.
    ///
    /// `life` is their lifetime, `master` the master key of all workers.
    #[must_use]
    pub(crate) fn new(
        purpose: &str,
        life: Duration,
        master: &Key,
        store: Rc<dyn SharedStore>,
    ) -> Self {
        let key = derive(master, purpose);
        let shard = |at: usize| {
            let record = record(&key, &at.to_string(), Rc::clone(&store));
            Shard { record, version: None, known: Marks::default() }
        };
        Self { life, shards: (0..RECORDS).map(shard).collect() }
    }

    /// Adds a tombstone unless it exists already.
    pub(crate) fn add(&mut self, id: TombstoneId, now: UnixTime) -> Added {
        self.put(id, now, false)
    }

    /// Adds a tombstone with the current time, even if it exists already.
    pub(crate) fn renew(&mut self, id: TombstoneId, now: UnixTime) -> Added {
        self.put(id, now, true)
    }

    fn put(&mut self, id: TombstoneId, now: UnixTime, renew: bool) -> Added {
        let life = self.life;
        let Some(shard) = self.shards.get_mut(place(id)) else { return Added::Busy };
        let (known, mut next) = (&mut shard.known, None);
        let updated = shard.record.update(|content| {
            known.merge(content.as_deref());
            let with = known.with(id, life, renew, now)?;
            let content = with.encode();
            next = Some(with);
            Some(content)
        });
        match (updated, next) {
            (Updated::Declined, _) => Added::Known,
            (Updated::Done, Some(next)) => {
                shard.known = next;
                shard.version = None;
                Added::New
            }
            (Updated::Done | Updated::Failed, _) => Added::Busy,
        }
    }

    /// Takes over the tombstones that other workers have added since the last call.
    pub(crate) fn look(&mut self) {
        for shard in &mut self.shards {
            if let Look::Changed(read) = shard.record.look(shard.version) {
                shard.version = read.version;
                shard.known.merge(read.content.as_deref());
            }
        }
    }

    /// Returns when a tombstone was added, if this worker knows it and it has not expired.
    #[must_use]
    pub(crate) fn at(&self, id: TombstoneId, now: UnixTime) -> Option<UnixTime> {
        let marks = &self.shards.get(place(id))?.known.marks;
        let mark = marks.iter().find(|mark| mark.id == id)?;
        mark.is_alive(self.life, now).then_some(mark.at)
    }

    /// Returns the time up to which tombstones may have been dropped, in the record where this one
    /// would be.
    #[must_use]
    pub(crate) fn lost(&self, id: TombstoneId) -> Option<UnixTime> {
        self.shards.get(place(id))?.known.lost
    }

    /// Returns whether there are no tombstones and none were dropped.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.shards.iter().all(|Shard { known, .. }| known.marks.is_empty() && known.lost.is_none())
    }
}

impl Changes {
    /// Creates the handle for the changes of what `purpose` names.
    #[must_use]
    pub(crate) fn new(purpose: &str, master: &Key, store: Rc<dyn SharedStore>) -> Self {
        Self { record: record(&derive(master, purpose), "changes", store), seen: None }
    }

    /// Tells all workers of a new tombstone.
    ///
    /// It must be in its record by then, so that a worker that sees the change finds it.
    pub(crate) fn tell(&self) {
        let _ = self.record.write(b"1", None);
    }

    /// Returns whether there may be new tombstones since the last call.
    #[must_use]
    pub(crate) fn look(&mut self) -> bool {
        self.seen = match self.record.look(self.seen) {
            Look::Unchanged => return false,
            // Nobody knows whether anything has changed.
            Look::Absent => None,
            Look::Changed(read) => read.version,
        };
        true
    }
}

/// Creates the handle for one part.
///
/// Its name reveals nothing about the key, and parts of another key have other names.
fn record(key: &Key, part: &str, store: Rc<dyn SharedStore>) -> Record {
    let name = format!("lictor.marks.{}.{part}", to_base64url(&sha256(key)));
    Record::new(name, *key, store, Seal::Readable)
}

impl Mark {
    /// Returns whether the tombstone has not expired. One from the future has not: a clock that
    /// goes back must not revive what it marks.
    fn is_alive(&self, life: Duration, now: UnixTime) -> bool {
        now.since(self.at) < life
    }
}

impl Marks {
    /// Adds the tombstones in the content of a record to the known ones.
    ///
    /// Known tombstones stay: an attacker in the process may write an older version of a record
    /// back. Content that does not open is ignored.
    fn merge(&mut self, content: Option<&[u8]>) {
        let Some(Self { lost, marks }) = content.and_then(Self::decode) else { return };
        self.lost = self.lost.max(lost);
        for mark in marks {
            match self.marks.iter_mut().find(|known| known.id == mark.id) {
                Some(known) => known.at = known.at.max(mark.at),
                None => self.marks.push(mark),
            }
        }
        self.marks.sort_by_key(|mark| mark.at);
        let surplus = self.marks.len().saturating_sub(MOST);
        if let Some(last) = self.marks.drain(..surplus).next_back() {
            self.lost = self.lost.max(Some(last.at));
        }
    }

    /// Returns a copy with one more tombstone, without expired ones, and without the oldest if
    /// there is no room.
    ///
    /// `None` if the tombstone exists already and `renew` is `false`.
    fn with(&self, id: TombstoneId, life: Duration, renew: bool, now: UnixTime) -> Option<Self> {
        let alive = self.marks.iter().filter(|mark| mark.is_alive(life, now));
        let (mut lost, mut marks) = (self.lost, alive.copied().collect::<Vec<_>>());
        let mut mark = Mark { id, at: now };
        if let Some(known) = marks.iter().position(|mark| mark.id == id) {
            if !renew {
                return None;
            }
            // A clock that went back must not make the tombstone older.
            mark.at = marks.remove(known).at.max(now);
        }
        if marks.len() >= MOST {
            lost = lost.max(Some(marks.remove(0).at));
        }
        marks.push(mark);
        Some(Self { lost, marks })
    }

    fn encode(&self) -> Vec<u8> {
        let lost = self.lost.unwrap_or_default().millis();
        let add = |text: Writer, mark: &Mark| text.raw(&mark.id.bytes()).number(mark.at.millis());
        self.marks.iter().fold(Writer::default().number(lost), add).finish()
    }

    fn decode(content: &[u8]) -> Option<Self> {
        let mut fields = Reader::new(content);
        let lost = Some(UnixTime::from_millis(fields.number()?));
        let mut marks = Vec::new();
        while !fields.is_done() {
            marks.push(Mark {
                id: TombstoneId::from_bytes(fields.raw()?),
                at: UnixTime::from_millis(fields.number()?),
            });
        }
        Some(Self { lost: lost.filter(|at| *at != UnixTime::default()), marks })
    }
}

/// Returns the index of the record for a tombstone.
fn place(id: TombstoneId) -> usize {
    let [.., last] = id.bytes();
    usize::from(last) % RECORDS
}
