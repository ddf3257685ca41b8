//! Questions to the provider, with one call at a time for all requests that need the same answer.
//!
//! A lease in the shared store lets one worker ask while the others follow its answer. A provider
//! that does not answer is left alone for [`PAUSE`], and no request queues for it meanwhile.
//!
//! Session refreshes and client credentials grants use this module and define what an answer means.

use core::time::Duration;
use std::collections::{HashMap, VecDeque};

use crate::foundation::id::Id;
use crate::foundation::limits::WAITING_REQUESTS;
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::workers::answers::{Answer, Answers, Shared};

/// How long a question without a verdict is not repeated, and how long a provider that did not
/// answer is left alone.
pub(crate) const PAUSE: Duration = Duration::from_secs(5);
/// The pause between two looks at the questions of other workers.
pub(crate) const FOLLOW: Duration = Duration::from_millis(10);
/// The number of questions of a lane that one look checks for other workers' answers.
const LOOKS: usize = 64;

/// A question to the provider.
pub(crate) trait Question {
    /// The identifier of the question, equal at all workers.
    type Id: Id;
    /// The form in which the provider's answer is kept.
    type Answer: Answer;

    /// Returns whether another worker's answer settles this question, which was first asked at
    /// `since`.
    ///
    /// It must be newer than what is known, and not from the future.
    fn is_answered_by(&self, answer: &Self::Answer, since: UnixTime, now: UnixTime) -> bool;

    /// Updates the question right before its call is sent, from an answer of another worker that
    /// does not settle it.
    ///
    /// `last` reads the last answer of any worker.
    fn prepare(&mut self, _last: impl FnOnce() -> Option<Self::Answer>) {}
}

/// The queue of a question. Questions of unknown clients never delay the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    /// Sessions, and credentials that have been good before.
    Known,
    /// Credentials that have not been good before.
    Unknown,
}

/// A question that is queued or in flight, at this worker or at another one.
pub(crate) struct Flight<Q> {
    /// The question.
    pub(crate) question: Q,
    /// The queue of the question.
    pub(crate) priority: Priority,
    /// The requests to wake with the answer.
    pub(crate) waiting: Vec<StreamId>,
    /// When the question was first asked.
    pub(crate) since: UnixTime,
    /// When the question entered this worker's queue, or began to follow another worker.
    queued: UnixTime,
}

/// The questions of one priority.
struct Lane<I> {
    /// Questions to send, the oldest first.
    queue: VecDeque<I>,
    /// Questions that another worker is asking.
    followed: VecDeque<I>,
    in_flight: usize,
    /// The number of calls that may be in flight together.
    most: usize,
}

impl<I> Lane<I> {
    const fn new(most: usize) -> Self {
        Self { queue: VecDeque::new(), followed: VecDeque::new(), in_flight: 0, most }
    }

    fn can_send(&self) -> bool {
        !self.queue.is_empty() && self.in_flight < self.most
    }
}

/// The result of a look at other workers' questions.
pub(crate) struct Followed<I, A> {
    /// The requests to wake.
    pub(crate) woken: Vec<StreamId>,
    /// The answers that other workers have received.
    pub(crate) answers: Vec<(I, A)>,
}

/// All questions of one kind at one worker.
pub(crate) struct SingleFlight<Q: Question> {
    shared: Answers<Q::Id, Q::Answer>,
    flights: HashMap<Q::Id, Flight<Q>>,
    known: Lane<Q::Id>,
    unknown: Lane<Q::Id>,
    looked: UnixTime,
    /// When the provider last failed to answer. `None` after an answer.
    outage: Option<UnixTime>,
}

impl<Q: Question> SingleFlight<Q> {
    /// Creates an empty set. At most `most` calls of each priority are in flight together.
    pub(crate) fn new(shared: Answers<Q::Id, Q::Answer>, most: usize) -> Self {
        Self {
            shared,
            flights: HashMap::new(),
            known: Lane::new(most),
            unknown: Lane::new(most),
            looked: UnixTime::default(),
            outage: None,
        }
    }

    /// Returns the answers and leases that the workers share.
    pub(crate) const fn shared(&self) -> &Answers<Q::Id, Q::Answer> {
        &self.shared
    }

    /// Returns a question that is queued or in flight.
    pub(crate) fn question(&self, id: Q::Id) -> Option<&Q> {
        self.flights.get(&id).map(|flight| &flight.question)
    }

    /// Lets a request wait for a question that is queued or in flight.
    ///
    /// Returns `None` if it is neither, and `Some(false)` if too many requests wait for it.
    pub(crate) fn join(&mut self, id: Q::Id, stream: StreamId) -> Option<bool> {
        let flight = self.flights.get_mut(&id)?;
        let room = flight.waiting.len() < WAITING_REQUESTS;
        if room {
            flight.waiting.push(stream);
        }
        Some(room)
    }

    /// Returns whether the queue of a priority is full.
    pub(crate) fn is_full(&self, priority: Priority) -> bool {
        let lane = match priority {
            Priority::Known => &self.known,
            Priority::Unknown => &self.unknown,
        };
        lane.queue.len().max(lane.followed.len()) >= WAITING_REQUESTS
    }

    /// Queues a question here, or follows the worker that already asks it.
    ///
    /// `stream` is woken with the answer. Without a stream, the question renews an answer ahead of
    /// time.
    pub(crate) fn ask(
        &mut self,
        id: Q::Id,
        question: Q,
        priority: Priority,
        stream: Option<StreamId>,
        now: UnixTime,
    ) {
        // An answer that another worker received since the last look is treated as one that comes
        // later.
        let here =
            self.shared.lease_unless(id, now, |answer| question.is_answered_by(answer, now, now));
        let lane = self.lane(priority);
        if here { &mut lane.queue } else { &mut lane.followed }.push_back(id);
        let waiting = stream.into_iter().collect();
        self.flights.insert(id, Flight { question, priority, waiting, since: now, queued: now });
    }

    /// Looks for answers of other workers.
    ///
    /// If the other worker has no answer or has died, this one asks, unless no request waits any
    /// longer.
    pub(crate) fn follow(&mut self, now: UnixTime) -> Followed<Q::Id, Q::Answer> {
        let mut followed = Followed { woken: Vec::new(), answers: Vec::new() };
        if now.since(self.looked) < FOLLOW && self.looked <= now {
            return followed;
        }
        self.looked = now;
        for lane in [&mut self.known, &mut self.unknown] {
            for _ in 0..lane.followed.len().min(LOOKS) {
                let Some(id) = lane.followed.pop_front() else { break };
                let Some(flight) = self.flights.get_mut(&id) else { continue };
                match self.shared.look(id, now) {
                    Shared::Asking => lane.followed.push_back(id),
                    Shared::Done(answer)
                        if flight.question.is_answered_by(&answer, flight.since, now) =>
                    {
                        followed.answers.push((id, answer));
                        let flight = self.flights.remove(&id);
                        followed.woken.extend(flight.into_iter().flat_map(|flight| flight.waiting));
                    }
                    Shared::Done(_) | Shared::Nothing if flight.waiting.is_empty() => {
                        self.flights.remove(&id);
                    }
                    Shared::Done(_) | Shared::Nothing => {
                        // Its turn here begins now, however long it has followed.
                        flight.queued = now;
                        lane.queue.push_back(id);
                    }
                }
            }
        }
        followed
    }

    /// Takes the next question to send. Another worker may meanwhile ask a question that was queued
    /// for long; it is then followed.
    pub(crate) fn next(&mut self, now: UnixTime) -> Option<(Q::Id, &Q)> {
        let id = loop {
            let lane = if self.known.can_send() { &mut self.known } else { &mut self.unknown };
            if !lane.can_send() {
                return None;
            }
            let Some(id) = lane.queue.pop_front() else { continue };
            let Some(Flight { question, since, .. }) = self.flights.get_mut(&id) else { continue };
            let answered = |answer: &Q::Answer| question.is_answered_by(answer, *since, now);
            if !self.shared.lease_unless(id, now, answered) {
                lane.followed.push_back(id);
                continue;
            }
            question.prepare(|| self.shared.kept(id));
            lane.in_flight = lane.in_flight.saturating_add(1);
            break id;
        };
        Some((id, self.question(id)?))
    }

    /// Removes a question whose call has returned. The caller interprets the reply and informs the
    /// other workers.
    pub(crate) fn land(&mut self, id: Q::Id) -> Option<Flight<Q>> {
        let flight = self.flights.remove(&id)?;
        let lane = self.lane(flight.priority);
        lane.in_flight = lane.in_flight.saturating_sub(1);
        Some(flight)
    }

    /// Records an outage and removes all queued questions, which would only wait for the same
    /// silence.
    ///
    /// Returns the removed questions. The caller must end their leases.
    pub(crate) fn begin_outage(&mut self, now: UnixTime) -> Vec<(Q::Id, Flight<Q>)> {
        self.outage = Some(now);
        let queued = self.known.queue.drain(..).chain(self.unknown.queue.drain(..));
        queued.filter_map(|id| Some((id, self.flights.remove(&id)?))).collect()
    }

    /// Records that the provider has answered.
    pub(crate) const fn reached(&mut self) {
        self.outage = None;
    }

    /// Returns when the provider last failed to answer. Returns `None` if it has answered since.
    pub(crate) const fn outage_since(&self) -> Option<UnixTime> {
        self.outage
    }

    /// Returns whether the provider is left alone for the moment.
    pub(crate) fn is_outage(&self, now: UnixTime) -> bool {
        self.outage.is_some_and(|since| !now.is_over(since, PAUSE))
    }

    /// Removes the questions that have been queued for longer than `most`.
    ///
    /// A provider that answers late lets a queue grow, and no request should wait for more than one
    /// call before its own. Returns the removed questions. The caller must end their leases.
    pub(crate) fn take_late(&mut self, most: Duration, now: UnixTime) -> Vec<(Q::Id, Flight<Q>)> {
        let flights = &self.flights;
        let late =
            |id: &Q::Id| flights.get(id).is_none_or(|flight| now.is_over(flight.queued, most));
        let mut given_up = Vec::new();
        for lane in [&mut self.known, &mut self.unknown] {
            // The oldest come first.
            while lane.queue.front().is_some_and(late) {
                given_up.extend(lane.queue.pop_front());
            }
        }
        given_up.into_iter().filter_map(|id| Some((id, self.flights.remove(&id)?))).collect()
    }

    /// Returns whether a question can be sent now.
    pub(crate) fn can_send(&self) -> bool {
        self.known.can_send() || self.unknown.can_send()
    }

    /// Returns whether another worker's answer is awaited.
    pub(crate) fn is_following(&self) -> bool {
        !self.known.followed.is_empty() || !self.unknown.followed.is_empty()
    }

    /// Forgets a request that has ended.
    pub(crate) fn forget(&mut self, stream: StreamId) {
        for flight in self.flights.values_mut() {
            flight.waiting.retain(|waiting| *waiting != stream);
        }
    }

    const fn lane(&mut self, priority: Priority) -> &mut Lane<Q::Id> {
        match priority {
            Priority::Known => &mut self.known,
            Priority::Unknown => &mut self.unknown,
        }
    }
}
