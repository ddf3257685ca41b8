//! A limit on log lines about requests without a proved principal.
//!
//! A stranger can cause any number of requests. The counters have all of them.

use crate::foundation::limits::LINES_ABOUT_STRANGERS;
use crate::foundation::time::UnixTime;
use crate::foundation::token_bucket::Bucket;
use crate::telemetry::event::Event;

/// What is left of the limit, and how many requests were left out since the last line.
#[derive(Default)]
pub(crate) struct LineBudget {
    bucket: Option<Bucket>,
    left_out: u64,
}

impl LineBudget {
    /// Leaves a stranger's request out of the log and of the access log if the limit is reached.
    /// The next line says how many were left out.
    #[must_use]
    pub(crate) fn apply(&mut self, mut event: Event, now: UnixTime) -> Event {
        if !event.is_about_a_stranger() {
            return event;
        }
        if !self.take(now) {
            return event.leave_out();
        }
        event.line = event.line.map(|line| self.counted(line));
        event
    }

    /// Returns a line about a stranger, unless the limit is reached.
    pub(crate) fn line(&mut self, line: String, now: UnixTime) -> Option<String> {
        self.take(now).then(|| self.counted(line))
    }

    /// Takes one line from the limit. Returns `false` if it is reached.
    fn take(&mut self, now: UnixTime) -> bool {
        let rate = LINES_ABOUT_STRANGERS;
        let mut bucket = self.bucket.map_or(rate.full(now), |bucket| rate.filled_up(bucket, now));
        let left = bucket.left.checked_sub(1);
        bucket.left = left.unwrap_or(0);
        self.bucket = Some(bucket);
        if left.is_none() {
            self.left_out = self.left_out.saturating_add(1);
        }
        left.is_some()
    }

    /// Appends the number of requests that were left out since the last line.
    fn counted(&mut self, mut line: String) -> String {
        if self.left_out > 0 {
            line.push_str(&format!(" left_out={}", self.left_out));
            self.left_out = 0;
        }
        line
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

    /// Logins that begin and health checks have no line, but each has an entry in the access log.
    #[test]
    fn the_access_log_leaves_out_what_the_limit_does() {
        let mut budget = LineBudget::default();
        let now = UnixTime::from_secs(1000);
        let mut entries = |event: &Event, count: usize, now| {
            let events = (0..count).map(|_| budget.apply(event.clone(), now));
            events.filter(|event| event.fields().next().is_some()).count()
        };
        let burst = LINES_ABOUT_STRANGERS.burst as usize;
        assert_eq!(entries(&Event::answered("login"), burst - 1, now), burst - 1);
        assert_eq!(entries(&refused(), 1000, now), 1);
        assert_eq!(entries(&Event::answered("login"), 1000, now), 0);
        let person = Principal::machine("key", "etl", Method::ApiKey);
        let missing = Refusal::new(Reason::RoleMissing).by(Rc::new(person));
        assert_eq!(entries(&Event::refused(&missing), 1000, now), 1000);
        let line = budget.apply(refused(), now.plus(LINES_ABOUT_STRANGERS.each)).line;
        assert!(line.unwrap().ends_with(" left_out=1999"));
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
