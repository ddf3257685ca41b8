//! Exchanges of client credentials: one at a time for each pair in all workers of a process. What the
//! provider said is remembered under a keyed hash of the pair, good answers for all workers, refusals
//! with growing pauses; credentials themselves are kept only while they are on their way.

use core::time::Duration;
use std::collections::{HashMap, VecDeque};

use crate::config;
use crate::credential::client_credentials::{Exchanged, Standing, Verdict};
use crate::foundation::bounded::Bounded;
use crate::foundation::codec::Writer;
use crate::foundation::crypto::{Key, derive, mac};
use crate::foundation::limits::{
    CALLOUT_TIMEOUT, EXCHANGED, EXCHANGES_IN_FLIGHT, WAITING_REQUESTS,
};
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::identity::principal::Identity;
use crate::provider::token_endpoint::Credentials;
use crate::refusal::Refusal;
use crate::wire::peer::Peer;
use crate::workers::READ_LATER;
use crate::workers::answers::{Answer as _, Answers, Known, Name};

use super::FOLLOW;
use super::attempts::Attempts;

/// How long an attempt without a verdict is not repeated,
const PAUSE: Duration = Duration::from_secs(5);
/// and one that only lacked a key.
const KEYS: Duration = Duration::from_secs(1);
/// How long a socket waits for somebody to show its credentials again, once they must be rechecked: workers
/// ask Prefect for work each 10 seconds.
const SOCKETS: Duration = Duration::from_secs(15);
/// How long a refusal stands at first, and at most.
const REFUSED: Duration = Duration::from_secs(2);
/// See [`REFUSED`].
const REFUSED_LONG: Duration = Duration::from_secs(64);
/// Pairs that are looked at each time for what other workers have heard.
const LOOKS: usize = 64;

/// What credentials lead to.
#[derive(Debug)]
pub(crate) enum Exchange {
    /// They are this client's.
    Counts(Identity),
    /// They are nobody's.
    Refused(Refusal),
    /// The provider gives no verdict.
    Unavailable,
    /// Too many ask.
    Busy,
    /// The request is woken when there is an answer.
    Wait,
}

/// Who shows credentials.
#[derive(Clone, Copy)]
pub(crate) struct Shower<'a> {
    /// The request, to be woken.
    pub(crate) stream: StreamId,
    /// Where it comes from.
    pub(crate) peer: &'a dyn Peer,
}

/// An exchange that is queued or in flight, here or at another worker.
struct Work {
    credentials: Credentials,
    waiting: Vec<StreamId>,
    since: UnixTime,
    /// Whether they have been good before: guesses must not hold them up.
    known: bool,
    /// When the answer was given that it is to replace, if there is one.
    before: Option<UnixTime>,
}

struct Failed {
    /// `None` when there was no verdict.
    refusal: Option<Refusal>,
    at: UnixTime,
    pause: Duration,
}

impl Failed {
    fn stands(&self, now: UnixTime) -> bool {
        !now.is_over(self.at, self.pause)
    }
}

/// See the module.
pub(crate) struct Exchanges {
    key: Key,
    shared: Answers<Exchanged>,
    good: Bounded<Name, Exchanged>,
    failed: Bounded<Name, Failed>,
    work: HashMap<Name, Work>,
    /// To be sent: those that were good before go first.
    renewals: VecDeque<Name>,
    tries: VecDeque<Name>,
    /// Those that another worker is asking about, and when they were last looked at.
    followed: VecDeque<Name>,
    looked: UnixTime,
    renewals_in_flight: usize,
    tries_in_flight: usize,
    /// When the provider last gave no answer at all.
    outage: Option<UnixTime>,
    attempts: Attempts,
}

impl Exchanges {
    /// With what all workers share. `master` is the key that they have.
    #[must_use]
    pub(crate) fn new(master: &Key, shared: Answers<Exchanged>) -> Self {
        Self {
            key: derive(master, "names of exchanged credentials"),
            shared,
            good: Bounded::new(EXCHANGED),
            failed: Bounded::new(EXCHANGED),
            work: HashMap::new(),
            renewals: VecDeque::new(),
            tries: VecDeque::new(),
            followed: VecDeque::new(),
            looked: UnixTime::default(),
            renewals_in_flight: 0,
            tries_in_flight: 0,
            outage: None,
            attempts: Attempts::default(),
        }
    }

    fn name(&self, credentials: &Credentials) -> Name {
        let pair = Writer::default()
            .bytes(credentials.client.as_bytes())
            .raw(credentials.secret.expose())
            .finish();
        let mut name = Name::default();
        name.copy_from_slice(
            mac(&self.key, "credentials", &pair).first_chunk().unwrap_or(&Name::default()),
        );
        name
    }

    /// See [`Exchange`].
    pub(crate) fn show(
        &mut self,
        credentials: &Credentials,
        shower: Shower<'_>,
        limits: &config::Session,
        has_provider: bool,
        now: UnixTime,
    ) -> Exchange {
        let name = self.name(credentials);
        let (known, standing) = self.newest(&name, limits, now);
        let counts = |known: &Exchanged| Exchange::Counts(known.identity(name, limits.recheck));
        let known = known.filter(|_| standing != Standing::Over);
        match (&known, standing) {
            (Some(known), Standing::Fresh) => return counts(known),
            (Some(known), Standing::Aging) => {
                if has_provider && self.may_ask(&name, now) {
                    self.ask(name, credentials, None, true, now);
                }
                return counts(known);
            }
            _ => {}
        }
        let in_grace = || known.as_ref().map_or(Exchange::Unavailable, counts);
        if let Some(work) = self.work.get_mut(&name) {
            if work.waiting.len() >= WAITING_REQUESTS {
                return Exchange::Busy;
            }
            work.waiting.push(shower.stream);
            return Exchange::Wait;
        }
        match self.failed.get(&name).filter(|failed| failed.stands(now)) {
            Some(Failed { refusal: Some(refusal), .. }) => {
                return Exchange::Refused(refusal.clone());
            }
            Some(Failed { refusal: None, .. }) => return in_grace(),
            None => {}
        }
        if !has_provider || self.is_outage(now) {
            return in_grace();
        }
        let queued = match known {
            Some(_) => self.renewals.len(),
            None => self.tries.len().max(self.followed.len()),
        };
        let busy = queued >= WAITING_REQUESTS
            || (known.is_none()
                && !self.attempts.may(&credentials.client, &shower.peer.address(), now));
        if busy {
            return known.as_ref().map_or(Exchange::Busy, counts);
        }
        self.ask(name, credentials, Some(shower.stream), known.is_some(), now);
        Exchange::Wait
    }

    /// The last good answer, of whatever worker, and what it is worth.
    fn newest(
        &mut self,
        name: &Name,
        limits: &config::Session,
        now: UnixTime,
    ) -> (Option<Exchanged>, Standing) {
        let standing = |known: &Exchanged| known.standing(limits.recheck, limits.grace, now);
        let own = self.good.get(name).cloned();
        if let Some(own) = &own
            && standing(own) == Standing::Fresh
        {
            return (Some(own.clone()), Standing::Fresh);
        }
        let other = self.shared.kept(name).filter(|other| standing(other) != Standing::Over);
        if let Some(other) = &other
            && own.as_ref().is_none_or(|own| other.at() > own.at())
        {
            self.good.insert(*name, other.clone());
        }
        let newest = own.into_iter().chain(other).max_by_key(Exchanged::at);
        let standing = newest.as_ref().map_or(Standing::Over, standing);
        (newest, standing)
    }

    /// Whom credentials prove that were shown before, for a socket that they opened. They are not kept, so
    /// nobody can ask again until somebody shows them.
    pub(crate) fn holds(
        &mut self,
        name: &Name,
        limits: &config::Session,
        now: UnixTime,
    ) -> Option<Identity> {
        let (known, standing) = self.newest(name, limits, now);
        let known = known?;
        let identity = known.identity(*name, limits.recheck);
        match standing {
            Standing::Fresh | Standing::Aging => Some(identity),
            // Whoever shows them next will ask; while that has no verdict, grace is for sockets, too.
            Standing::Due if self.has_no_verdict(name, &known, now) => {
                Some(Identity { until: Some(now.plus(PAUSE).min(known.end())), ..identity })
            }
            Standing::Due => {
                let until = known.at().plus(limits.recheck).plus(SOCKETS).min(known.end());
                (now < until).then_some(Identity { until: Some(until), ..identity })
            }
            Standing::Over => None,
        }
    }

    /// Whether the provider was asked a moment ago and has not said. A silence of long ago, after which
    /// nobody has shown them again, is none.
    fn has_no_verdict(&self, name: &Name, known: &Exchanged, now: UnixTime) -> bool {
        let recent = |at: UnixTime| at >= known.at() && !now.is_over(at, SOCKETS);
        let silent = |failed: &Failed| failed.refusal.is_none() && recent(failed.at);
        self.work.contains_key(name)
            || self.failed.get(name).is_some_and(silent)
            || self.outage.is_some_and(recent)
    }

    fn is_outage(&self, now: UnixTime) -> bool {
        self.outage.is_some_and(|since| !now.is_over(since, PAUSE))
    }

    fn may_ask(&self, name: &Name, now: UnixTime) -> bool {
        let failed = self.failed.get(name).is_some_and(|failed| failed.stands(now));
        !failed && !self.is_outage(now) && !self.work.contains_key(name)
    }

    fn ask(
        &mut self,
        name: Name,
        credentials: &Credentials,
        stream: Option<StreamId>,
        known: bool,
        now: UnixTime,
    ) {
        let before = self.good.get(&name).map(Exchanged::at);
        // What another worker has told since this one looked is heard as if it were told later.
        let elsewhere = !self.shared.lease_unless(&name, now, |told| is_news(told, before, now));
        let queue = match (elsewhere, known) {
            (true, _) => &mut self.followed,
            (false, true) => &mut self.renewals,
            (false, false) => &mut self.tries,
        };
        queue.push_back(name);
        let waiting = stream.into_iter().collect();
        let work = Work { credentials: credentials.clone(), waiting, since: now, known, before };
        self.work.insert(name, work);
    }

    /// Looks at what other workers are asking; gives the requests whose wait is over. If one of those
    /// workers has heard nothing, or has died, this one asks.
    pub(crate) fn follow(&mut self, now: UnixTime) -> Vec<StreamId> {
        let mut woken = Vec::new();
        if now.since(self.looked) < FOLLOW && self.looked <= now {
            return woken;
        }
        self.looked = now;
        woken.extend(self.give_up_late(now));
        for _ in 0..self.followed.len().min(LOOKS) {
            let Some(name) = self.followed.pop_front() else { break };
            let Some(work) = self.work.get(&name) else { continue };
            match self.shared.look(&name, now) {
                Known::Asking => self.followed.push_back(name),
                Known::Done(exchanged) if is_news(&exchanged, work.before, now) => {
                    woken.extend(self.done(&name));
                    self.good.insert(name, exchanged);
                }
                Known::Done(_) | Known::Nothing if work.waiting.is_empty() => {
                    self.work.remove(&name);
                }
                Known::Done(_) | Known::Nothing if work.known => self.renewals.push_back(name),
                Known::Done(_) | Known::Nothing => self.tries.push_back(name),
            }
        }
        woken
    }

    /// Takes the next exchange to send.
    pub(crate) fn begin_next(&mut self, now: UnixTime) -> Option<(Name, Credentials)> {
        loop {
            let name = if self.renewals_in_flight < EXCHANGES_IN_FLIGHT
                && let Some(name) = self.renewals.pop_front()
            {
                name
            } else if self.tries_in_flight < EXCHANGES_IN_FLIGHT {
                self.tries.pop_front()?
            } else {
                return None;
            };
            let Some(work) = self.work.get(&name) else { continue };
            // One that has waited for long may be another worker's meanwhile.
            let before = work.before;
            if !self.shared.lease_unless(&name, now, |told| is_news(told, before, now)) {
                self.followed.push_back(name);
                continue;
            }
            let in_flight =
                if work.known { &mut self.renewals_in_flight } else { &mut self.tries_in_flight };
            *in_flight = in_flight.saturating_add(1);
            return Some((name, work.credentials.clone()));
        }
    }

    /// Whose exchange is in flight.
    #[must_use]
    pub(crate) fn in_flight(&self, name: &Name) -> Option<&str> {
        self.work.get(name).map(|work| work.credentials.client.as_str())
    }

    /// An exchange has a verdict; gives the requests that waited.
    pub(crate) fn finish(&mut self, name: Name, verdict: Verdict, now: UnixTime) -> Vec<StreamId> {
        let Some(known) = self.work.get(&name).map(|work| work.known) else { return Vec::new() };
        let in_flight =
            if known { &mut self.renewals_in_flight } else { &mut self.tries_in_flight };
        *in_flight = in_flight.saturating_sub(1);
        let mut woken = self.done(&name);
        match verdict {
            Verdict::Good(exchanged) => {
                self.outage = None;
                self.failed.remove(&name);
                let standing = self.shared.publish(&name, exchanged);
                self.good.insert(name, standing);
            }
            Verdict::Refused(refusal) => {
                self.outage = None;
                self.good.remove(&name);
                self.shared.withdraw(&name, now);
                let before = self.failed.get(&name).filter(|failed| failed.refusal.is_some());
                let pause = before
                    .map_or(REFUSED, |failed| failed.pause.saturating_mul(2).min(REFUSED_LONG));
                self.failed.insert(name, Failed { refusal: Some(refusal), at: now, pause });
            }
            Verdict::None { silent, unknown_key, .. } => {
                self.shared.release(&name, now);
                let pause = if unknown_key { KEYS } else { PAUSE };
                self.failed.insert(name, Failed { refusal: None, at: now, pause });
                // A stranger's try may be what the provider chokes on.
                if silent && known {
                    self.outage = Some(now);
                    woken.extend(self.give_up_queued(now));
                }
            }
        }
        woken
    }

    /// Those that are still queued would only wait for the same silence one after the other.
    fn give_up_queued(&mut self, now: UnixTime) -> Vec<StreamId> {
        let queued: Vec<Name> = self.renewals.drain(..).chain(self.tries.drain(..)).collect();
        queued
            .iter()
            .flat_map(|name| {
                self.shared.release(name, now);
                self.done(name)
            })
            .collect()
    }

    /// A provider that stalls lets a long queue grow: nobody stands in it for longer than a call takes.
    fn give_up_late(&mut self, now: UnixTime) -> Vec<StreamId> {
        let work = &self.work;
        let late = |name: &Name| {
            work.get(name).is_none_or(|work| now.is_over(work.since, CALLOUT_TIMEOUT))
        };
        let given_up: Vec<Name> = self.tries.iter().copied().filter(late).collect();
        self.tries.retain(|name| !given_up.contains(name));
        given_up
            .iter()
            .flat_map(|name| {
                self.shared.release(name, now);
                // Whoever is woken does not queue again.
                self.failed.insert(*name, Failed { refusal: None, at: now, pause: KEYS });
                self.done(name)
            })
            .collect()
    }

    fn done(&mut self, name: &Name) -> Vec<StreamId> {
        self.work.remove(name).map(|work| work.waiting).unwrap_or_default()
    }

    /// Whether an exchange can be sent.
    #[must_use]
    pub(crate) fn has_queued(&self) -> bool {
        let renewals = !self.renewals.is_empty() && self.renewals_in_flight < EXCHANGES_IN_FLIGHT;
        renewals || (!self.tries.is_empty() && self.tries_in_flight < EXCHANGES_IN_FLIGHT)
    }

    /// Whether another worker's answer is awaited.
    #[must_use]
    pub(crate) fn is_following(&self) -> bool {
        !self.followed.is_empty()
    }

    /// A request has ended.
    pub(crate) fn forget(&mut self, stream: StreamId) {
        for work in self.work.values_mut() {
            work.waiting.retain(|own| *own != stream);
        }
    }
}

/// Whether an answer is what a request for a later one than `before` waits for. It may be in use here
/// already: a request that came meanwhile has found it.
fn is_news(answer: &Exchanged, before: Option<UnixTime>, now: UnixTime) -> bool {
    let possible = answer.end() > now && answer.at() <= now.plus(READ_LATER);
    possible && before.is_none_or(|before| answer.at() > before)
}
