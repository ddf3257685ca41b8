//! The provider's grants for client credentials (RFC 6749 §4.4) and opaque tokens (RFC 7662), with
//! one call at a time for each credential in all workers.
//!
//! The provider's answers are stored under a keyed hash of the credential. Grants are shared by all
//! workers, and refusals are repeated for growing pauses. The credentials themselves are kept only
//! while they are queued or in flight.

use core::time::Duration;

use super::attempt_limits::AttemptLimits;
use super::single_flight::{Flight, PAUSE, Priority, Question, SingleFlight};
use crate::config;
use crate::credential::grant::{Grant, GrantReply, RemoteCredential, Validity};
use crate::foundation::bounded::Bounded;
use crate::foundation::codec::Writer;
use crate::foundation::crypto::{Key, derive, mac};
use crate::foundation::id::{CredentialId, Id};
use crate::foundation::limits::{CALLOUT_TIMEOUT, GRANTS, GRANTS_IN_FLIGHT};
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::identity::principal::Identity;
use crate::refusal::Refusal;
use crate::wire::peer::Peer;
use crate::workers::READ_LATER;
use crate::workers::answers::{Answer as _, Answers};

/// The pause before an attempt is repeated that only lacked a key.
const KEYS_PAUSE: Duration = Duration::from_secs(1);
/// How long a socket stays open after its grant is due for a recheck, until a client presents the
/// credentials again. Prefect's workers ask for work every 10 seconds.
const SOCKET_WAIT: Duration = Duration::from_secs(15);
/// The first and the longest pause in which a refusal is repeated without asking the provider.
const REFUSED: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(64));

/// The result of presenting credentials.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The credentials prove this client.
    Granted(Identity),
    /// The provider refuses the credentials.
    Refused(Refusal),
    /// The provider gives no verdict.
    Unavailable,
    /// Too many requests ask, or the client may not try again yet.
    Busy,
    /// The request waits and is woken when there is an answer.
    Wait,
}

/// The request that presents credentials.
#[derive(Clone, Copy)]
pub(crate) struct Presenter<'a> {
    /// The request's stream, which is woken with the answer.
    pub(crate) stream: StreamId,
    /// The peer of the request's connection.
    pub(crate) peer: &'a dyn Peer,
}

/// Credentials that are queued or in flight to the provider.
pub(super) struct Pending {
    credential: RemoteCredential,
    /// The time of the grant that the next answer replaces, if there is one.
    before: Option<UnixTime>,
}

impl Question for Pending {
    type Id = CredentialId;
    type Answer = Grant;

    /// Accepts any newer grant that has not expired and is not from the future.
    ///
    /// This worker may already use the grant, because another request has found it meanwhile.
    fn is_answered_by(&self, answer: &Grant, _: UnixTime, now: UnixTime) -> bool {
        let possible = answer.end > now && answer.at() <= now.plus(READ_LATER);
        possible && self.before.is_none_or(|before| answer.at() > before)
    }
}

/// An attempt without a grant.
struct Failed {
    /// The refusal, or `None` if there was no verdict.
    refusal: Option<Refusal>,
    at: UnixTime,
    pause: Duration,
}

impl Failed {
    fn holds(&self, now: UnixTime) -> bool {
        !now.is_over(self.at, self.pause)
    }
}

/// The provider's grants of one worker.
pub(crate) struct Grants {
    key: Key,
    /// The questions that wait or are asked. The site asks it when to send and whom to forget.
    pub(super) flights: SingleFlight<Pending>,
    good: Bounded<CredentialId, Grant>,
    failed: Bounded<CredentialId, Failed>,
    attempts: AttemptLimits,
}

impl Grants {
    /// Creates an empty set. `master` is the key that all workers have, and `shared` holds their
    /// grants.
    #[must_use]
    pub(crate) fn new(master: &Key, shared: Answers<CredentialId, Grant>) -> Self {
        Self {
            key: derive(master, "names of credentials"),
            flights: SingleFlight::new(shared, GRANTS_IN_FLIGHT),
            good: Bounded::new(GRANTS),
            failed: Bounded::new(GRANTS),
            attempts: AttemptLimits::default(),
        }
    }

    fn id(&self, credential: &RemoteCredential) -> CredentialId {
        let code = match credential {
            RemoteCredential::Client(credentials) => {
                let pair = Writer::default()
                    .bytes(credentials.client.as_bytes())
                    .raw(credentials.secret.expose())
                    .finish();
                mac(&self.key, "credentials", &pair)
            }
            RemoteCredential::Token(token) => mac(&self.key, "token", token.expose()),
        };
        CredentialId::from_bytes(code.first_chunk().copied().unwrap_or_default())
    }

    /// Verifies a credential that a request presents. The request may have to wait for the
    /// provider.
    pub(crate) fn present(
        &mut self,
        credential: &RemoteCredential,
        presenter: Presenter<'_>,
        limits: &config::SessionSettings,
        has_provider: bool,
        now: UnixTime,
    ) -> Outcome {
        let id = self.id(credential);
        let (known, validity) = self.newest(id, limits, now);
        let granted = |known: &Grant| Outcome::Granted(known.identity(id, limits.recheck));
        let known = known.filter(|_| validity != Validity::Over);
        match (&known, validity) {
            (Some(known), Validity::Fresh) => return granted(known),
            (Some(known), Validity::Aging) => {
                if has_provider && self.may_ask(id, now) {
                    self.ask(id, credential, Priority::Known, None, now);
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
            || self.attempts.may(credential.client(), &presenter.peer.address(), now);
        if self.flights.is_full(priority) || !may_try {
            return known.as_ref().map_or(Outcome::Busy, granted);
        }
        self.ask(id, credential, priority, Some(presenter.stream), now);
        Outcome::Wait
    }

    /// Returns the newest grant that any worker has, and how valid it is now.
    fn newest(
        &mut self,
        id: CredentialId,
        limits: &config::SessionSettings,
        now: UnixTime,
    ) -> (Option<Grant>, Validity) {
        let validity = |known: &Grant| known.validity(limits.recheck, limits.grace, now);
        let local = self.good.get(&id).cloned();
        if let Some(local) = &local
            && validity(local) == Validity::Fresh
        {
            return (Some(local.clone()), Validity::Fresh);
        }
        let shared = self.flights.shared().kept(id);
        let shared = shared.filter(|shared| validity(shared) != Validity::Over);
        if let Some(shared) = &shared
            && local.as_ref().is_none_or(|local| shared.at() > local.at())
        {
            self.good.insert(id, shared.clone());
        }
        let newest = local.into_iter().chain(shared).max_by_key(Grant::at);
        let validity = newest.as_ref().map_or(Validity::Over, validity);
        (newest, validity)
    }

    /// Returns the identity behind credentials that opened a socket, while their grant lasts.
    ///
    /// The credentials are not kept, so they can't be rechecked until a client presents them again.
    pub(crate) fn still_granted(
        &mut self,
        id: CredentialId,
        limits: &config::SessionSettings,
        now: UnixTime,
    ) -> Option<Identity> {
        let (known, validity) = self.newest(id, limits, now);
        let known = known?;
        let identity = known.identity(id, limits.recheck);
        match validity {
            Validity::Fresh | Validity::Aging => Some(identity),
            // The next request with these credentials asks the provider. While that gives no
            // verdict, grace applies to sockets as well.
            Validity::Due if self.has_no_verdict(id, &known, now) => {
                Some(Identity { until: Some(now.plus(PAUSE).min(known.end)), ..identity })
            }
            Validity::Due => {
                let until = known.at().plus(limits.recheck).plus(SOCKET_WAIT).min(known.end);
                (now < until).then_some(Identity { until: Some(until), ..identity })
            }
            Validity::Over => None,
        }
    }

    /// Returns whether the provider was asked recently and has given no verdict.
    ///
    /// A failed attempt is ignored after [`SOCKET_WAIT`] if no client presents the credentials
    /// again.
    fn has_no_verdict(&self, id: CredentialId, known: &Grant, now: UnixTime) -> bool {
        let recent = |at: UnixTime| at >= known.at() && !now.is_over(at, SOCKET_WAIT);
        let silent = |failed: &Failed| failed.refusal.is_none() && recent(failed.at);
        self.flights.question(id).is_some()
            || self.failed.get(&id).is_some_and(silent)
            || self.flights.outage_since().is_some_and(recent)
    }

    fn may_ask(&self, id: CredentialId, now: UnixTime) -> bool {
        let failed = self.failed.get(&id).is_some_and(|failed| failed.holds(now));
        !failed && !self.flights.is_outage(now) && self.flights.question(id).is_none()
    }

    fn ask(
        &mut self,
        id: CredentialId,
        credential: &RemoteCredential,
        priority: Priority,
        stream: Option<StreamId>,
        now: UnixTime,
    ) {
        let before = self.good.get(&id).map(Grant::at);
        let pending = Pending { credential: credential.clone(), before };
        self.flights.ask(id, pending, priority, stream, now);
    }

    /// Follows the questions of other workers. Returns the requests whose wait has ended.
    ///
    /// No question stays queued for longer than a call takes.
    pub(crate) fn follow(&mut self, now: UnixTime) -> Vec<StreamId> {
        let mut woken = Vec::new();
        for (id, flight) in self.flights.take_late(CALLOUT_TIMEOUT, now) {
            // The woken request must not queue again.
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

    fn give_up(&self, id: CredentialId, flight: Flight<Pending>, now: UnixTime) -> Vec<StreamId> {
        self.flights.shared().release(id, now);
        flight.waiting
    }

    /// Takes the next credential to send to the provider.
    pub(crate) fn next(&mut self, now: UnixTime) -> Option<(CredentialId, &RemoteCredential)> {
        self.flights.next(now).map(|(id, pending)| (id, &pending.credential))
    }

    /// Returns a credential that is queued or in flight.
    #[must_use]
    pub(crate) fn pending(&self, id: CredentialId) -> Option<&RemoteCredential> {
        self.flights.question(id).map(|pending| &pending.credential)
    }

    /// Records the provider's verdict. Returns the requests that waited for it.
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
            GrantReply::NoVerdict { silent, unknown_key, .. } => {
                self.flights.shared().release(id, now);
                let pause = if unknown_key { KEYS_PAUSE } else { PAUSE };
                self.failed.insert(id, Failed { refusal: None, at: now, pause });
                if !silent {
                    self.flights.reached();
                }
                // An unknown client's attempt may itself be what makes the provider fail, so it
                // marks no outage.
                if silent && priority == Priority::Known {
                    for (id, flight) in self.flights.begin_outage(now) {
                        woken.extend(self.give_up(id, flight, now));
                    }
                }
            }
        }
        woken
    }
}
