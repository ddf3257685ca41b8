//! A document of a provider's (metadata, keys) that every worker needs and one of them fetches: a
//! record in the shared store holds the last good one and says who is fetching.

use core::time::Duration;
use std::rc::Rc;

use crate::foundation::codec::{Reader, Writer};
use crate::foundation::crypto::{Key, derive, sha256, to_base64url};
use crate::foundation::limits::{CALLOUT_TIMEOUT, LEEWAY};
use crate::foundation::time::UnixTime;
use crate::workers::record::{Look, Record, Seal};
use crate::workers::{READ_LATER, SharedStore, Written};

/// A document that is older counts no more, whoever has it (invariant I8).
pub(crate) const STALE: Duration = Duration::from_secs(24 * 3600);
/// Pause after a failed fetch, for all workers together.
const RETRY: Duration = Duration::from_secs(1);
/// A request for a fresher document causes at most one fetch in this time.
const FORCED: Duration = Duration::from_secs(10);
/// How soon to look again at what another worker is fetching.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long one worker may keep the others from fetching.
const LEASE: Duration = CALLOUT_TIMEOUT.saturating_add(RETRY);

/// See the module.
pub(crate) struct Document {
    record: Record,
    refresh: Duration,
    /// The record as this worker saw it last; the record itself when the host has no store.
    seen: State,
    /// Which version of it that was.
    version: Option<u32>,
    loaded: UnixTime,
    /// The last failure, of whatever worker, that this one knows of.
    failed: UnixTime,
    due: UnixTime,
    fetching: bool,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FetchStep {
    /// Nothing yet.
    Rest,
    /// Fetch it, then say [`Document::finish`].
    Fetch,
    /// Another worker has fetched this.
    Take(Vec<u8>),
    /// Another worker has tried and failed: whoever waits has waited for that.
    Failed,
}

/// What a request for a fresher document leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fresher {
    /// A fetch is on its way (or now due): wait for it.
    Wait,
    /// The last one is too recent for another one.
    TooSoon,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    loaded: UnixTime,
    failed: UnixTime,
    forced: UnixTime,
    leased: UnixTime,
    body: Vec<u8>,
}

impl Document {
    /// A document by what it is and where it comes from, refreshed after a while. `master` is the
    /// key that all workers have.
    pub(crate) fn new(
        what: &str,
        refresh: Duration,
        master: &Key,
        store: Rc<dyn SharedStore>,
    ) -> Self {
        let name = format!("lictor.document.{}", to_base64url(&sha256(what.as_bytes())));
        let key = derive(master, "shared documents");
        Self {
            record: Record::new(name, key, store, Seal::Readable),
            refresh,
            seen: State::default(),
            version: None,
            loaded: UnixTime::default(),
            failed: UnixTime::default(),
            due: UnixTime::default(),
            fetching: false,
        }
    }

    /// How long there is nothing to do.
    #[must_use]
    pub(crate) fn rest(&self, now: UnixTime) -> Duration {
        if self.fetching {
            return self.refresh;
        }
        if self.is_due(now) { Duration::ZERO } else { self.due.since(now) }
    }

    /// When the document that was last fetched or taken was fetched.
    #[must_use]
    pub(crate) const fn loaded(&self) -> UnixTime {
        self.loaded
    }

    fn is_due(&self, now: UnixTime) -> bool {
        // A due time far in the future means that the clock went back.
        !self.fetching && (now >= self.due || self.due.since(now) > self.refresh)
    }

    /// What is to be done now.
    pub(crate) fn poll(&mut self, now: UnixTime) -> FetchStep {
        if !self.is_due(now) {
            return FetchStep::Rest;
        }
        if let Some(body) = self.take(now) {
            return FetchStep::Take(body);
        }
        if self.seen.failed > self.failed {
            self.failed = self.seen.failed;
            return FetchStep::Failed;
        }
        if is_leased(&self.seen, now) {
            self.due = now.plus(LOOK_AGAIN);
            return FetchStep::Rest;
        }
        if self.put(State { leased: now.plus(LEASE), ..self.seen.clone() }) == Written::Conflict {
            self.due = now.plus(LOOK_AGAIN);
            return FetchStep::Rest;
        }
        self.fetching = true;
        FetchStep::Fetch
    }

    /// What another worker has fetched since, whether or not it is time to look.
    pub(crate) fn take(&mut self, now: UnixTime) -> Option<Vec<u8>> {
        self.look();
        if !self.is_newer(now) || now.is_over(self.seen.loaded, STALE) {
            return None;
        }
        self.loaded = self.seen.loaded;
        self.due = self.loaded.plus(self.refresh);
        Some(self.seen.body.clone())
    }

    /// A fetch has ended, with a good document or without; the last good one is kept.
    pub(crate) fn finish(&mut self, body: Option<&[u8]>, now: UnixTime) {
        self.fetching = false;
        self.look();
        let state = self.seen.clone();
        let state = match body {
            Some(body) => {
                self.loaded = now;
                self.due = now.plus(self.refresh);
                State { loaded: now, leased: UnixTime::default(), body: body.to_vec(), ..state }
            }
            None => {
                self.due = now.plus(RETRY);
                self.failed = now;
                State { failed: now, leased: now.plus(RETRY), ..state }
            }
        };
        // Whoever was faster has a record that is as good.
        let _ = self.put(state);
    }

    /// What was taken can't be used here: this worker fetches for itself.
    pub(crate) const fn reject(&mut self, now: UnixTime) {
        self.due = now;
    }

    /// Somebody needs what is not in this document.
    pub(crate) fn want_fresher(&mut self, now: UnixTime) -> Fresher {
        if self.fetching {
            return Fresher::Wait;
        }
        self.look();
        // What failed before was not for whoever asks now.
        self.failed = self.seen.failed;
        let forced = self.seen.forced;
        let recent = forced != UnixTime::default() && !now.is_over(forced, FORCED);
        // Somebody has asked a moment ago, and the fetch has not even begun.
        let asked = recent && forced > self.seen.loaded.max(self.seen.failed);
        if asked || self.is_newer(now) || is_leased(&self.seen, now) {
            self.due = now;
            return Fresher::Wait;
        }
        if recent {
            return Fresher::TooSoon;
        }
        // On a conflict another worker has just asked for the same.
        let _ = self.put(State { forced: now, ..self.seen.clone() });
        self.due = now;
        Fresher::Wait
    }

    /// Whether the record holds a later document than this worker has. What it fetched while its
    /// clock was ahead is the older one, whatever it says.
    fn is_newer(&self, now: UnixTime) -> bool {
        let ahead = self.loaded > now.plus(Duration::from_secs(LEEWAY));
        self.seen.loaded > self.loaded || (ahead && self.seen.loaded != self.loaded)
    }

    /// Reads the record, if it has changed.
    fn look(&mut self) {
        if let Look::Changed(read) = self.record.look(self.version) {
            self.seen = read.content.and_then(|content| decode(&content)).unwrap_or_default();
            self.version = read.version;
        }
    }

    fn put(&mut self, state: State) -> Written {
        let written = self.record.write(&encode(&state), self.version);
        if written != Written::Conflict {
            self.seen = state;
        }
        // Whatever the store made of it, its version is another one now.
        self.version = None;
        written
    }
}

fn encode(state: &State) -> Vec<u8> {
    let times = [state.loaded, state.failed, state.forced, state.leased];
    let times = times.iter().fold(Writer::default(), |text, time| text.number(time.millis()));
    times.raw(&state.body).finish()
}

fn decode(content: &[u8]) -> Option<State> {
    let mut fields = Reader::new(content);
    let mut time = || fields.number().map(UnixTime::from_millis);
    let (loaded, failed, forced, leased) = (time()?, time()?, time()?, time()?);
    Some(State { loaded, failed, forced, leased, body: fields.rest().to_vec() })
}

/// Whether another worker is fetching. A lease that ends later than any can is none: the clock went
/// back.
fn is_leased(state: &State, now: UnixTime) -> bool {
    // A lease that ends later than any could means that the clock went back.
    now < state.leased && state.leased <= now.plus(LEASE.saturating_add(READ_LATER))
}
