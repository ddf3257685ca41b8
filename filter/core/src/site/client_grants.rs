//! Client credentials grants (RFC 6749 §4.4): one call at a time for each pair of name and secret in all
//! workers. What the provider said is remembered under a keyed hash of the pair: good answers for all workers,
//! refusals with growing pauses. The credentials themselves are kept only while they are on their way.

use core::time::Duration;

use super::attempt_limits::AttemptLimits;
use super::single_flight::{Flight, PAUSE, Priority, Question, SingleFlight};
use crate::config;
use crate::credential::client_credentials::{Grant, GrantReply, Validity};
use crate::foundation::bounded::Bounded;
use crate::foundation::codec::Writer;
use crate::foundation::crypto::{Key, derive, mac};
use crate::foundation::id::{CredentialId, Id};
use crate::foundation::limits::{CALLOUT_TIMEOUT, CLIENT_GRANTS, CLIENT_GRANTS_IN_FLIGHT};
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::identity::principal::Identity;
use crate::provider::token_endpoint::Credentials;
use crate::refusal::Refusal;
use crate::wire::peer::Peer;
use crate::workers::READ_LATER;
use crate::workers::answers::{Answer as _, Answers};

/// How long an attempt that only lacked a key is not repeated.
const KEYS_PAUSE: Duration = Duration::from_secs(1);
/// How long a socket waits for somebody to present its credentials again, once they must be rechecked: workers
/// ask Prefect for work each 10 seconds.
const SOCKET_WAIT: Duration = Duration::from_secs(15);
/// How long a refusal is repeated without asking, at first and at most.
const REFUSED: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(64));

/// What presented credentials lead to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// They prove this client.
    Granted(Identity),
    /// They prove nobody.
    Refused(Refusal),
    /// The provider gives no verdict.
    Unavailable,
    /// Too many ask.
    Busy,
    /// The request is woken when there is an answer.
    Wait,
}

/// A request that presents credentials.
#[derive(Clone, Copy)]
pub(crate) struct Presenter<'a> {
    /// The request, to be woken.
    pub(crate) stream: StreamId,
    /// Where it comes from.
    pub(crate) peer: &'a dyn Peer,
}

/// Credentials on their way to the provider.
struct Pair {
    credentials: Credentials,
    /// When the answer was given that the next one is to replace, if there is one.
    before: Option<UnixTime>,
}

impl Question for Pair {
    type Id = CredentialId;
    type Answer = Grant;

    /// It may be in use here already: a request that came meanwhile has found it.
    fn is_answered_by(&self, answer: &Grant, _: UnixTime, now: UnixTime) -> bool {
        let possible = answer.end() > now && answer.at() <= now.plus(READ_LATER);
        possible && self.before.is_none_or(|before| answer.at() > before)
    }
}

/// An attempt that gave no grant.
struct Failed {
    /// `None` when there was no verdict.
    refusal: Option<Refusal>,
    at: UnixTime,
    pause: Duration,
}

impl Failed {
    fn holds(&self, now: UnixTime) -> bool {
        !now.is_over(self.at, self.pause)
    }
}

/// All grants of a worker.
pub(crate) struct ClientGrants {
    key: Key,
    flights: SingleFlight<Pair>,
    good: Bounded<CredentialId, Grant>,
    failed: Bounded<CredentialId, Failed>,
    attempts: AttemptLimits,
}

impl ClientGrants {
    /// With what all workers share. `master` is the key that they have.
    #[must_use]
    pub(crate) fn new(master: &Key, shared: Answers<CredentialId, Grant>) -> Self {
        Self {
            key: derive(master, "names of exchanged credentials"),
            flights: SingleFlight::new(shared, CLIENT_GRANTS_IN_FLIGHT),
            good: Bounded::new(CLIENT_GRANTS),
            failed: Bounded::new(CLIENT_GRANTS),
            attempts: AttemptLimits::default(),
        }
    }

    fn id(&self, credentials: &Credentials) -> CredentialId {
        let pair = Writer::default()
            .bytes(credentials.client.as_bytes())
            .raw(credentials.secret.expose())
            .finish();
        let code = mac(&self.key, "credentials", &pair);
        CredentialId::from_bytes(code.first_chunk().copied().unwrap_or_default())
    }

    /// Judges credentials that a request presents; it may have to wait for the provider.
    pub(crate) fn present(
        &mut self,
        credentials: &Credentials,
        presenter: Presenter<'_>,
        limits: &config::Session,
        has_provider: bool,
        now: UnixTime,
    ) -> Outcome {
        let id = self.id(credentials);
        let (known, validity) = self.newest(id, limits, now);
        let granted = |known: &Grant| Outcome::Granted(known.identity(id, limits.recheck));
        let known = known.filter(|_| validity != Validity::Over);
        match (&known, validity) {
            (Some(known), Validity::Fresh) => return granted(known),
            (Some(known), Validity::Aging) => {
                if has_provider && self.may_ask(id, now) {
                    self.ask(id, credentials, Priority::Known, None, now);
                }
                return granted(known);
            }
            _ => {}
        }
        if let Some(room) = self.flights.join(id, presenter.stream) {
            return if room { Outcome::Wait } else { Outcome::Busy };
        }
        let in_grace = || known.as_ref().map_or(Outcome::Unavailable, granted);
        match self.failed.get(&id).filter(|failed| failed.holds(now)) {
            Some(Failed { refusal: Some(refusal), .. }) => {
                return Outcome::Refused(refusal.clone());
            }
            Some(Failed { refusal: None, .. }) => return in_grace(),
            None => {}
        }
        if !has_provider || self.flights.is_outage(now) {
            return in_grace();
        }
        let priority = if known.is_some() { Priority::Known } else { Priority::Unknown };
        let may_try = priority == Priority::Known
            || self.attempts.may(&credentials.client, &presenter.peer.address(), now);
        if self.flights.is_full(priority) || !may_try {
            return known.as_ref().map_or(Outcome::Busy, granted);
        }
        self.ask(id, credentials, priority, Some(presenter.stream), now);
        Outcome::Wait
    }

    /// The last good answer, of whatever worker, and what it is worth.
    fn newest(
        &mut self,
        id: CredentialId,
        limits: &config::Session,
        now: UnixTime,
    ) -> (Option<Grant>, Validity) {
        let validity = |known: &Grant| known.validity(limits.recheck, limits.grace, now);
        let own = self.good.get(&id).cloned();
        if let Some(own) = &own
            && validity(own) == Validity::Fresh
        {
            return (Some(own.clone()), Validity::Fresh);
        }
        let other = self.flights.shared().kept(id);
        let other = other.filter(|other| validity(other) != Validity::Over);
        if let Some(other) = &other
            && own.as_ref().is_none_or(|own| other.at() > own.at())
        {
            self.good.insert(id, other.clone());
        }
        let newest = own.into_iter().chain(other).max_by_key(Grant::at);
        let validity = newest.as_ref().map_or(Validity::Over, validity);
        (newest, validity)
    }

    /// Whom credentials prove that were presented before, for a socket that they opened. They are not kept, so
    /// nobody can ask again until somebody presents them.
    pub(crate) fn still_granted(
        &mut self,
        id: CredentialId,
        limits: &config::Session,
        now: UnixTime,
    ) -> Option<Identity> {
        let (known, validity) = self.newest(id, limits, now);
        let known = known?;
        let identity = known.identity(id, limits.recheck);
        match validity {
            Validity::Fresh | Validity::Aging => Some(identity),
            // Whoever presents them next will ask; while that has no verdict, grace is for sockets, too.
            Validity::Due if self.has_no_verdict(id, &known, now) => {
                Some(Identity { until: Some(now.plus(PAUSE).min(known.end())), ..identity })
            }
            Validity::Due => {
                let until = known.at().plus(limits.recheck).plus(SOCKET_WAIT).min(known.end());
                (now < until).then_some(Identity { until: Some(until), ..identity })
            }
            Validity::Over => None,
        }
    }

    /// Whether the provider was asked a moment ago and has not said. A silence after which nobody has presented
    /// the credentials again does not last.
    fn has_no_verdict(&self, id: CredentialId, known: &Grant, now: UnixTime) -> bool {
        let recent = |at: UnixTime| at >= known.at() && !now.is_over(at, SOCKET_WAIT);
        let silent = |failed: &Failed| failed.refusal.is_none() && recent(failed.at);
        self.flights.question(id).is_some()
            || self.failed.get(&id).is_some_and(silent)
            || self.flights.silent_since().is_some_and(recent)
    }

    fn may_ask(&self, id: CredentialId, now: UnixTime) -> bool {
        let failed = self.failed.get(&id).is_some_and(|failed| failed.holds(now));
        !failed && !self.flights.is_outage(now) && self.flights.question(id).is_none()
    }

    fn ask(
        &mut self,
        id: CredentialId,
        credentials: &Credentials,
        priority: Priority,
        stream: Option<StreamId>,
        now: UnixTime,
    ) {
        let before = self.good.get(&id).map(Grant::at);
        let pair = Pair { credentials: credentials.clone(), before };
        self.flights.ask(id, pair, priority, stream, now);
    }

    /// Looks at what other workers are asking; gives the requests whose wait is over. Nobody queues for longer
    /// than a call takes.
    pub(crate) fn follow(&mut self, now: UnixTime) -> Vec<StreamId> {
        let mut woken = Vec::new();
        // First: a question that is taken over from another worker now has its turn, however old it is.
        for (id, flight) in self.flights.give_up_late(CALLOUT_TIMEOUT, now) {
            // Whoever is woken does not queue again.
            self.failed.insert(id, Failed { refusal: None, at: now, pause: KEYS_PAUSE });
            woken.extend(self.give_up(id, flight, now));
        }
        let followed = self.flights.follow(now);
        woken.extend(followed.woken);
        for (id, grant) in followed.answers {
            self.good.insert(id, grant);
        }
        woken
    }

    fn give_up(&self, id: CredentialId, flight: Flight<Pair>, now: UnixTime) -> Vec<StreamId> {
        self.flights.shared().release(id, now);
        flight.waiting
    }

    /// Takes the next credentials to send to the provider.
    pub(crate) fn next(&mut self, now: UnixTime) -> Option<(CredentialId, &Credentials)> {
        self.flights.next(now).map(|(id, pair)| (id, &pair.credentials))
    }

    /// The client whose grant is in flight.
    #[must_use]
    pub(crate) fn client(&self, id: CredentialId) -> Option<&str> {
        self.flights.question(id).map(|pair| pair.credentials.client.as_str())
    }

    /// The provider's verdict; gives the requests that waited for it.
    pub(crate) fn finish(
        &mut self,
        id: CredentialId,
        verdict: GrantReply,
        now: UnixTime,
    ) -> Vec<StreamId> {
        let Some(Flight { priority, waiting: mut woken, .. }) = self.flights.land(id) else {
            return Vec::new();
        };
        match verdict {
            GrantReply::Good(grant) => {
                self.flights.reached();
                self.failed.remove(&id);
                let latest = self.flights.shared().publish(id, grant);
                self.good.insert(id, latest);
            }
            GrantReply::Refused(refusal) => {
                self.flights.reached();
                self.good.remove(&id);
                self.flights.shared().withdraw(id, now);
                let before = self.failed.get(&id).filter(|failed| failed.refusal.is_some());
                let (first, most) = REFUSED;
                let pause = before.map_or(first, |failed| failed.pause.saturating_mul(2).min(most));
                self.failed.insert(id, Failed { refusal: Some(refusal), at: now, pause });
            }
            GrantReply::None { silent, unknown_key, .. } => {
                self.flights.shared().release(id, now);
                let pause = if unknown_key { KEYS_PAUSE } else { PAUSE };
                self.failed.insert(id, Failed { refusal: None, at: now, pause });
                // A stranger's try may be what the provider chokes on.
                if silent && priority == Priority::Known {
                    for (id, flight) in self.flights.silence(now) {
                        woken.extend(self.give_up(id, flight, now));
                    }
                }
            }
        }
        woken
    }

    /// Whether credentials can be sent.
    #[must_use]
    pub(crate) fn can_send(&self) -> bool {
        self.flights.can_send()
    }

    /// Whether another worker's answer is awaited.
    #[must_use]
    pub(crate) fn is_following(&self) -> bool {
        self.flights.is_following()
    }

    /// A request has ended.
    pub(crate) fn forget(&mut self, stream: StreamId) {
        self.flights.forget(stream);
    }
}
