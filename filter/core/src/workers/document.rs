//! Documents of a provider (metadata, keys) that all workers need and one of them fetches.

use core::time::Duration;
use std::rc::Rc;

use crate::foundation::codec::{Reader, Writer};
use crate::foundation::crypto::{Key, derive, sha256, to_base64url};
use crate::foundation::limits::{CALLOUT_TIMEOUT, LEEWAY};
use crate::foundation::time::UnixTime;
use crate::workers::record::{Look, Record, Seal};
use crate::workers::{READ_LATER, SharedStore, Written};

/// Age at which no worker uses a document any longer (invariant I8).
pub(crate) const STALE: Duration = Duration::from_secs(24 * 3600);
/// Pause of all workers after a failed fetch.
const RETRY: Duration = Duration::from_secs(1);
/// Requests for a fresher document cause at most one fetch within this time.
const FORCED: Duration = Duration::from_secs(10);
/// How often to check for the result of another worker's fetch.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long a fetch by one worker keeps the others from fetching.
const LEASE: Duration = CALLOUT_TIMEOUT.saturating_add(RETRY);

/// A document that all workers share.
///
/// A record in the shared store holds the last usable document, and a lease of the worker that is
/// fetching it.
pub(crate) struct Document {
    record: Record,
    refresh: Duration,
    /// The content of the record as this worker last read or wrote it. Without a store, this is the
    /// record itself.
    seen: State,
    /// The version of the record when it was read; `None` after a write.
    version: Option<u32>,
    /// When the document that this worker uses was fetched.
    loaded: UnixTime,
    /// The last failed fetch, by any worker, that this worker has handled.
    failed: UnixTime,
    /// When this worker must act next.
    due: UnixTime,
    fetching: bool,
}

/// The next step for a document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FetchStep {
    /// There is nothing to do yet.
    Rest,
    /// Fetch the document, then call [`Document::finish`].
    Fetch,
    /// Use this document, which another worker has fetched.
    Take(Vec<u8>),
    /// Another worker's fetch has failed. Wake the requests that waited for it.
    Failed,
}

/// The result of a request for a fresher document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fresher {
    /// A fetch is under way or now due. Wait for it.
    Wait,
    /// The last fetch is too recent for another one.
    TooSoon,
}

/// The content of the record. A time of zero means never.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    /// When `body` was fetched.
    loaded: UnixTime,
    /// When a fetch last failed.
    failed: UnixTime,
    /// When a fresher document was last requested.
    forced: UnixTime,
    /// When the lease of the fetching worker, or the pause after a failure, ends.
    leased: UnixTime,
    /// The last usable document.
    body: Vec<u8>,
}

impl Document {
    /// Creates the document for a description of its kind and origin.
    ///
    /// Documents with the same description share a record. `refresh` is the time between two
    /// fetches, `master` the master key of all workers.
    pub(crate) fn new(
        description: &str,
        refresh: Duration,
        master: &Key,
        store: Rc<dyn SharedStore>,
    ) -> Self {
        let name = format!("lictor.document.{}", to_base64url(&sha256(description.as_bytes())));
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

    /// Returns how long there is nothing to do.
    #[must_use]
    pub(crate) fn rest(&self, now: UnixTime) -> Duration {
        if self.fetching {
            return self.refresh;
        }
        if self.is_due(now) { Duration::ZERO } else { self.due.since(now) }
    }

    /// Returns when the document that this worker uses was fetched.
    #[must_use]
    pub(crate) const fn loaded(&self) -> UnixTime {
        self.loaded
    }

    fn is_due(&self, now: UnixTime) -> bool {
        // A due time that is too far in the future means that the clock went back.
        !self.fetching && (now >= self.due || self.due.since(now) > self.refresh)
    }

    /// Returns what to do now. After [`FetchStep::Fetch`], this worker holds the lease.
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

    /// Takes over a newer document that another worker has fetched, even before it is due.
    pub(crate) fn take(&mut self, now: UnixTime) -> Option<Vec<u8>> {
        self.look();
        if !self.is_newer(now) || now.is_over(self.seen.loaded, STALE) {
            return None;
        }
        self.loaded = self.seen.loaded;
        self.due = self.loaded.plus(self.refresh);
        Some(self.seen.body.clone())
    }

    /// Ends a fetch, with a usable document or without one. The last usable document stays then.
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
        // On a conflict, the record of the faster worker is as good as this one.
        let _ = self.put(state);
    }

    /// Rejects a document that was taken over. This worker fetches its own then.
    pub(crate) const fn reject(&mut self, now: UnixTime) {
        self.due = now;
    }

    /// Requests a fresher document, because a request needs something that this one lacks.
    pub(crate) fn want_fresher(&mut self, now: UnixTime) -> Fresher {
        if self.fetching {
            return Fresher::Wait;
        }
        self.look();
        // An earlier failure must not end the wait of this request.
        self.failed = self.seen.failed;
        let forced = self.seen.forced;
        let recent = forced != UnixTime::default() && !now.is_over(forced, FORCED);
        // Another request came a moment ago, and its fetch has not finished.
        let requested = recent && forced > self.seen.loaded.max(self.seen.failed);
        if requested || self.is_newer(now) || is_leased(&self.seen, now) {
            self.due = now;
            return Fresher::Wait;
        }
        if recent {
            return Fresher::TooSoon;
        }
        // On a conflict, another worker has just requested the same.
        let _ = self.put(State { forced: now, ..self.seen.clone() });
        self.due = now;
        Fresher::Wait
    }

    /// Returns whether the record holds a newer document than this worker uses.
    ///
    /// A document of this worker from the future was fetched while the clock was ahead. Any other
    /// document in the record is treated as newer.
    fn is_newer(&self, now: UnixTime) -> bool {
        let ahead = self.loaded > now.plus(Duration::from_secs(LEEWAY));
        self.seen.loaded > self.loaded || (ahead && self.seen.loaded != self.loaded)
    }

    /// Reads the record if it has changed.
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
        // The version is unknown after a write, so the next look reads the record.
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

/// Returns whether a worker is fetching, or pauses after a failed fetch.
fn is_leased(state: &State, now: UnixTime) -> bool {
    // A lease that ends later than any possible one means that the clock went back.
    now < state.leased && state.leased <= now.plus(LEASE.saturating_add(READ_LATER))
}
