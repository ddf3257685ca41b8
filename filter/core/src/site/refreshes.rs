//! Session refreshes (RFC 6749 §6): one at a time for each session in all workers. Its requests wait for the
//! result, and results are kept for clients that still send the old cookie.

use super::refresh_result::{Recheck, RefreshResult, RefreshVerdict};
use super::single_flight::{Flight, Priority, Question, SingleFlight};
use crate::config;
use crate::foundation::bounded::Bounded;
use crate::foundation::id::SessionId;
use crate::foundation::limits::REFRESHES_IN_FLIGHT;
use crate::foundation::secret::Secret;
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::login::refresh::Refreshed;
use crate::session::model::Session;
use crate::workers::READ_LATER;
use crate::workers::answers::{Answers, Known};

/// Sessions whose last result is kept.
const KEPT: usize = 4096;

/// A session that is to be refreshed, and with which token.
struct Refresh {
    session: Box<Session>,
    token: Secret,
}

impl Refresh {
    /// `None` for a session without a refresh token.
    fn of(session: &Session) -> Option<Self> {
        let token = session.refresh_token.clone()?;
        Some(Self { session: Box::new(session.clone()), token })
    }
}

impl Question for Refresh {
    type Id = SessionId;
    type Answer = RefreshResult;

    fn is_answered_by(&self, result: &RefreshResult, since: UnixTime, now: UnixTime) -> bool {
        // One from the future is of a clock that went back, and would be news for ever.
        result.session.checked > self.session.checked
            || (result.at > since && result.at <= now.plus(READ_LATER))
    }

    /// What another worker was given without a verdict is the token to go on with.
    fn prepare(&mut self, last: impl FnOnce() -> Option<RefreshResult>) {
        let newer = last().filter(|result| result.session.checked >= self.session.checked);
        if let Some(newer) = newer.and_then(|result| Self::of(&result.session)) {
            *self = newer;
        }
    }
}

/// A session that is due for a check.
#[derive(Clone, Copy)]
pub(crate) struct Due<'a> {
    /// The session as its cookie has it.
    pub(crate) session: &'a Session,
    /// What was confirmed up to this time must be confirmed anew.
    pub(crate) void: Option<UnixTime>,
    /// Whether there is anybody to ask. Without a provider, what is known still holds.
    pub(crate) has_provider: bool,
}

/// All refreshes of a worker.
pub(crate) struct Refreshes {
    flights: SingleFlight<Refresh>,
    /// The last results: what the next refresh starts from.
    results: Bounded<SessionId, RefreshResult>,
}

impl Refreshes {
    /// With what all workers share.
    #[must_use]
    pub(crate) fn new(shared: Answers<SessionId, RefreshResult>) -> Self {
        Self {
            flights: SingleFlight::new(shared, REFRESHES_IN_FLIGHT),
            results: Bounded::new(KEPT),
        }
    }

    /// What becomes of a session that is due for a check.
    pub(crate) fn recheck(
        &mut self,
        due: Due<'_>,
        stream: StreamId,
        limits: &config::Session,
        now: UnixTime,
    ) -> Recheck {
        let Due { session, void, has_provider } = due;
        let id = session.id;
        if let Some(room) = self.flights.join(id, stream) {
            return if room { Recheck::Wait } else { Recheck::Busy };
        }
        let mut newest = session;
        let own = self.results.get(&id);
        if let Some(result) = own {
            if let Some(answer) = result.answer(session, limits, void, now) {
                return answer;
            }
            if result.session.checked >= session.checked {
                newest = &result.session;
            }
        }
        let other = self.flights.shared().look(id, now);
        if let Known::Done(result) = &other {
            if let Some(answer) = result.answer(session, limits, void, now) {
                self.results.insert(id, result.clone());
                return answer;
            }
            if result.session.checked >= newest.checked {
                newest = &result.session;
            }
        }
        let Some(refresh) = Refresh::of(newest) else { return Recheck::Ended };
        if !has_provider || self.flights.is_outage(now) {
            return Recheck::Unavailable;
        }
        if self.flights.is_full(Priority::Known) {
            return Recheck::Busy;
        }
        self.flights.ask(id, refresh, Priority::Known, Some(stream), now);
        Recheck::Wait
    }

    /// A session as it is after its last refresh, by whatever worker.
    #[must_use]
    pub(crate) fn newest(&self, session: &Session) -> Session {
        let id = session.id;
        let own = match self.flights.question(id) {
            Some(refresh) => Some(refresh.session.clone()),
            None => self.results.get(&id).map(|result| result.session.clone()),
        };
        let other = self.flights.shared().kept(id).map(|result| result.session);
        // Of two that are as new, the other workers' may have the token of a refresh without a verdict.
        let newest = own.into_iter().chain(other).max_by_key(|newest| newest.checked);
        newest
            .filter(|newest| newest.checked >= session.checked)
            .map_or_else(|| session.clone(), |newest| *newest)
    }

    /// Looks at what other workers are asking; gives the requests whose wait is over.
    pub(crate) fn follow(&mut self, now: UnixTime) -> Vec<StreamId> {
        let followed = self.flights.follow(now);
        for (id, result) in followed.answers {
            self.results.insert(id, result);
        }
        followed.woken
    }

    /// Takes the next refresh token to send to the provider.
    pub(crate) fn next(&mut self, now: UnixTime) -> Option<(SessionId, &Secret)> {
        self.flights.next(now).map(|(id, refresh)| (id, &refresh.token))
    }

    /// The session whose refresh is in flight.
    #[must_use]
    pub(crate) fn session(&self, id: SessionId) -> Option<&Session> {
        self.flights.question(id).map(|refresh| &*refresh.session)
    }

    /// A refresh has a result; gives the requests that waited. Where the provider did not answer, those that
    /// are still queued are answered as well.
    pub(crate) fn finish(
        &mut self,
        id: SessionId,
        refreshed: Refreshed,
        at: UnixTime,
    ) -> Vec<StreamId> {
        let Some(Flight { question: Refresh { session, .. }, waiting: mut woken, .. }) =
            self.flights.land(id)
        else {
            return Vec::new();
        };
        let silent = matches!(refreshed, Refreshed::Unavailable { silent: true, .. });
        let (session, verdict) = match refreshed {
            Refreshed::Confirmed(session) => (session, RefreshVerdict::Confirmed),
            Refreshed::Ended(_) => (session, RefreshVerdict::Ended),
            Refreshed::Unavailable { rotated, .. } => {
                let refresh_token = rotated.or_else(|| session.refresh_token.clone());
                (Box::new(Session { refresh_token, ..*session }), RefreshVerdict::Unavailable)
            }
        };
        self.publish(id, RefreshResult { session, verdict, at });
        if !silent {
            self.flights.reached();
            return woken;
        }
        for (id, queued) in self.flights.silence(at) {
            // Another worker may have had an answer meanwhile: silence here takes nothing of it back.
            let Flight { question, waiting, since, .. } = queued;
            let known = self.flights.shared().kept(id);
            match known.filter(|known| question.is_answered_by(known, since, at)) {
                Some(known) => self.results.insert(id, known),
                None => {
                    let (session, verdict) = (question.session, RefreshVerdict::Unavailable);
                    self.publish(id, RefreshResult { session, verdict, at });
                }
            }
            woken.extend(waiting);
        }
        woken
    }

    fn publish(&mut self, id: SessionId, result: RefreshResult) {
        let latest = self.flights.shared().publish(id, result);
        self.results.insert(id, latest);
    }

    /// Forgets the result of a session; requests that wait for it are still woken.
    pub(crate) fn drop_session(&mut self, id: SessionId) {
        self.results.remove(&id);
    }

    /// Whether a refresh can be sent.
    #[must_use]
    pub(crate) fn can_send(&self) -> bool {
        self.flights.can_send()
    }

    /// Whether another worker's result is awaited.
    #[must_use]
    pub(crate) fn is_following(&self) -> bool {
        self.flights.is_following()
    }

    /// A request has ended.
    pub(crate) fn forget(&mut self, stream: StreamId) {
        self.flights.forget(stream);
    }
}
