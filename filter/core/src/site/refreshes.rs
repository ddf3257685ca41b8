//! Refreshes of sessions: one at a time for each session in all workers of a process, its requests wait
//! for the result, and results are kept for clients that still show the old cookie.

use std::collections::{HashMap, VecDeque};

use crate::config;
use crate::foundation::limits::{REFRESHES_IN_FLIGHT, WAITING_REQUESTS};
use crate::foundation::secret::Secret;
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::login::refresh::Refreshed;
use crate::session::model::Session;
use crate::workers::READ_LATER;
use crate::workers::answers::{Answers, Known};

use super::FOLLOW;
use super::kept::{Kept, PAUSE, Recheck, Verdict};

/// Sessions whose last result is kept.
const KEPT: usize = 4096;
/// Sessions that are looked at each time for what other workers have heard.
const LOOKS: usize = 64;

enum Entry {
    /// Queued or in flight here, or at another worker, since a time.
    Working { session: Box<Session>, waiting: Vec<StreamId>, since: UnixTime },
    /// What the next refresh starts from.
    Done(Kept),
}

/// See the module.
pub(crate) struct Refreshes {
    entries: HashMap<[u8; 16], Entry>,
    /// Finished entries, oldest first.
    finished: VecDeque<[u8; 16]>,
    queue: VecDeque<[u8; 16]>,
    /// Those that another worker is asking for, and when they were last looked at.
    followed: VecDeque<[u8; 16]>,
    looked: UnixTime,
    in_flight: usize,
    /// When the provider last gave no answer: until [`PAUSE`] has passed nobody else waits for it.
    outage: Option<UnixTime>,
    shared: Answers<Kept>,
}

impl Refreshes {
    /// With what all workers share.
    #[must_use]
    pub(crate) fn new(shared: Answers<Kept>) -> Self {
        Self {
            entries: HashMap::new(),
            finished: VecDeque::new(),
            queue: VecDeque::new(),
            followed: VecDeque::new(),
            looked: UnixTime::default(),
            in_flight: 0,
            outage: None,
            shared,
        }
    }

    /// See [`Recheck`]. What was confirmed up to `void` does not count. Without a provider there is
    /// nobody to ask, but what is known counts.
    pub(crate) fn recheck(
        &mut self,
        session: &Session,
        stream: StreamId,
        limits: &config::Session,
        void: Option<UnixTime>,
        has_provider: bool,
        now: UnixTime,
    ) -> Recheck {
        let mut newest = session;
        match self.entries.get_mut(&session.id) {
            Some(Entry::Working { waiting, .. }) => {
                if waiting.len() >= WAITING_REQUESTS {
                    return Recheck::Busy;
                }
                waiting.push(stream);
                return Recheck::Wait;
            }
            Some(Entry::Done(kept)) => {
                if let Some(answer) = kept.answer(session, limits, void, now) {
                    return answer;
                }
                if kept.session.checked >= session.checked {
                    newest = &kept.session;
                }
            }
            None => {}
        }
        let elsewhere = self.shared.look(&session.id, now);
        if let Known::Done(kept) = &elsewhere {
            if let Some(answer) = kept.answer(session, limits, void, now) {
                self.keep(session.id, kept.clone());
                return answer;
            }
            if kept.session.checked >= newest.checked {
                newest = &kept.session;
            }
        }
        if newest.refresh_token.is_none() {
            return Recheck::Ended;
        }
        let outage = self.outage.is_some_and(|since| !now.is_over(since, PAUSE));
        if outage || !has_provider {
            return Recheck::Unavailable;
        }
        if self.queue.len().max(self.followed.len()) >= WAITING_REQUESTS {
            return Recheck::Busy;
        }
        let session = Box::new(newest.clone());
        let id = session.id;
        let elsewhere = matches!(elsewhere, Known::Asking) || !self.shared.lease(&id, now);
        if elsewhere {
            self.followed.push_back(id);
        } else {
            self.queue.push_back(id);
        }
        self.entries.insert(id, Entry::Working { session, waiting: vec![stream], since: now });
        self.finished.retain(|finished| *finished != id);
        Recheck::Wait
    }

    /// A session as it is after its last refresh, by whatever worker.
    #[must_use]
    pub(crate) fn newest(&self, session: &Session) -> Session {
        let own = match self.entries.get(&session.id) {
            Some(Entry::Done(kept)) => Some(kept.session.clone()),
            Some(Entry::Working { session, .. }) => Some(session.clone()),
            None => None,
        };
        let other = self.shared.kept(&session.id).map(|kept| kept.session);
        // Of two that are as new, the other workers' may have the token of a refresh without a verdict.
        let kept = own.into_iter().chain(other).max_by_key(|kept| kept.checked);
        kept.filter(|kept| kept.checked >= session.checked)
            .map_or_else(|| session.clone(), |kept| *kept)
    }

    /// Looks at what other workers are asking for; gives the requests whose wait is over. If one of
    /// those workers has died, this one asks.
    pub(crate) fn follow(&mut self, now: UnixTime) -> Vec<StreamId> {
        let mut woken = Vec::new();
        if now.since(self.looked) < FOLLOW && self.looked <= now {
            return woken;
        }
        self.looked = now;
        for _ in 0..self.followed.len().min(LOOKS) {
            let Some(id) = self.followed.pop_front() else { break };
            match self.shared.look(&id, now) {
                Known::Asking => self.followed.push_back(id),
                Known::Done(kept) if self.is_news(&id, &kept, now) => {
                    if let Some(Entry::Working { waiting, .. }) = self.entries.remove(&id) {
                        woken.extend(waiting);
                    }
                    self.keep(id, kept);
                }
                // It will be leased before it is sent.
                Known::Done(_) | Known::Nothing => self.queue.push_back(id),
            }
        }
        woken
    }

    /// Whether a result is later than that from which this refresh would start.
    fn is_news(&self, id: &[u8; 16], kept: &Kept, now: UnixTime) -> bool {
        match self.entries.get(id) {
            Some(Entry::Working { session, since, .. }) => is_later(kept, session, *since, now),
            _ => true,
        }
    }

    /// Whether another worker's result is awaited.
    #[must_use]
    pub(crate) fn is_following(&self) -> bool {
        !self.followed.is_empty()
    }

    /// Takes the next refresh to send. One that has waited for long may be another worker's meanwhile.
    pub(crate) fn begin_next(&mut self, now: UnixTime) -> Option<([u8; 16], Secret)> {
        while self.in_flight < REFRESHES_IN_FLIGHT {
            let id = self.queue.pop_front()?;
            let kept = self.shared.kept(&id);
            let news = kept.as_ref().is_some_and(|kept| self.is_news(&id, kept, now));
            if news || !self.shared.lease(&id, now) {
                self.followed.push_back(id);
                continue;
            }
            let Some(Entry::Working { session, .. }) = self.entries.get_mut(&id) else { continue };
            // What another worker was given without a verdict is the token to go on with.
            let goes_on = |kept: &Kept| {
                kept.session.checked >= session.checked && kept.session.refresh_token.is_some()
            };
            if let Some(kept) = kept.filter(goes_on) {
                *session = kept.session;
            }
            if let Some(token) = &session.refresh_token {
                self.in_flight = self.in_flight.saturating_add(1);
                return Some((id, token.clone()));
            }
        }
        None
    }

    /// The session whose refresh is in flight.
    #[must_use]
    pub(crate) fn in_flight(&self, id: &[u8; 16]) -> Option<Box<Session>> {
        match self.entries.get(id) {
            Some(Entry::Working { session, .. }) => Some(session.clone()),
            _ => None,
        }
    }

    /// A refresh has a result; gives the requests that waited. An outage answers those that are
    /// still queued, too: they would only wait for the same silence one after the other.
    pub(crate) fn finish(
        &mut self,
        id: [u8; 16],
        result: Refreshed,
        at: UnixTime,
    ) -> Vec<StreamId> {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(Entry::Working { session, waiting, .. }) = self.entries.remove(&id) else {
            return Vec::new();
        };
        let (session, verdict) = match result {
            Refreshed::Confirmed(session) => (session, Verdict::Confirmed),
            Refreshed::Ended(_) => (session, Verdict::Ended),
            Refreshed::Unavailable { rotated, silent, .. } => {
                if silent {
                    self.outage = Some(at);
                }
                let refresh_token = rotated.or_else(|| session.refresh_token.clone());
                (Box::new(Session { refresh_token, ..*session }), Verdict::Unavailable)
            }
        };
        self.publish(id, Kept { session, verdict, at });
        let mut woken = waiting;
        if self.outage == Some(at) {
            for queued in core::mem::take(&mut self.queue) {
                let Some(Entry::Working { session, waiting, since }) = self.entries.remove(&queued)
                else {
                    continue;
                };
                woken.extend(waiting);
                // Another worker may have had an answer meanwhile: silence here takes nothing of it back.
                let known = self.shared.kept(&queued);
                match known.filter(|known| is_later(known, &session, since, at)) {
                    Some(known) => self.keep(queued, known),
                    None => {
                        self.publish(queued, Kept { session, verdict: Verdict::Unavailable, at });
                    }
                }
            }
        }
        woken
    }

    fn publish(&mut self, id: [u8; 16], kept: Kept) {
        let standing = self.shared.publish(&id, kept);
        self.keep(id, standing);
    }

    fn keep(&mut self, id: [u8; 16], kept: Kept) {
        self.entries.insert(id, Entry::Done(kept));
        self.finished.retain(|finished| *finished != id);
        self.finished.push_back(id);
        if self.finished.len() > KEPT
            && let Some(oldest) = self.finished.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }

    /// Forgets the result of a session; requests that wait for it are still woken.
    pub(crate) fn drop_session(&mut self, id: &[u8; 16]) {
        if let Some(Entry::Done(_)) = self.entries.get(id) {
            self.entries.remove(id);
            self.finished.retain(|own| own != id);
        }
    }

    /// Whether a refresh can be sent.
    #[must_use]
    pub(crate) fn has_queued(&self) -> bool {
        !self.queue.is_empty() && self.in_flight < REFRESHES_IN_FLIGHT
    }

    /// A request has ended.
    pub(crate) fn forget(&mut self, stream: StreamId) {
        for entry in self.entries.values_mut() {
            if let Entry::Working { waiting, .. } = entry {
                waiting.retain(|own| *own != stream);
            }
        }
    }
}

/// Whether a result is later than the session from which a refresh starts that began at a time. One from
/// the future is not: the clock went back, and it would be news for ever.
fn is_later(kept: &Kept, session: &Session, since: UnixTime, now: UnixTime) -> bool {
    kept.session.checked > session.checked || (kept.at > since && kept.at <= now.plus(READ_LATER))
}
