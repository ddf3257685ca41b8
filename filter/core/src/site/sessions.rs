//! Sessions as all workers know them: rechecked, signed out, ended by the provider.

use super::refreshes::Due;
use super::{Recheck, Site};
use crate::foundation::id::SessionId;
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::login::backchannel::Logout;
use crate::session::model::Session;
use crate::workers::tombstones::{Added, tombstone_of};

impl Site {
    /// A session is due for a check; the request may have to wait for it.
    pub(crate) fn recheck(
        &mut self,
        session: &Session,
        stream: StreamId,
        now: UnixTime,
    ) -> Recheck {
        let config = self.config();
        let void = self.revocations.lost(session);
        let due = Due { session, void, has_provider: self.provider.is_some() };
        self.refreshes.recheck(due, stream, &config.session, now)
    }

    /// A session as the last refresh left it, as far as any worker knows: its role and its refresh token
    /// count, not those of an older cookie.
    #[must_use]
    pub(crate) fn newest(&self, session: &Session) -> Session {
        self.refreshes.newest(session)
    }

    /// A session has been signed out: its old cookies count at no worker again, nor do kept
    /// results.
    pub(crate) fn sign_out(&mut self, id: SessionId, now: UnixTime) {
        self.refreshes.drop_session(id);
        self.revocations.end(id, now);
    }

    /// The provider has ended sessions; whether all workers will know.
    pub(crate) fn end_by_provider(&mut self, logout: &Logout, now: UnixTime) -> bool {
        self.revocations.end_by_provider(logout, now)
    }

    /// Whether a session was ended before its time.
    pub(crate) fn is_ended(&mut self, session: &Session, now: UnixTime) -> bool {
        self.revocations.has(session, now)
    }

    /// Whether marks of ended sessions have been lost since this one was confirmed: then it must be
    /// confirmed anew (the list is bounded).
    #[must_use]
    pub(crate) fn must_recheck(&self, session: &Session) -> bool {
        self.revocations.lost(session).is_some_and(|at| session.checked <= at)
    }

    /// Whether a logout token has been used.
    pub(crate) fn knows_logout_token(&mut self, jti: &str, now: UnixTime) -> bool {
        self.used_logout_tokens.look();
        self.used_logout_tokens.at(tombstone_of(jti.as_bytes()), now).is_some()
    }

    /// Tombstones a logout token as used, once for all workers.
    pub(crate) fn use_logout_token(&mut self, jti: &str, now: UnixTime) -> Added {
        self.used_logout_tokens.add(tombstone_of(jti.as_bytes()), now)
    }
}
