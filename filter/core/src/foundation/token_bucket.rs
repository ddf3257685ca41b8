//! Token buckets for rate limits.

use crate::foundation::limits::Rate;
use crate::foundation::time::UnixTime;

/// A token bucket: how much of a [`Rate`] is left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// Tokens that are left.
    pub(crate) left: u32,
    /// The time up to which tokens have been added.
    filled: UnixTime,
}

impl Rate {
    /// Returns a full bucket.
    #[must_use]
    pub(crate) const fn full(self, now: UnixTime) -> Bucket {
        Bucket { left: self.burst, filled: now }
    }

    /// Returns a bucket with the tokens that have become available until `now`.
    #[must_use]
    pub(crate) fn filled_up(self, bucket: Bucket, now: UnixTime) -> Bucket {
        // A time in the future means that the clock went back. The bucket is full then.
        if bucket.filled > now {
            return self.full(now);
        }
        let each = self.each.as_millis().max(1);
        let more = now.since(bucket.filled).as_millis().checked_div(each).unwrap_or_default();
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let left = bucket.left.saturating_add(more);
        if left >= self.burst {
            return self.full(now);
        }
        Bucket { left, filled: bucket.filled.plus(self.each.saturating_mul(more)) }
    }
}
