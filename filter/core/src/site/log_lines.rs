//! Lines for the operator's log, which have limits.

use super::Site;
use crate::foundation::log_text::shown;
use crate::foundation::time::UnixTime;
use crate::session::model::Session;
use crate::telemetry::event::Event;

impl Site {
    /// Returns an event of a request, which is left out of the logs if there are too many about
    /// strangers. `is_shown` says that the access log has an entry about the request already.
    #[must_use]
    pub(crate) fn bounded(&mut self, event: Event, is_shown: bool, now: UnixTime) -> Event {
        self.lines.apply(event, is_shown, now)
    }

    /// Queues a line about a request without a valid credential, unless there are too many.
    pub(crate) fn notice_about_a_stranger(&mut self, line: String, now: UnixTime) {
        if let Some(line) = self.lines.line(line, now) {
            self.notice(line);
        }
    }

    /// Queues a line for the operator's log. Lines are dropped while 64 are queued.
    pub(crate) fn notice(&mut self, line: String) {
        if self.notices.len() < 64 {
            self.notices.push(line);
        }
    }

    /// Queues the line about a session without a verdict of the provider.
    pub(super) fn not_rechecked(&mut self, session: &Session, seen: &str) {
        self.notice(format!(
            "a session of user:{} could not be rechecked: {seen}",
            shown(&session.subject)
        ));
    }

    /// Takes the lines for the operator's log since the last call.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn take_notices(&mut self) -> Vec<String> {
        self.notices.extend(self.keys.take_notices());
        core::mem::take(&mut self.notices)
    }
}
