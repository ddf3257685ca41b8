//! The result of a session refresh, and what it means for a request with that session.

use super::single_flight::PAUSE;
use crate::config;
use crate::foundation::codec::{Reader, Writer};
use crate::foundation::time::UnixTime;
use crate::session::model::Session;
use crate::workers::answers::Answer;

/// The verdict on a session that is due for a check.
#[derive(Debug)]
pub(crate) enum Recheck {
    /// The session was refreshed, and this one replaces it.
    Confirmed(Box<Session>),
    /// The provider has ended the session.
    Ended,
    /// The provider gives no verdict, so grace applies.
    Unavailable,
    /// Too many requests already wait for a verdict.
    Busy,
    /// The request waits and is woken when there is a result.
    Wait,
}

/// The result of a refresh, which all workers share.
#[derive(Clone, Debug)]
pub(crate) struct RefreshResult {
    /// The session after the refresh, from which the next refresh starts.
    pub(crate) session: Box<Session>,
    /// The provider's verdict.
    pub(crate) verdict: RefreshVerdict,
    /// The time of the result.
    pub(crate) at: UnixTime,
}

/// The provider's verdict on a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefreshVerdict {
    /// The session is confirmed.
    Confirmed,
    /// The session has ended.
    Ended,
    /// The provider gave no verdict.
    Unavailable,
}

impl RefreshResult {
    /// Returns what the result means for the session of a cookie, or `None` if it says nothing
    /// about it.
    ///
    /// A result applies to the cookie that was checked and to older ones, never to newer ones. A
    /// confirmation up to the time `void` is ignored.
    #[must_use]
    pub(crate) fn answer(
        &self,
        shown: &Session,
        limits: &config::SessionSettings,
        void: Option<UnixTime>,
        now: UnixTime,
    ) -> Option<Recheck> {
        if self.session.checked < shown.checked {
            return None;
        }
        match self.verdict {
            RefreshVerdict::Ended => Some(Recheck::Ended),
            RefreshVerdict::Confirmed
                if !self.session.is_due(now, limits)
                    && void.is_none_or(|at| self.session.checked > at) =>
            {
                Some(Recheck::Confirmed(self.session.clone()))
            }
            RefreshVerdict::Unavailable if !now.is_over(self.at, PAUSE) => {
                Some(Recheck::Unavailable)
            }
            RefreshVerdict::Confirmed | RefreshVerdict::Unavailable => None,
        }
    }
}

impl Answer for RefreshResult {
    fn encode(&self) -> Vec<u8> {
        let verdict = match self.verdict {
            RefreshVerdict::Confirmed => 1,
            RefreshVerdict::Ended => 2,
            RefreshVerdict::Unavailable => 3,
        };
        let head = Writer::default().raw(&[verdict]).number(self.at.millis());
        head.bytes(&self.session.encode()).finish()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Reader::new(bytes);
        let verdict = match fields.raw()? {
            [1] => RefreshVerdict::Confirmed,
            [2] => RefreshVerdict::Ended,
            [3] => RefreshVerdict::Unavailable,
            _ => return None,
        };
        let at = UnixTime::from_millis(fields.number()?);
        let session = Box::new(Session::decode(fields.bytes()?)?);
        fields.is_done().then_some(Self { session, verdict, at })
    }

    fn at(&self) -> UnixTime {
        self.at
    }

    fn confirmed(&self) -> UnixTime {
        self.session.checked
    }
}
