//! Replies to requests whose body is still on its way.
//!
//! Envoy follows an early reply on HTTP/2 with `RST_STREAM`, and clients of the generation of curl 7.88 then
//! report a broken stream instead of the 401 or 403. A short wait lets a small body arrive first, after which
//! there is nothing to reset. HTTP/1 needs no wait.

use core::time::Duration;

use crate::answer::reply::Reply;
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;

/// Long enough for what was sent together with the headers, too short to be noticed.
pub(crate) const WAIT: Duration = Duration::from_millis(5);
/// More replies than this do not wait.
const WAITING: usize = 256;

/// The replies that wait.
#[derive(Default)]
pub(crate) struct DelayedReplies(Vec<(UnixTime, StreamId, Reply)>);

impl DelayedReplies {
    /// Keeps a reply for a moment; gives it back when too many wait.
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

    /// Takes one that has waited; any if the clock went back.
    pub(crate) fn next(&mut self, now: UnixTime) -> Option<(StreamId, Reply)> {
        let due = self.0.iter().position(|(at, ..)| now >= *at || at.since(now) > WAIT)?;
        let (_, stream, reply) = self.0.remove(due);
        Some((stream, reply))
    }

    /// Whether any wait.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The request is gone.
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
