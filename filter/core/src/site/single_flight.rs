//! One question to the provider at a time for everybody who needs its answer. Requests that need the same
//! answer wait for the first one's call. A lease in the shared store lets one worker ask while the others
//! follow its answer. A provider that does not answer is left alone for a moment, and nobody queues for it.
//!
//! Session refreshes and client credentials grants use it; they add what an answer means.

use core::time::Duration;
use std::collections::{HashMap, VecDeque};

use crate::foundation::id::Id;
use crate::foundation::limits::WAITING_REQUESTS;
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::workers::answers::{Answer, Answers, Known};

/// How long a question without a verdict is not asked again, and how long a provider that did not answer is
/// left alone.
pub(crate) const PAUSE: Duration = Duration::from_secs(5);
/// The pause between two looks at what other workers ask.
pub(crate) const FOLLOW: Duration = Duration::from_millis(10);
/// Questions of a queue that are looked at each time for other workers' answers.
const LOOKS: usize = 64;

/// What is asked.
pub(crate) trait Question {
    /// Names the question among its kind, alike at all workers.
    type Id: Id;
    /// What the provider's answer is kept as.
    type Answer: Answer;

    /// Whether an answer of another worker answers this question, which has been asked since a time: whether
    /// it is later than what is known already, and not from the future.
    fn is_answered_by(&self, answer: &Self::Answer, since: UnixTime, now: UnixTime) -> bool;

    /// Takes over what another worker has learnt meanwhile without answering the question, right before the
    /// call is sent. `last` reads that worker's last answer.
    fn prepare(&mut self, _last: impl FnOnce() -> Option<Self::Answer>) {}
}

/// Which of two queues a question stands in. Questions of strangers never hold up the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    /// Sessions, and credentials that have been good before.
    Known,
    /// Credentials that have not been good before.
    Unknown,
}

/// A question that is queued or in flight, here or at another worker.
pub(crate) struct Flight<Q> {
    /// What is asked.
    pub(crate) question: Q,
    /// In which queue.
    pub(crate) priority: Priority,
    /// The requests to wake.
    pub(crate) waiting: Vec<StreamId>,
    /// When it was asked first.
    pub(crate) since: UnixTime,
}

/// The questions of one priority.
struct Lane<I> {
    /// To be sent, the oldest first.
    queue: VecDeque<I>,
    /// Those that another worker is asking.
    followed: VecDeque<I>,
    in_flight: usize,
    /// Calls at once.
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

/// What the wait for an answer came to.
pub(crate) struct Followed<I, A> {
    /// The requests to wake.
    pub(crate) woken: Vec<StreamId>,
    /// What other workers have been told.
    pub(crate) answers: Vec<(I, A)>,
}

/// All questions of one kind.
pub(crate) struct SingleFlight<Q: Question> {
    shared: Answers<Q::Id, Q::Answer>,
    flights: HashMap<Q::Id, Flight<Q>>,
    known: Lane<Q::Id>,
    unknown: Lane<Q::Id>,
    looked: UnixTime,
    /// When the provider last did not answer.
    outage: Option<UnixTime>,
}

impl<Q: Question> SingleFlight<Q> {
    /// No questions yet. At most `most` calls of each priority are sent at once.
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

    /// What the workers share about these questions.
    pub(crate) const fn shared(&self) -> &Answers<Q::Id, Q::Answer> {
        &self.shared
    }

    /// The question of that name, if it is queued or in flight.
    pub(crate) fn question(&self, id: Q::Id) -> Option<&Q> {
        self.flights.get(&id).map(|flight| &flight.question)
    }

    /// Lets a request wait for a question that is queued or in flight. `None` if it is neither, `Some(false)`
    /// if too many wait for it.
    pub(crate) fn join(&mut self, id: Q::Id, stream: StreamId) -> Option<bool> {
        let flight = self.flights.get_mut(&id)?;
        let room = flight.waiting.len() < WAITING_REQUESTS;
        if room {
            flight.waiting.push(stream);
        }
        Some(room)
    }

    /// Whether no further question of a priority is taken.
    pub(crate) fn is_full(&self, priority: Priority) -> bool {
        let lane = match priority {
            Priority::Known => &self.known,
            Priority::Unknown => &self.unknown,
        };
        lane.queue.len().max(lane.followed.len()) >= WAITING_REQUESTS
    }

    /// Asks: here, or by following the worker that asks already. `stream` is woken with the answer; without
    /// one it is asked ahead of time.
    pub(crate) fn ask(
        &mut self,
        id: Q::Id,
        question: Q,
        priority: Priority,
        stream: Option<StreamId>,
        now: UnixTime,
    ) {
        // What another worker has been told since this one looked is heard as if it were told later.
        let here =
            self.shared.lease_unless(id, now, |told| question.is_answered_by(told, now, now));
        let lane = self.lane(priority);
        if here { &mut lane.queue } else { &mut lane.followed }.push_back(id);
        let waiting = stream.into_iter().collect();
        self.flights.insert(id, Flight { question, priority, waiting, since: now });
    }

    /// Looks at what other workers are asking. If one of them has no answer to tell, or has died, this one
    /// asks, unless nobody waits any more.
    pub(crate) fn follow(&mut self, now: UnixTime) -> Followed<Q::Id, Q::Answer> {
        let mut followed = Followed { woken: Vec::new(), answers: Vec::new() };
        if now.since(self.looked) < FOLLOW && self.looked <= now {
            return followed;
        }
        self.looked = now;
        for lane in [&mut self.known, &mut self.unknown] {
            for _ in 0..lane.followed.len().min(LOOKS) {
                let Some(id) = lane.followed.pop_front() else { break };
                let Some(flight) = self.flights.get(&id) else { continue };
                match self.shared.look(id, now) {
                    Known::Asking => lane.followed.push_back(id),
                    Known::Done(answer)
                        if flight.question.is_answered_by(&answer, flight.since, now) =>
                    {
                        followed.answers.push((id, answer));
                        let flight = self.flights.remove(&id);
                        followed.woken.extend(flight.into_iter().flat_map(|flight| flight.waiting));
                    }
                    Known::Done(_) | Known::Nothing if flight.waiting.is_empty() => {
                        self.flights.remove(&id);
                    }
                    Known::Done(_) | Known::Nothing => lane.queue.push_back(id),
                }
            }
        }
        followed
    }

    /// Takes the next question to send. One that has queued for long may be another worker's meanwhile.
    pub(crate) fn next(&mut self, now: UnixTime) -> Option<(Q::Id, &Q)> {
        let id = loop {
            let lane = if self.known.can_send() { &mut self.known } else { &mut self.unknown };
            if !lane.can_send() {
                return None;
            }
            let Some(id) = lane.queue.pop_front() else { continue };
            let Some(Flight { question, since, .. }) = self.flights.get_mut(&id) else { continue };
            let answered = |told: &Q::Answer| question.is_answered_by(told, *since, now);
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

    /// A call has come back. The caller says what it means, and tells the other workers.
    pub(crate) fn land(&mut self, id: Q::Id) -> Option<Flight<Q>> {
        let flight = self.flights.remove(&id)?;
        let lane = self.lane(flight.priority);
        lane.in_flight = lane.in_flight.saturating_sub(1);
        Some(flight)
    }

    /// The provider did not answer: those that are queued would only wait for the same silence, one after the
    /// other. Gives them; their leases are the caller's to end.
    pub(crate) fn silence(&mut self, now: UnixTime) -> Vec<(Q::Id, Flight<Q>)> {
        self.outage = Some(now);
        let queued = self.known.queue.drain(..).chain(self.unknown.queue.drain(..));
        queued.filter_map(|id| Some((id, self.flights.remove(&id)?))).collect()
    }

    /// The provider has answered.
    pub(crate) const fn reached(&mut self) {
        self.outage = None;
    }

    /// When the provider did not answer, if that was its last word.
    pub(crate) const fn silent_since(&self) -> Option<UnixTime> {
        self.outage
    }

    /// Whether the provider is left alone for the moment.
    pub(crate) fn is_outage(&self, now: UnixTime) -> bool {
        self.outage.is_some_and(|since| !now.is_over(since, PAUSE))
    }

    /// Takes away the questions of strangers that have queued for longer than `most`: a provider that stalls
    /// lets a long queue grow. Their leases are the caller's to end.
    pub(crate) fn give_up_late(
        &mut self,
        most: Duration,
        now: UnixTime,
    ) -> Vec<(Q::Id, Flight<Q>)> {
        let flights = &self.flights;
        let late =
            |id: &Q::Id| flights.get(id).is_none_or(|flight| now.is_over(flight.since, most));
        let given_up: Vec<Q::Id> = self.unknown.queue.iter().copied().filter(late).collect();
        self.unknown.queue.retain(|id| !given_up.contains(id));
        given_up.into_iter().filter_map(|id| Some((id, self.flights.remove(&id)?))).collect()
    }

    /// Whether a question can be sent.
    pub(crate) fn can_send(&self) -> bool {
        self.known.can_send() || self.unknown.can_send()
    }

    /// Whether another worker's answer is awaited.
    pub(crate) fn is_following(&self) -> bool {
        !self.known.followed.is_empty() || !self.unknown.followed.is_empty()
    }

    /// A request has ended: nobody wakes it.
    pub(crate) fn forget(&mut self, stream: StreamId) {
        for flight in self.flights.values_mut() {
            flight.waiting.retain(|own| *own != stream);
        }
    }

    const fn lane(&mut self, priority: Priority) -> &mut Lane<Q::Id> {
        match priority {
            Priority::Known => &mut self.known,
            Priority::Unknown => &mut self.unknown,
        }
    }
}
