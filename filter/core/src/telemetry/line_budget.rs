//! A limit on log lines about requests without a proved principal.
//!
//! A stranger can cause any number of refusals. The counters and the access log have all of them.

use crate::foundation::limits::LINES_ABOUT_STRANGERS;
use crate::foundation::time::UnixTime;
use crate::foundation::token_bucket::Bucket;
use crate::telemetry::event::Event;

/// What is left of the limit, and how many lines were left out since the last one.
#[derive(Default)]
pub(crate) struct LineBudget {
    bucket: Option<Bucket>,
    left_out: u64,
}

impl LineBudget {
    /// Returns the event without its line if the limit is reached. The next line says how many were
    /// left out.
    #[must_use]
    pub(crate) fn apply(&mut self, mut event: Event, now: UnixTime) -> Event {
        if event.is_about_a_stranger() {
            event.line = event.line.and_then(|line| self.line(line, now));
        }
        event
    }

    /// Returns a line about a stranger, unless the limit is reached.
    pub(crate) fn line(&mut self, mut line: String, now: UnixTime) -> Option<String> {
        let rate = LINES_ABOUT_STRANGERS;
        let mut bucket = self.bucket.map_or(rate.full(now), |bucket| rate.filled_up(bucket, now));
        let left = bucket.left.checked_sub(1);
        bucket.left = left.unwrap_or(0);
        self.bucket = Some(bucket);
        if left.is_none() {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }
        if self.left_out > 0 {
            line.push_str(&format!(" left_out={}", self.left_out));
            self.left_out = 0;
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::identity::principal::{Method, Principal};
    use crate::refusal::{Reason, Refusal};

    fn refused() -> Event {
        Event::refused(&Refusal::new(Reason::NoCredential))
    }

    #[test]
    fn a_flood_leaves_few_lines_and_their_number() {
        let mut budget = LineBudget::default();
        let now = UnixTime::from_secs(1000);
        let burst = LINES_ABOUT_STRANGERS.burst as usize;
        let mut lines = |count: usize, now| {
            (0..count).filter_map(|_| budget.apply(refused(), now).line).collect::<Vec<_>>()
        };
        assert_eq!(lines(100_000, now).len(), burst);
        let later = lines(1, now.plus(LINES_ABOUT_STRANGERS.each));
        let wanted = format!(" left_out={}", 100_000 - burst);
        assert!(later[0].ends_with(&wanted), "{later:?}");
        let much_later = lines(1, now.plus(LINES_ABOUT_STRANGERS.each * 1_000_000));
        assert!(!much_later[0].contains("left_out"), "{much_later:?}");
    }

    #[test]
    fn lines_about_somebody_are_never_left_out() {
        let mut budget = LineBudget::default();
        let now = UnixTime::from_secs(1000);
        while budget.apply(refused(), now).line.is_some() {}
        let principal = Principal::machine("key", "etl", Method::ApiKey);
        let missing = Refusal::new(Reason::RoleMissing).by(Rc::new(principal));
        for event in [Event::refused(&missing), Event::reported(&missing)] {
            assert_eq!(budget.apply(event.clone(), now), event);
        }
        assert_eq!(budget.apply(refused(), now).metric(), refused().metric(), "it is counted");
    }
}
