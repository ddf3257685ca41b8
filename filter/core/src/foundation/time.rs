//! Points in time. They are passed in; the core never reads a clock.

use core::time::Duration;

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z. Arithmetic saturates.
///
/// The clock may repeat a time or go back between two events. No request may become *more*
/// permitted because of that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// Creates a time from whole seconds since 1970, as in the claims of tokens.
    #[must_use]
    pub(crate) const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Creates a time from milliseconds since 1970.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Returns whole seconds since 1970, rounded down.
    #[must_use]
    pub(crate) const fn secs(self) -> u64 {
        self.0 / 1000
    }

    /// Returns milliseconds since 1970.
    #[must_use]
    pub(crate) const fn millis(self) -> u64 {
        self.0
    }

    /// Returns the time that is later by a duration, or the largest time there is.
    #[must_use]
    pub(crate) fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Returns the duration since `earlier`, or zero if `earlier` is in the future.
    #[must_use]
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Returns whether `lifetime` has passed since `start`.
    ///
    /// It also returns `true` for a `start` more than [`LEEWAY`] seconds in the future. Such a
    /// start means that the clock went back, or that another host set it. Otherwise a clock that
    /// goes back would lengthen the lifetime.
    ///
    /// [`LEEWAY`]: crate::foundation::limits::LEEWAY
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
