//! The keys of all issuers, and the requests that wait for newer ones (docs/threats.md T-D1).
//!
//! `workers::document` decides when keys are fetched, and by which worker.

use core::time::Duration;
use std::rc::Rc;

use crate::config::{Config, Issuer};
use crate::foundation::crypto::Key;
use crate::foundation::id::IssuerId;
use crate::foundation::limits::WAITING_REQUESTS;
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::wire::jose::jwk::KeySet;
use crate::workers::SharedStore;
use crate::workers::document::{Document, FetchStep, Fresher, STALE};

/// How often keys are fetched. A key that the issuer withdraws is accepted at most this long, or
/// for [`STALE`] if fetches fail.
const REFRESH: Duration = Duration::from_secs(300);

/// The last usable key set of every issuer in [`Config::issuers`].
pub(crate) struct Keys {
    issuers: Vec<IssuerKeys>,
    woken: Vec<StreamId>,
    notices: Vec<String>,
}

/// The key set of one issuer.
struct IssuerKeys {
    issuer: String,
    document: Document,
    set: Option<KeySet>,
    /// When the set was fetched.
    loaded: UnixTime,
    /// Changes when the set changes. Tokens that an earlier set verified are verified again then.
    generation: u64,
    body: Vec<u8>,
    waiting: Vec<StreamId>,
}

/// The result of [`Keys::wait`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// The request will be woken.
    Yes,
    /// The last fetch is too recent for another one, so the request does not wait.
    TooSoon,
    /// Too many requests wait already.
    Busy,
}

impl Keys {
    /// Creates the key store for all issuers of a configuration, without any keys.
    #[must_use]
    pub(crate) fn new(config: &Config, store: &Rc<dyn SharedStore>) -> Self {
        let master = config.shared_key();
        let keys_of = |issuer| IssuerKeys::new(issuer, config, &master, Rc::clone(store));
        let issuers = config.issuers.iter().map(keys_of).collect();
        Self { issuers, woken: Vec::new(), notices: Vec::new() }
    }

    /// Returns the keys of an issuer; `None` before the first fetch, or if the last usable set is
    /// older than [`STALE`].
    #[must_use]
    pub(crate) fn current(&self, issuer: IssuerId, now: UnixTime) -> Option<&KeySet> {
        self.issuers.get(issuer.0)?.current(now)
    }

    /// Returns the generation of [`Self::current`]. It changes when the keys change.
    #[must_use]
    pub(crate) fn generation(&self, issuer: IssuerId, now: UnixTime) -> Option<u64> {
        let keys = self.issuers.get(issuer.0)?;
        keys.current(now).map(|_| keys.generation)
    }

    /// Returns whether the keys of an issuer were fetched at or after a time.
    #[must_use]
    pub(crate) fn loaded_since(&self, issuer: IssuerId, since: UnixTime) -> bool {
        self.issuers.get(issuer.0).is_some_and(|keys| keys.set.is_some() && keys.loaded >= since)
    }

    /// Returns the next issuer whose keys this worker must fetch.
    ///
    /// It also takes over sets that other workers have fetched. `metadata` says whether the
    /// metadata of the provider is loaded. Without it, the address of the provider's own keys is
    /// unknown.
    pub(crate) fn poll(&mut self, metadata: bool, now: UnixTime) -> Option<IssuerId> {
        for (at, keys) in self.issuers.iter_mut().enumerate().skip(usize::from(!metadata)) {
            loop {
                match keys.document.poll(now) {
                    FetchStep::Rest => break,
                    FetchStep::Fetch => return Some(IssuerId(at)),
                    FetchStep::Failed => self.woken.append(&mut keys.waiting),
                    // A set that was taken over may already be due for a refresh.
                    FetchStep::Take(body) => {
                        self.notices.extend(keys.take_over(&body, now).err());
                        self.woken.append(&mut keys.waiting);
                    }
                }
            }
        }
        None
    }

    /// Takes over key sets from other workers, for issuers without a current set here.
    pub(crate) fn catch_up(&mut self, now: UnixTime) {
        for keys in self.issuers.iter_mut().filter(|keys| keys.current(now).is_none()) {
            if let Some(body) = keys.document.take(now) {
                self.notices.extend(keys.take_over(&body, now).err());
                self.woken.append(&mut keys.waiting);
            }
        }
    }

    /// Returns how long there is nothing to fetch. `metadata` is as in [`Self::poll`].
    #[must_use]
    pub(crate) fn rest(&self, metadata: bool, now: UnixTime) -> Duration {
        let issuers = self.issuers.iter().skip(usize::from(!metadata));
        let due = issuers.map(|keys| keys.document.rest(now)).min();
        due.unwrap_or(REFRESH)
    }

    /// Ends a fetch with the body of the response, or with the text of an error.
    ///
    /// After a failure, or if the body has no usable key, the last usable set stays.
    pub(crate) fn finish(&mut self, issuer: IssuerId, body: Result<&[u8], String>, now: UnixTime) {
        let Some(keys) = self.issuers.get_mut(issuer.0) else { return };
        let first = keys.current(now).is_none();
        let loaded = match body {
            Ok(body) => keys.load(body, now).map(|skipped| (body, skipped)),
            Err(why) => Err(format!("the keys of {} could not be fetched: {why}", keys.issuer)),
        };
        match loaded {
            Ok((body, skipped)) => {
                keys.document.finish(Some(body), now);
                if first {
                    let skipped = if skipped.is_empty() {
                        String::new()
                    } else {
                        format!(" (skipped: {})", skipped.join(", "))
                    };
                    self.notices.push(format!("loaded the keys of {}{skipped}", keys.issuer));
                }
            }
            Err(why) => {
                keys.document.finish(None, now);
                self.notices.push(why);
            }
        }
        self.woken.append(&mut keys.waiting);
    }

    /// Takes over a newer set that another worker has fetched. Returns whether there was one.
    ///
    /// A token with an unknown `kid` is verified again then. The newer set may lack the key as
    /// well. Requests that wait for a fetch are woken, since this may be what they wait for.
    pub(crate) fn take_newer(&mut self, issuer: IssuerId, now: UnixTime) -> bool {
        let Some(keys) = self.issuers.get_mut(issuer.0) else { return false };
        let Some(body) = keys.document.take(now) else { return false };
        let is_usable = keys.take_over(&body, now).is_ok();
        self.woken.append(&mut keys.waiting);
        is_usable
    }

    /// Lets a request wait for the next fetch of keys, because it has an unknown `kid` or because
    /// there are no keys.
    pub(crate) fn wait(&mut self, issuer: IssuerId, stream: StreamId, now: UnixTime) -> Awaited {
        let Some(keys) = self.issuers.get_mut(issuer.0) else { return Awaited::TooSoon };
        if keys.waiting.len() >= WAITING_REQUESTS {
            return Awaited::Busy;
        }
        match keys.document.want_fresher(now) {
            Fresher::TooSoon => Awaited::TooSoon,
            Fresher::Wait => {
                keys.waiting.push(stream);
                Awaited::Yes
            }
        }
    }

    /// Requests a fetch for an unknown `kid` without waiting. The next request benefits from it.
    pub(crate) fn want_fresher(&mut self, issuer: IssuerId, now: UnixTime) {
        if let Some(keys) = self.issuers.get_mut(issuer.0) {
            let _ = keys.document.want_fresher(now);
        }
    }

    /// Returns and forgets the requests to wake: a fetch has ended, with keys or without.
    pub(crate) fn take_woken(&mut self) -> Vec<StreamId> {
        core::mem::take(&mut self.woken)
    }

    /// Returns and forgets lines for the operator's log.
    pub(crate) fn take_notices(&mut self) -> Vec<String> {
        core::mem::take(&mut self.notices)
    }

    /// Forgets a request that has ended.
    pub(crate) fn forget(&mut self, stream: StreamId) {
        for keys in &mut self.issuers {
            keys.waiting.retain(|waiting| *waiting != stream);
        }
        self.woken.retain(|woken| *woken != stream);
    }
}

impl IssuerKeys {
    fn new(issuer: &Issuer, config: &Config, master: &Key, store: Rc<dyn SharedStore>) -> Self {
        let from = match &issuer.keys {
            Some(source) => format!("{} {}", source.cluster, source.url),
            None => config.idp.source(),
        };
        let description = format!("keys of {} from {from}", issuer.issuer);
        Self {
            issuer: issuer.issuer.clone(),
            document: Document::new(&description, REFRESH, master, store),
            set: None,
            loaded: UnixTime::default(),
            generation: 0,
            body: Vec::new(),
            waiting: Vec::new(),
        }
    }

    fn current(&self, now: UnixTime) -> Option<&KeySet> {
        self.set.as_ref().filter(|_| !now.is_over(self.loaded, STALE))
    }

    /// Takes over a set from another worker. If it can't be used here, this worker fetches its own.
    fn take_over(&mut self, body: &[u8], now: UnixTime) -> Result<(), String> {
        let loaded = self.load(body, self.document.loaded());
        loaded.map(|_| ()).inspect_err(|_| self.document.reject(now))
    }

    /// Loads a set that was fetched at `at`. Returns why some of its keys were left out.
    fn load(&mut self, body: &[u8], at: UnixTime) -> Result<Vec<&'static str>, String> {
        let set = KeySet::parse(body);
        let mut set =
            set.map_err(|why| format!("the keys of {} can't be used: {}", self.issuer, why.0))?;
        let skipped = core::mem::take(&mut set.skipped);
        self.set = Some(set);
        self.loaded = at;
        if self.body != body {
            self.generation = self.generation.saturating_add(1);
            self.body = body.to_vec();
        }
        Ok(skipped)
    }
}
