//! Answers to requests whose body is still on its way.
//!
//! Envoy follows an early answer on HTTP/2 with `RST_STREAM`, and clients of the generation of
//! curl 7.88 then report a broken stream instead of the 401 or 403. A short wait lets a small body
//! arrive first, after which there is nothing to reset. HTTP/1 has no such trouble.

use core::cell::RefCell;
use core::time::Duration;

use lictor_core::{Reply, StreamId, UnixTime};

/// Long enough for what was sent together with the headers, too short to be noticed.
const WAIT: Duration = Duration::from_millis(5);
/// More answers than this do not wait.
const WAITING: usize = 256;

/// Answers that wait.
#[derive(Default)]
pub struct Lingering(RefCell<Vec<(UnixTime, StreamId, Reply)>>);

impl Lingering {
    /// Keeps an answer for a moment; gives it back when too many wait.
    pub fn keep(&self, stream: StreamId, reply: Reply, now: UnixTime) -> Option<Reply> {
        let mut waiting = self.0.borrow_mut();
        if waiting.len() >= WAITING {
            return Some(reply);
        }
        waiting.push((now.plus(WAIT), stream, reply));
        None
    }

    /// Takes those that have waited; all of them if the clock went back.
    pub fn take_due(&self, now: UnixTime) -> Vec<(StreamId, Reply)> {
        let mut waiting = self.0.borrow_mut();
        let (due, rest): (Vec<_>, Vec<_>) = core::mem::take(&mut *waiting)
            .into_iter()
            .partition(|(at, ..)| now >= *at || at.since(now) > WAIT);
        *waiting = rest;
        due.into_iter().map(|(_, stream, reply)| (stream, reply)).collect()
    }

    /// Whether any wait.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// The request is gone.
    pub fn forget(&self, stream: StreamId) {
        self.0.borrow_mut().retain(|(_, own, _)| *own != stream);
    }

    /// How soon to look again.
    pub const fn pause() -> Duration {
        WAIT
    }
}
