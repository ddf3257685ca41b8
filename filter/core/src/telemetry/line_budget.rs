//! A limit on what requests without a proved principal leave in the logs.
//!
//! A stranger can cause any number of requests. The counters have all of them.

use crate::foundation::limits::LINES_ABOUT_STRANGERS;
use crate::foundation::time::UnixTime;
use crate::foundation::token_bucket::Bucket;
use crate::telemetry::event::Event;

/// What is left of the limits, and how many lines were left out since the last one.
///
/// Requests with a line and those without have limits of their own: a flood of health checks must
/// not hide that a client guesses keys.
#[derive(Default)]
pub(crate) struct LineBudget {
    lines: Option<Bucket>,
    entries: Option<Bucket>,
    left_out: u64,
}

impl LineBudget {
    /// Leaves a stranger's request out of the log and of the access log if its limit is reached.
    /// The next line says how many lines were left out.
    ///
    /// `is_shown` says that the access log has an entry about the request already. It then shows
    /// how the request ends, too.
    #[must_use]
    pub(crate) fn apply(&mut self, mut event: Event, is_shown: bool, now: UnixTime) -> Event {
        if !event.is_about_a_stranger() {
            return event;
        }
        let is_left_out = match event.line.take() {
            Some(line) => {
                event.line = self.line(line, now);
                event.line.is_none()
            }
            None => !take(&mut self.entries, now),
        };
        if is_left_out && !is_shown { event.leave_out() } else { event }
    }

    /// Returns a line about a stranger, unless the limit is reached.
    pub(crate) fn line(&mut self, mut line: String, now: UnixTime) -> Option<String> {
        if !take(&mut self.lines, now) {
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

/// Takes one from a limit. Returns `false` if it is reached.
fn take(bucket: &mut Option<Bucket>, now: UnixTime) -> bool {
    let rate = LINES_ABOUT_STRANGERS;
    let mut filled = bucket.map_or(rate.full(now), |bucket| rate.filled_up(bucket, now));
    let left = filled.left.checked_sub(1);
    filled.left = left.unwrap_or(0);
    *bucket = Some(filled);
    left.is_some()
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
            (0..count).filter_map(|_| budget.apply(refused(), false, now).line).collect::<Vec<_>>()
        };
        assert_eq!(lines(100_000, now).len(), burst);
        let later = lines(1, now.plus(LINES_ABOUT_STRANGERS.each));
        let wanted = format!(" left_out={}", 100_000 - burst);
        assert!(later[0].ends_with(&wanted), "{later:?}");
        let much_later = lines(1, now.plus(LINES_ABOUT_STRANGERS.each * 1_000_000));
        assert!(!much_later[0].contains("left_out"), "{much_later:?}");
    }

    /// How many of them the access log has.
    fn entries(budget: &mut LineBudget, event: &Event, count: usize, now: UnixTime) -> usize {
        let events = (0..count).map(|_| budget.apply(event.clone(), false, now));
        events.filter(|event| event.fields().next().is_some()).count()
    }

    /// Logins that begin and health checks have no line, but each has an entry in the access log.
    #[test]
    fn the_access_log_leaves_out_what_the_limits_do() {
        let mut budget = LineBudget::default();
        let now = UnixTime::from_secs(1000);
        let burst = LINES_ABOUT_STRANGERS.burst as usize;
        assert_eq!(entries(&mut budget, &Event::answered("login"), 100_000, now), burst);
        // That hides no refusal.
        assert_eq!(entries(&mut budget, &refused(), 2000, now), burst);
        let line = budget.apply(refused(), false, now.plus(LINES_ABOUT_STRANGERS.each)).line;
        assert!(line.unwrap().ends_with(" left_out=1000"));
    }

    #[test]
    fn a_request_that_is_shown_is_shown_to_its_end() {
        let mut budget = LineBudget::default();
        let now = UnixTime::from_secs(1000);
        while budget.apply(refused(), false, now).line.is_some() {}
        let end = budget.apply(refused(), true, now);
        assert!(
            end.line.is_none() && end.fields().any(|field| field == ("lictor.decision", "refused"))
        );
    }

    #[test]
    fn lines_about_somebody_are_never_left_out() {
        let mut budget = LineBudget::default();
        let now = UnixTime::from_secs(1000);
        while budget.apply(refused(), false, now).line.is_some() {}
        let principal = Principal::machine("key", "etl", Method::ApiKey);
        let missing = Refusal::new(Reason::RoleMissing).by(&Rc::new(principal), None);
        for event in [Event::refused(&missing), Event::reported(&missing)] {
            assert_eq!(budget.apply(event.clone(), false, now), event);
        }
        assert_eq!(
            budget.apply(refused(), false, now).metric(),
            refused().metric(),
            "it is counted"
        );
    }
}
