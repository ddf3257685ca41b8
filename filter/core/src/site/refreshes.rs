//! Session refreshes (RFC 6749 §6), with one call at a time for each session in all workers.
//!
//! Requests of the session wait for the result. Results are kept for clients that still send the
//! old cookie.

use super::refresh_result::{Recheck, RefreshResult, RefreshVerdict};
use super::single_flight::{Flight, Priority, Question, SingleFlight};
use crate::config;
use crate::foundation::bounded::Bounded;
use crate::foundation::id::SessionId;
use crate::foundation::limits::{CALLOUT_TIMEOUT, REFRESHES_IN_FLIGHT};
use crate::foundation::secret::Secret;
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::login::refresh::Refreshed;
use crate::session::model::Session;
use crate::workers::READ_LATER;
use crate::workers::answers::{Answers, Shared};

/// The number of sessions whose last result is kept.
const KEPT: usize = 4096;

/// A session that must be refreshed, and the refresh token to use.
pub(super) struct Refresh {
    session: Box<Session>,
    token: Secret,
}

impl Refresh {
    /// Creates the refresh of a session. Returns `None` if the session has no refresh token.
    fn of(session: &Session) -> Option<Self> {
        let token = session.refresh_token.clone()?;
        Some(Self { session: Box::new(session.clone()), token })
    }
}

impl Question for Refresh {
    type Id = SessionId;
    type Answer = RefreshResult;

    fn is_answered_by(&self, result: &RefreshResult, since: UnixTime, now: UnixTime) -> bool {
        // A result from the future means that the clock went back. It would be news forever.
        result.session.checked > self.session.checked
            || (result.at > since && result.at <= now.plus(READ_LATER))
    }

    /// Starts from another worker's newer session, whose refresh token may have been rotated
    /// without a verdict.
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
    /// Confirmations up to this time must be repeated.
    pub(crate) void: Option<UnixTime>,
    /// Whether the provider is known. Known results are valid without it.
    pub(crate) has_provider: bool,
}

/// The session refreshes of one worker.
pub(crate) struct Refreshes {
    /// The questions that wait or are asked. The site asks it when to send and whom to forget.
    pub(super) flights: SingleFlight<Refresh>,
    /// The last results, from which the next refreshes start.
    results: Bounded<SessionId, RefreshResult>,
}

impl Refreshes {
    /// Creates an empty set. `shared` holds the results of all workers.
    #[must_use]
    pub(crate) fn new(shared: Answers<SessionId, RefreshResult>) -> Self {
        Self {
            flights: SingleFlight::new(shared, REFRESHES_IN_FLIGHT),
            results: Bounded::new(KEPT),
        }
    }

    /// Checks a session that is due. The request may have to wait for the provider.
    pub(crate) fn recheck(
        &mut self,
        due: Due<'_>,
        stream: StreamId,
        limits: &config::SessionSettings,
        now: UnixTime,
    ) -> Recheck {
        let Due { session, void, has_provider } = due;
        let id = session.id;
        if let Some(room) = self.flights.join(id, stream) {
            return if room { Recheck::Wait } else { Recheck::Busy };
        }
        let mut newest = session;
        let local = self.results.get(&id);
        if let Some(result) = local {
            if let Some(answer) = result.answer(session, limits, void, now) {
                return answer;
            }
            if result.session.checked >= session.checked {
                newest = &result.session;
            }
        }
        let shared = self.flights.shared().look(id, now);
        if let Shared::Done(result) = &shared {
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

    /// Returns the session after its last refresh by any worker.
    #[must_use]
    pub(crate) fn newest(&self, session: &Session) -> Session {
        let id = session.id;
        let local = match self.flights.question(id) {
            Some(refresh) => Some(refresh.session.clone()),
            None => self.results.get(&id).map(|result| result.session.clone()),
        };
        let shared = self.flights.shared().kept(id).map(|result| result.session);
        // Of two equally new sessions, the shared one is preferred. It may have the token of a
        // refresh without a verdict.
        let newest = local.into_iter().chain(shared).max_by_key(|newest| newest.checked);
        newest
            .filter(|newest| newest.checked >= session.checked)
            .map_or_else(|| session.clone(), |newest| *newest)
    }

    /// Follows the refreshes of other workers. Returns the requests whose wait has ended.
    ///
    /// No refresh stays queued for longer than a call takes. A session whose refresh is given up is
    /// served while it is in grace.
    pub(crate) fn follow(&mut self, now: UnixTime) -> Vec<StreamId> {
        let mut woken = Vec::new();
        for (id, queued) in self.flights.take_late(CALLOUT_TIMEOUT, now) {
            woken.extend(self.give_up(id, queued, now));
        }
        let followed = self.flights.follow(now);
        for (id, result) in followed.answers {
            self.results.insert(id, result);
        }
        woken.extend(followed.woken);
        woken
    }

    /// Takes the next refresh token to send to the provider.
    pub(crate) fn next(&mut self, now: UnixTime) -> Option<(SessionId, &Secret)> {
        self.flights.next(now).map(|(id, refresh)| (id, &refresh.token))
    }

    /// Returns the session whose refresh is queued or in flight.
    #[must_use]
    pub(crate) fn session(&self, id: SessionId) -> Option<&Session> {
        self.flights.question(id).map(|refresh| &*refresh.session)
    }

    /// Records the result of a refresh. Returns the requests that waited for it.
    ///
    /// If the provider did not answer, the queued refreshes end without a verdict as well.
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
        for (id, queued) in self.flights.begin_outage(at) {
            woken.extend(self.give_up(id, queued, at));
        }
        woken
    }

    /// Ends a refresh that was not sent. Returns the requests that waited for it.
    fn give_up(&mut self, id: SessionId, queued: Flight<Refresh>, at: UnixTime) -> Vec<StreamId> {
        let Flight { question, waiting, since, .. } = queued;
        // Another worker may have had an answer meanwhile, which must not be withdrawn.
        let known = self.flights.shared().kept(id);
        match known.filter(|known| question.is_answered_by(known, since, at)) {
            Some(known) => {
                self.flights.shared().release(id, at);
                self.results.insert(id, known);
            }
            None => {
                let (session, verdict) = (question.session, RefreshVerdict::Unavailable);
                self.publish(id, RefreshResult { session, verdict, at });
            }
        }
        waiting
    }

    fn publish(&mut self, id: SessionId, result: RefreshResult) {
        let latest = self.flights.shared().publish(id, result);
        self.results.insert(id, latest);
    }

    /// Forgets the result of a session. Requests that wait for it are still woken.
    pub(crate) fn drop_session(&mut self, id: SessionId) {
        self.results.remove(&id);
    }
}
