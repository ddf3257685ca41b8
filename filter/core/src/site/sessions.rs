//! Sessions as all workers know them: rechecks, sign-outs, and logouts by the provider.

use super::refreshes::Due;
use super::{Recheck, Site};
use crate::config::LOGIN;
use crate::foundation::id::SessionId;
use crate::foundation::log_text::shown;
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::login::backchannel::Logout;
use crate::login::refresh::{self, RefreshReply, Refreshed};
use crate::login::role;
use crate::provider::callout::CalloutReply;
use crate::provider::{token_endpoint, userinfo};
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

    /// Handles the provider's answer to the refresh of a session.
    pub(super) fn on_refresh(&mut self, id: SessionId, reply: CalloutReply<'_>, now: UnixTime) {
        let Some(session) = self.refreshes.session(id).cloned() else { return };
        let config = self.config();
        let verifier = self.verifier(&config, now);
        let outcome =
            refresh::read_reply(&session, token_endpoint::read(reply), verifier, &config, now);
        let result = match outcome {
            RefreshReply::Done(result) => result,
            RefreshReply::RoleOpen(session, access) => {
                self.roles_wanted.push((id, session, access));
                return;
            }
        };
        match &result {
            Refreshed::Confirmed(_) => {}
            Refreshed::Ended(seen) => {
                let subject = shown(&session.subject);
                self.notice(format!("a session of user:{subject} has ended: {seen}"));
            }
            Refreshed::Unavailable { seen, unknown_key, .. } => {
                if *unknown_key {
                    self.keys.want_fresher(LOGIN, now);
                }
                self.not_rechecked(&session, seen);
            }
        }
        self.woken.extend(self.refreshes.finish(id, result, now));
    }

    /// Completes a refresh with the role from userinfo.
    ///
    /// Without a usable answer there is no verdict and grace applies. The new refresh token is
    /// kept.
    pub(super) fn on_userinfo(&mut self, id: SessionId, reply: CalloutReply<'_>, now: UnixTime) {
        let Some(mut session) = self.roles_asked.remove(&id) else { return };
        let result = match userinfo::read(reply, &session.subject) {
            Ok(claims) => {
                session.role = role::by_userinfo(claims.as_ref(), &self.config);
                Refreshed::Confirmed(session)
            }
            Err(seen) => {
                self.not_rechecked(&session, &seen);
                let rotated = session.refresh_token.clone();
                Refreshed::Unavailable { seen, rotated, unknown_key: false, silent: false }
            }
        };
        self.woken.extend(self.refreshes.finish(id, result, now));
    }
}
