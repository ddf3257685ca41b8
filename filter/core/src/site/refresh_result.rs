//! What a refresh has led to, and what that means for whoever shows the session.

use super::single_flight::PAUSE;
use crate::config;
use crate::foundation::codec::{Reader, Writer};
use crate::foundation::time::UnixTime;
use crate::session::model::Session;
use crate::workers::answers::Answer;

/// What a due session leads to.
#[derive(Debug)]
pub(crate) enum Recheck {
    /// It was refreshed: this one counts.
    Confirmed(Box<Session>),
    /// The provider has ended it.
    Ended,
    /// The provider gives no verdict: grace decides.
    Unavailable,
    /// Too many wait for a verdict already.
    Busy,
    /// The request is woken when there is a result.
    Wait,
}

/// What a refresh has led to.
#[derive(Clone, Debug)]
pub(crate) struct RefreshResult {
    /// The session after it; what the next refresh starts from.
    pub(crate) session: Box<Session>,
    /// What the provider said.
    pub(crate) verdict: RefreshVerdict,
    /// When.
    pub(crate) at: UnixTime,
}

/// What the provider said of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefreshVerdict {
    /// It goes on.
    Confirmed,
    /// It is over.
    Ended,
    /// Nothing.
    Unavailable,
}

impl RefreshResult {
    /// What a result means for a cookie that was judged, if it is of use: for that cookie and for older
    /// ones, never for newer. What was confirmed up to `void` does not count.
    #[must_use]
    pub(crate) fn answer(
        &self,
        shown: &Session,
        limits: &config::Session,
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
