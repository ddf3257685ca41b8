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
    /// Too many wait already.
    Busy,
}

enum Entry {
    /// Queued or in flight.
    Working {
        session: Box<Session>,
        waiting: Vec<StreamId>,
    },
    Done {
        result: Refreshed,
        at: UnixTime,
    },
}

/// See the module.
#[derive(Default)]
pub struct Refreshes {
    entries: HashMap<[u8; 16], Entry>,
    /// Finished entries, oldest first.
    finished: VecDeque<[u8; 16]>,
    queue: VecDeque<[u8; 16]>,
    in_flight: usize,
}

impl Refreshes {
    /// See [`Recheck`].
    pub fn recheck(
        &mut self,
        session: &Session,
        stream: StreamId,
        limits: &config::Session,
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
            Some(Entry::Done { result: Refreshed::Ended(_), .. }) => return Recheck::Ended,
            Some(Entry::Done { result: Refreshed::Unavailable(_), at })
                if !now.is_over(*at, PAUSE) =>
            {
                return Recheck::Unavailable;
            }
            Some(Entry::Done { result: Refreshed::Confirmed(kept), .. })
                if kept.checked >= session.checked =>
            {
                if !kept.is_due(now, limits) {
                    return Recheck::Confirmed(kept.clone());
                }
                newest = kept;
            }
            Some(Entry::Done { .. }) | None => {}
        }
        if newest.refresh_token.is_none() {
            return Recheck::Ended;
        }
        if self.queue.len() >= WAITING_REQUESTS {
            return Recheck::Busy;
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

    /// A refresh has a result; gives the requests that waited.
    pub fn finish(&mut self, id: [u8; 16], result: Refreshed, at: UnixTime) -> Vec<StreamId> {
        self.in_flight = self.in_flight.saturating_sub(1);
        let before = self.entries.insert(id, Entry::Done { result, at });
        self.finished.push_back(id);
        if self.finished.len() > KEPT
            && let Some(oldest) = self.finished.pop_front()
        {
            self.entries.remove(&oldest);
        }
        match before {
            Some(Entry::Working { waiting, .. }) => waiting,
            _ => Vec::new(),
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
