//! Replies to requests whose body is still on its way.
//!
//! Envoy follows an early reply on HTTP/2 with `RST_STREAM`. Clients of the generation of curl 7.88
//! then report a broken stream instead of the 401 or 403. A short wait lets a small body arrive
//! first, and then nothing is reset. HTTP/1 needs no wait.

use core::time::Duration;

use crate::answer::reply::Reply;
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;

/// How long a reply waits: enough for a body that was sent together with the headers, too short to
/// be noticed.
pub(crate) const WAIT: Duration = Duration::from_millis(5);
/// The number of replies that may wait.
const WAITING: usize = 256;

#[derive(Default)]
pub(crate) struct DelayedReplies(Vec<(UnixTime, StreamId, Reply)>);

impl DelayedReplies {
    /// Delays a reply by [`WAIT`]. Returns it in `Err` if too many wait already.
    pub(crate) fn keep(
        &mut self,
        stream: StreamId,
        reply: Reply,
        now: UnixTime,
    ) -> Result<(), Reply> {
        if self.0.len() >= WAITING {
            return Err(reply);
        }
        self.0.push((now.plus(WAIT), stream, reply));
        Ok(())
    }

    /// Takes a reply that is due, or one whose time is implausible because the clock went back.
    pub(crate) fn next(&mut self, now: UnixTime) -> Option<(StreamId, Reply)> {
        let due = self.0.iter().position(|(at, ..)| now >= *at || at.since(now) > WAIT)?;
        let (_, stream, reply) = self.0.remove(due);
        Some((stream, reply))
    }

    /// Returns whether no reply waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops the reply to a request that has ended.
    pub(crate) fn forget(&mut self, stream: StreamId) {
        self.0.retain(|(_, own, _)| *own != stream);
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_reply_waits_five_milliseconds_and_not_longer() {
        let mut replies = DelayedReplies::default();
        let now = UnixTime::from_secs(100);
        replies.keep(StreamId(1), Reply::unavailable(), now).unwrap();
        replies.keep(StreamId(2), Reply::unavailable(), now).unwrap();
        assert_eq!(replies.next(UnixTime::from_millis(100_004)), None);
        replies.forget(StreamId(2));
        let due = replies.next(UnixTime::from_millis(100_005));
        assert_eq!(due, Some((StreamId(1), Reply::unavailable())));
        assert!(replies.is_empty());
        replies.keep(StreamId(3), Reply::unavailable(), now).unwrap();
        assert!(replies.next(UnixTime::from_secs(99)).is_some(), "the clock went back");
    }

    #[test]
    fn replies_that_wait_are_bounded() {
        let mut replies = DelayedReplies::default();
        let now = UnixTime::from_secs(100);
        for number in 0..u32::try_from(WAITING).unwrap() {
            replies.keep(StreamId(number), Reply::unavailable(), now).unwrap();
        }
        assert!(replies.keep(StreamId(9999), Reply::unavailable(), now).is_err());
    }
}
