//! Refreshes of sessions: one at a time for each session, its requests wait for the result, and
//! results are kept for clients that still show the old cookie.

use std::collections::{HashMap, VecDeque};

use core::time::Duration;

use crate::config;
use crate::limits::{REFRESHES_IN_FLIGHT, WAITING_REQUESTS};
use crate::login::refresh::Refreshed;
use crate::secret::Secret;
use crate::session::model::Session;
use crate::stream::StreamId;
use crate::time::UnixTime;

/// Sessions whose last result is kept.
const KEPT: usize = 4096;
/// How long a failed attempt is not repeated.
const PAUSE: Duration = Duration::from_secs(5);

/// What a due session leads to.
#[derive(Debug)]
pub enum Recheck {
    /// It was refreshed: this one counts.
    Confirmed(Box<Session>),
    /// The provider has ended it.
    Ended,
    /// The provider gives no verdict: grace decides.
    Unavailable,
    /// The request is woken when there is a result.
    Wait,
}

enum Entry {
    /// Queued or in flight.
    Working { session: Box<Session>, waiting: Vec<StreamId> },
    /// `session` is what the next refresh starts from.
    Done { session: Box<Session>, verdict: Verdict, at: UnixTime },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Confirmed,
    Ended,
    Unavailable,
}

/// See the module.
#[derive(Default)]
pub struct Refreshes {
    entries: HashMap<[u8; 16], Entry>,
    /// Finished entries, oldest first.
    finished: VecDeque<[u8; 16]>,
    queue: VecDeque<[u8; 16]>,
    in_flight: usize,
    /// When the provider last gave no answer: until [`PAUSE`] has passed nobody else waits for it.
    outage: Option<UnixTime>,
}

impl Refreshes {
    /// See [`Recheck`]. What was confirmed up to `void` does not count.
    pub fn recheck(
        &mut self,
        session: &Session,
        stream: StreamId,
        limits: &config::Session,
        void: Option<UnixTime>,
        now: UnixTime,
    ) -> Recheck {
        let mut newest = session;
        match self.entries.get_mut(&session.id) {
            Some(Entry::Working { waiting, .. }) => {
                if waiting.len() >= WAITING_REQUESTS {
                    return Recheck::Unavailable;
                }
                waiting.push(stream);
                return Recheck::Wait;
            }
            // A result counts for the cookie that was judged and for older ones, never for newer.
            Some(Entry::Done { session: kept, verdict, at }) if kept.checked >= session.checked => {
                match verdict {
                    Verdict::Ended => return Recheck::Ended,
                    Verdict::Confirmed
                        if !kept.is_due(now, limits) && void.is_none_or(|at| kept.checked > at) =>
                    {
                        return Recheck::Confirmed(kept.clone());
                    }
                    Verdict::Unavailable if !now.is_over(*at, PAUSE) => {
                        return Recheck::Unavailable;
                    }
                    Verdict::Confirmed | Verdict::Unavailable => newest = kept,
                }
            }
            Some(Entry::Done { .. }) | None => {}
        }
        if newest.refresh_token.is_none() {
            return Recheck::Ended;
        }
        let outage = self.outage.is_some_and(|since| !now.is_over(since, PAUSE));
        if outage || self.queue.len() >= WAITING_REQUESTS {
            return Recheck::Unavailable;
        }
        let entry = Entry::Working { session: Box::new(newest.clone()), waiting: vec![stream] };
        self.entries.insert(session.id, entry);
        self.finished.retain(|id| *id != session.id);
        self.queue.push_back(session.id);
        Recheck::Wait
    }

    /// Takes the next refresh to send.
    pub fn begin_next(&mut self) -> Option<([u8; 16], Secret)> {
        while self.in_flight < REFRESHES_IN_FLIGHT {
            let id = self.queue.pop_front()?;
            if let Some(Entry::Working { session, .. }) = self.entries.get(&id)
                && let Some(token) = &session.refresh_token
            {
                self.in_flight = self.in_flight.saturating_add(1);
                return Some((id, token.clone()));
            }
        }
        None
    }

    /// The session whose refresh is in flight.
    #[must_use]
    pub fn in_flight(&self, id: &[u8; 16]) -> Option<Box<Session>> {
        match self.entries.get(id) {
            Some(Entry::Working { session, .. }) => Some(session.clone()),
            _ => None,
        }
    }

    /// A refresh has a result; gives the requests that waited. An outage answers those that are
    /// still queued, too: they would only wait for the same silence one after the other.
    pub fn finish(&mut self, id: [u8; 16], result: Refreshed, at: UnixTime) -> Vec<StreamId> {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(Entry::Working { session, waiting }) = self.entries.remove(&id) else {
            return Vec::new();
        };
        let (session, verdict) = match result {
            Refreshed::Confirmed(session) => (session, Verdict::Confirmed),
            Refreshed::Ended(_) => (session, Verdict::Ended),
            Refreshed::Unavailable { rotated, unknown_key, .. } => {
                if rotated.is_none() && !unknown_key {
                    self.outage = Some(at);
                }
                let refresh_token = rotated.or_else(|| session.refresh_token.clone());
                (Box::new(Session { refresh_token, ..*session }), Verdict::Unavailable)
            }
        };
        self.keep(id, session, verdict, at);
        let mut woken = waiting;
        if self.outage == Some(at) {
            for queued in core::mem::take(&mut self.queue) {
                if let Some(Entry::Working { session, waiting }) = self.entries.remove(&queued) {
                    self.keep(queued, session, Verdict::Unavailable, at);
                    woken.extend(waiting);
                }
            }
        }
        woken
    }

    fn keep(&mut self, id: [u8; 16], session: Box<Session>, verdict: Verdict, at: UnixTime) {
        self.entries.insert(id, Entry::Done { session, verdict, at });
        self.finished.push_back(id);
        if self.finished.len() > KEPT
            && let Some(oldest) = self.finished.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }

    /// Forgets the result of a session; requests that wait for it are still woken.
    pub fn drop_session(&mut self, id: &[u8; 16]) {
        if let Some(Entry::Done { .. }) = self.entries.get(id) {
            self.entries.remove(id);
            self.finished.retain(|own| own != id);
        }
    }

    /// Whether a refresh can be sent.
    #[must_use]
    pub fn has_queued(&self) -> bool {
        !self.queue.is_empty() && self.in_flight < REFRESHES_IN_FLIGHT
    }

    /// A request has ended.
    pub fn forget(&mut self, stream: StreamId) {
        for entry in self.entries.values_mut() {
            if let Entry::Working { waiting, .. } = entry {
                waiting.retain(|own| *own != stream);
            }
        }
    }
}
