//! Time as it is passed in: milliseconds since 1970, saturating, never read from a clock here.

use core::time::Duration;

/// A point in time. It may stand still or go back between two events; nothing may become *more*
/// permitted by that (design invariant on `now`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// From whole seconds, as token claims have them.
    #[must_use]
    pub(crate) const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// From milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Whole seconds, rounded down.
    #[must_use]
    pub const fn secs(self) -> u64 {
        self.0 / 1000
    }

    /// Milliseconds.
    #[must_use]
    pub(crate) const fn millis(self) -> u64 {
        self.0
    }

    /// The later time, or the end of time.
    #[must_use]
    pub(crate) fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }

    /// What has passed since `earlier`; zero if that lies in the future.
    #[must_use]
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Whether `lifetime` after `start` has passed. A `start` in the future (the clock went back,
    /// or the value is not ours) is over as well, but for the leeway between two hosts' clocks:
    /// otherwise a clock that goes back would lengthen what it guards.
    #[must_use]
    pub(crate) fn is_over(self, start: Self, lifetime: Duration) -> bool {
        let skew = Duration::from_secs(crate::foundation::limits::LEEWAY);
        self.since(start) >= lifetime || start > self.plus(skew)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_lifetime_ends_exactly_at_its_edge() {
        let start = UnixTime::from_secs(1000);
        let life = Duration::from_secs(60);
        assert!(!UnixTime::from_millis(1_059_999).is_over(start, life));
        assert!(UnixTime::from_secs(1060).is_over(start, life));
    }

    #[test]
    fn a_clock_that_goes_back_ends_rather_than_extends() {
        let start = UnixTime::from_secs(1000);
        let life = Duration::from_secs(60);
        assert!(!UnixTime::from_secs(940).is_over(start, life), "60 s of skew between hosts");
        assert!(UnixTime::from_secs(939).is_over(start, life));
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(UnixTime::from_secs(u64::MAX).plus(Duration::MAX), UnixTime(u64::MAX));
        assert_eq!(UnixTime::default().since(UnixTime(5)), Duration::ZERO);
    }
}
