//! The keys of every issuer: the last good set of each, and who waits for a fresher one
//! (docs/threats.md T-D1). When they are fetched is `shared::document`'s matter.

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

/// A key gone from the set stops counting after at most this long.
const REFRESH: Duration = Duration::from_secs(300);

/// See the module; issuers are named by their place in [`Config::issuers`].
pub(crate) struct Keys {
    issuers: Vec<IssuerKeys>,
    woken: Vec<StreamId>,
    notices: Vec<String>,
}

struct IssuerKeys {
    issuer: String,
    document: Document,
    set: Option<KeySet>,
    /// When that set was fetched.
    loaded: UnixTime,
    /// Changes with the set: what an earlier one verified is verified anew.
    generation: u64,
    body: Vec<u8>,
    waiting: Vec<StreamId>,
}

/// Whether a request waits for keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// It will be woken.
    Yes,
    /// The last fetch is too recent for another one.
    TooSoon,
    /// Too many wait already.
    Busy,
}

impl Keys {
    /// For all issuers of a configuration.
    #[must_use]
    pub(crate) fn new(config: &Config, store: &Rc<dyn SharedStore>) -> Self {
        let master = config.shared_key();
        let keys_of = |issuer| IssuerKeys::new(issuer, config, &master, Rc::clone(store));
        let issuers = config.issuers.iter().map(keys_of).collect();
        Self { issuers, woken: Vec::new(), notices: Vec::new() }
    }

    /// An issuer's keys, unless there are none yet or they are too old to be believed.
    #[must_use]
    pub(crate) fn current(&self, issuer: IssuerId, now: UnixTime) -> Option<&KeySet> {
        self.issuers.get(issuer.0)?.current(now)
    }

    /// Which set of an issuer's keys stands, while it may be believed.
    #[must_use]
    pub(crate) fn generation(&self, issuer: IssuerId, now: UnixTime) -> Option<u64> {
        let keys = self.issuers.get(issuer.0)?;
        keys.current(now).map(|_| keys.generation)
    }

    /// Whether an issuer's set has been fetched at or after a time.
    #[must_use]
    pub(crate) fn loaded_since(&self, issuer: IssuerId, since: UnixTime) -> bool {
        self.issuers.get(issuer.0).is_some_and(|keys| keys.set.is_some() && keys.loaded >= since)
    }

    /// The next issuer whose keys are to be fetched by this worker; sets that another worker has
    /// fetched are taken over on the way. Without metadata nobody knows where the login's are.
    pub(crate) fn poll(&mut self, metadata: bool, now: UnixTime) -> Option<IssuerId> {
        for (at, keys) in self.issuers.iter_mut().enumerate().skip(usize::from(!metadata)) {
            loop {
                match keys.document.poll(now) {
                    FetchStep::Rest => break,
                    FetchStep::Fetch => return Some(IssuerId(at)),
                    FetchStep::Failed => self.woken.append(&mut keys.waiting),
                    // Taken, it may be due for a refresh at once.
                    FetchStep::Take(body) => {
                        self.notices.extend(keys.take_over(&body, now).err());
                        self.woken.append(&mut keys.waiting);
                    }
                }
            }
        }
        None
    }

    /// Takes over the sets that other workers have fetched, where there is none here yet.
    pub(crate) fn catch_up(&mut self, now: UnixTime) {
        for keys in self.issuers.iter_mut().filter(|keys| keys.current(now).is_none()) {
            if let Some(body) = keys.document.take(now) {
                self.notices.extend(keys.take_over(&body, now).err());
                self.woken.append(&mut keys.waiting);
            }
        }
    }

    /// How long there is nothing to do.
    #[must_use]
    pub(crate) fn rest(&self, metadata: bool, now: UnixTime) -> Duration {
        let issuers = self.issuers.iter().skip(usize::from(!metadata));
        let due = issuers.map(|keys| keys.document.rest(now)).min();
        due.unwrap_or(REFRESH)
    }

    /// A fetch has ended. A failed one, or one without a usable key, leaves the last good set.
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

    /// A request wants to be woken after the next fetch of keys, which an unknown `kid` causes.
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

    /// An unknown `kid` was seen and nobody waits: the fetch is for the next try.
    pub(crate) fn want_fresher(&mut self, issuer: IssuerId, now: UnixTime) {
        if let Some(keys) = self.issuers.get_mut(issuer.0) {
            let _ = keys.document.want_fresher(now);
        }
    }

    /// Requests whose keys are there, or will not come for now.
    pub(crate) fn take_woken(&mut self) -> Vec<StreamId> {
        core::mem::take(&mut self.woken)
    }

    /// Lines for the operator.
    pub(crate) fn take_notices(&mut self) -> Vec<String> {
        core::mem::take(&mut self.notices)
    }

    /// A request has ended.
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
            None => format!("{} {}", config.idp.cluster, config.idp.internal),
        };
        let what = format!("keys of {} from {from}", issuer.issuer);
        Self {
            issuer: issuer.issuer.clone(),
            document: Document::new(&what, REFRESH, master, store),
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

    /// A set that another worker has fetched; what is of no use here is fetched anew.
    fn take_over(&mut self, body: &[u8], now: UnixTime) -> Result<(), String> {
        let loaded = self.load(body, self.document.loaded());
        loaded.map(|_| ()).inspect_err(|_| self.document.reject(now))
    }

    /// Takes over a set that was fetched at a time; gives the reasons for keys that were left out.
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
