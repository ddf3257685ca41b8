//! Token buckets: what is left of a rate.

use crate::foundation::limits::Rate;
use crate::foundation::time::UnixTime;

/// What is left of a rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// How many.
    pub(crate) left: u32,
    /// Up to when it has been filled.
    filled: UnixTime,
}

impl Rate {
    /// A full bucket.
    #[must_use]
    pub(crate) const fn full(self, now: UnixTime) -> Bucket {
        Bucket { left: self.burst, filled: now }
    }

    /// A bucket as it is now.
    #[must_use]
    pub(crate) fn filled_up(self, bucket: Bucket, now: UnixTime) -> Bucket {
        // A time in the future is of a clock that went back: it is full then, as after a long time.
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
