//! Sessions as all workers know them: rechecks, sign-outs, and logouts by the provider.

use super::refreshes::Due;
use super::{Recheck, Site};
use crate::foundation::id::SessionId;
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::login::backchannel::Logout;
use crate::session::model::Session;
use crate::workers::tombstones::{Added, tombstone_of};

impl Site {
    /// Checks a session that is due. The request may have to wait for the provider.
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

    /// Returns the session after its last refresh by any worker.
    ///
    /// Its role and refresh token apply, not those of an older cookie.
    #[must_use]
    pub(crate) fn newest(&self, session: &Session) -> Session {
        self.refreshes.newest(session)
    }

    /// Signs a session out. No worker accepts its old cookies or kept results again.
    pub(crate) fn sign_out(&mut self, id: SessionId, now: UnixTime) {
        self.refreshes.drop_session(id);
        self.revocations.end(id, now);
    }

    /// Ends the sessions that the provider's logout names. Returns `false` if not all workers will
    /// know.
    pub(crate) fn end_by_provider(&mut self, logout: &Logout, now: UnixTime) -> bool {
        self.revocations.end_by_provider(logout, now)
    }

    /// Returns whether a session was ended before it expired.
    pub(crate) fn is_ended(&mut self, session: &Session, now: UnixTime) -> bool {
        self.revocations.has(session, now)
    }

    /// Returns whether marks of ended sessions have been lost since this session was confirmed.
    ///
    /// The list is bounded. Such a session must be confirmed again.
    #[must_use]
    pub(crate) fn must_recheck(&self, session: &Session) -> bool {
        self.revocations.lost(session).is_some_and(|at| session.checked <= at)
    }

    /// Returns whether a logout token has been used.
    pub(crate) fn knows_logout_token(&mut self, jti: &str, now: UnixTime) -> bool {
        self.used_logout_tokens.look();
        self.used_logout_tokens.at(tombstone_of(jti.as_bytes()), now).is_some()
    }

    /// Marks a logout token as used, once across all workers.
    pub(crate) fn use_logout_token(&mut self, jti: &str, now: UnixTime) -> Added {
        self.used_logout_tokens.add(tombstone_of(jti.as_bytes()), now)
    }
}
