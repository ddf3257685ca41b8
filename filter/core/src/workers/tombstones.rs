//! Tombstones that all workers of a process see: used states, signed-out sessions. Bounded in number and
//! in time, the oldest go first.

use core::time::Duration;
use std::rc::Rc;

use crate::foundation::codec::{Reader, Writer};
use crate::foundation::crypto::{Key, derive, sha256, to_base64url};
use crate::foundation::id::{Id, TombstoneId};
use crate::foundation::time::UnixTime;
use crate::workers::SharedStore;
use crate::workers::record::{Look, Record, Seal, Updated};

/// Tombstones are spread over so many records, so that workers seldom meet in one.
const RECORDS: usize = 16;
/// Tombstones in one record.
const MOST: usize = 256;

/// See the module.
pub(crate) struct Tombstones {
    life: Duration,
    shards: Vec<Shard>,
    /// A record whose version changes with every mark: as long as it stays nothing else is read.
    changes: Record,
    /// Which version that was when this worker last looked.
    seen: Option<u32>,
}

/// One record, and what this worker knows of it.
struct Shard {
    record: Record,
    version: Option<u32>,
    known: Known,
}

/// The marks of a record.
#[derive(Clone, Default)]
struct Known {
    /// When the last mark was dropped that was still alive.
    lost: Option<UnixTime>,
    /// Oldest first.
    marks: Vec<Mark>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    what: TombstoneId,
    at: UnixTime,
}

/// The identifier of something that has none of its own.
#[must_use]
pub(crate) fn tombstone_of(item: &[u8]) -> TombstoneId {
    TombstoneId::from_bytes(sha256(item).first_chunk().copied().unwrap_or_default())
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

impl Tombstones {
    /// Tombstones of a purpose that live for a while. `master` is the key that all workers have.
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
        let record = |part: &str| {
            let name = format!("lictor.marks.{name}.{part}");
            Record::new(name, key, Rc::clone(&store), Seal::Readable)
        };
        let shard = |at: usize| {
            let record = record(&at.to_string());
            Shard { record, version: None, known: Known::default() }
        };
        let shards = (0..RECORDS).map(shard).collect();
        Self { life, shards, changes: record("changes"), seen: None }
    }

    /// Tombstones something, unless it is marked already.
    pub(crate) fn add(&mut self, what: TombstoneId, now: UnixTime) -> Added {
        self.put(what, now, false)
    }

    /// Tombstones something as of now, even if it is marked already.
    pub(crate) fn renew(&mut self, what: TombstoneId, now: UnixTime) -> Added {
        self.put(what, now, true)
    }

    fn put(&mut self, what: TombstoneId, now: UnixTime, renew: bool) -> Added {
        let life = self.life;
        let Some(shard) = self.shards.get_mut(place(what)) else { return Added::Busy };
        let (known, mut next) = (&mut shard.known, None);
        let updated = shard.record.update(|content| {
            known.merge(content.as_deref());
            let with = known.with(what, life, renew, now)?;
            let content = with.encode();
            next = Some(with);
            Some(content)
        });
        match (updated, next) {
            (Updated::Declined, _) => Added::Known,
            (Updated::Done, Some(next)) => {
                shard.known = next;
                shard.version = None;
                // After the mark: whoever sees the change finds it.
                let _ = self.changes.write(b"1", None);
                Added::New
            }
            (Updated::Done | Updated::Failed, _) => Added::Busy,
        }
    }

    /// Takes over what other workers have marked since the last look: one look at the number of
    /// changes, and the records only if there was one.
    pub(crate) fn look(&mut self) {
        self.seen = match self.changes.look(self.seen) {
            Look::Unchanged => return,
            // Nobody knows whether anything has changed.
            Look::Absent => None,
            Look::Changed(read) => read.version,
        };
        for shard in &mut self.shards {
            if let Look::Changed(read) = shard.record.look(shard.version) {
                shard.version = read.version;
                shard.known.merge(read.content.as_deref());
            }
        }
    }

    /// When something was marked, if it is, as far as this worker knows.
    #[must_use]
    pub(crate) fn at(&self, what: TombstoneId, now: UnixTime) -> Option<UnixTime> {
        let marks = &self.shards.get(place(what))?.known.marks;
        let mark = marks.iter().find(|mark| mark.what == what)?;
        mark.is_alive(self.life, now).then_some(mark.at)
    }

    /// Until when marks have been lost, in the record where this one would be.
    #[must_use]
    pub(crate) fn lost(&self, what: TombstoneId) -> Option<UnixTime> {
        self.shards.get(place(what))?.known.lost
    }

    /// Whether nothing is marked and nothing was lost.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.shards.iter().all(|Shard { known, .. }| known.marks.is_empty() && known.lost.is_none())
    }
}

impl Mark {
    /// A mark in the future is alive: a clock that went back revives nothing.
    fn is_alive(&self, life: Duration, now: UnixTime) -> bool {
        now.since(self.at) < life
    }
}

impl Known {
    /// Takes over what is in a record. What this worker knows stays: older bytes of ours, written back by
    /// somebody else, make nobody forget. What does not open says nothing.
    fn merge(&mut self, content: Option<&[u8]>) {
        let Some(Self { lost, marks }) = content.and_then(Self::decode) else { return };
        self.lost = self.lost.max(lost);
        for mark in marks {
            match self.marks.iter_mut().find(|known| known.what == mark.what) {
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

    /// With one mark more; `None` when it is there already and is not to be renewed. The oldest goes when
    /// there is no room.
    fn with(&self, what: TombstoneId, life: Duration, renew: bool, now: UnixTime) -> Option<Self> {
        let alive = self.marks.iter().filter(|mark| mark.is_alive(life, now));
        let (mut lost, mut marks) = (self.lost, alive.copied().collect::<Vec<_>>());
        let mut mark = Mark { what, at: now };
        if let Some(known) = marks.iter().position(|mark| mark.what == what) {
            if !renew {
                return None;
            }
            // A clock that went back takes nothing of it back.
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
        let add = |text: Writer, mark: &Mark| text.raw(&mark.what.bytes()).number(mark.at.millis());
        self.marks.iter().fold(Writer::default().number(lost), add).finish()
    }

    fn decode(content: &[u8]) -> Option<Self> {
        let mut fields = Reader::new(content);
        let lost = Some(UnixTime::from_millis(fields.number()?));
        let mut marks = Vec::new();
        while !fields.is_done() {
            marks.push(Mark {
                what: TombstoneId::from_bytes(fields.raw()?),
                at: UnixTime::from_millis(fields.number()?),
            });
        }
        Some(Self { lost: lost.filter(|at| *at != UnixTime::default()), marks })
    }
}

/// In which record a mark stands.
fn place(what: TombstoneId) -> usize {
    let [.., last] = what.bytes();
    usize::from(last) % RECORDS
}
