//! Sessions that ended before they expired, by a sign-out or by the provider (OpenID Connect
//! Back-Channel Logout §2.6).
//!
//! All workers of one Envoy know them. Another replica learns of them at its next recheck.

use std::rc::Rc;

use crate::config::Config;
use crate::credential::personal_token::Revoked;
use crate::foundation::id::{Id, SessionId, TombstoneId};
use crate::foundation::time::UnixTime;
use crate::identity::personal_token::PersonalToken;
use crate::login::backchannel::Logout;
use crate::session::model::Session;
use crate::workers::SharedStore;
use crate::workers::tombstones::{Added, Changes, Tombstones, tombstone_of};

/// The sessions and personal tokens that ended before they expired.
pub(crate) struct Revocations {
    /// Sessions that were signed out here.
    signed_out: Tombstones,
    /// Sessions and personal tokens that the provider ended.
    provider: Tombstones,
    /// New ones of both, so that a request reads one record.
    changes: Changes,
}

impl Revocations {
    /// Creates the lists of a configuration, in the store that its workers share.
    #[must_use]
    pub(crate) fn new(config: &Config, store: Rc<dyn SharedStore>) -> Self {
        // Another issuer's sessions and subjects may have the same names.
        let at = format!("{} {}", config.issuer, config.client_id);
        let tombstones = |purpose: &str, life| {
            Tombstones::new(
                &format!("{purpose} {at}"),
                life,
                &config.shared_key(),
                Rc::clone(&store),
            )
        };
        // A mark must outlive everything that it ends.
        let tokens = config.machines.personal_tokens.as_ref().map(|tokens| tokens.max);
        let longest = config.session.absolute.max(tokens.unwrap_or_default());
        Self {
            signed_out: tombstones("signed out at", config.session.absolute),
            provider: tombstones("ended by", longest),
            changes: Changes::new(&format!("ended at {at}"), &config.shared_key(), store),
        }
    }

    /// Ends one session by its ID. If the mark can't be written, the next recheck ends the session.
    pub(crate) fn end(&mut self, id: SessionId, now: UnixTime) {
        let _ = self.signed_out.renew(tombstone(id), now);
        self.changes.tell();
    }

    /// Ends what the provider's logout names. Returns `false` if a mark could not be written.
    pub(crate) fn end_by_provider(&mut self, logout: &Logout, now: UnixTime) -> bool {
        let mut marked = true;
        for name in names_of(logout) {
            marked &= self.provider.renew(name, now) != Added::Busy;
        }
        self.changes.tell();
        marked
    }

    /// Takes over what other workers have ended since the last call.
    fn look(&mut self) {
        if self.changes.look() {
            self.signed_out.look();
            self.provider.look();
        }
    }

    /// Returns whether a session was ended, as far as all workers know.
    pub(crate) fn has(&mut self, session: &Session, now: UnixTime) -> bool {
        self.look();
        if self.signed_out.at(tombstone(session.id), now).is_some() {
            return true;
        }
        if self.provider.is_empty() {
            return false;
        }
        // A session that began after the mark is another one.
        let ended =
            |name: TombstoneId| self.provider.at(name, now).is_some_and(|at| session.started <= at);
        names_of_session(session).into_iter().any(ended)
    }

    /// Returns the latest time of lost marks that may have been this session's.
    ///
    /// The list is bounded. A session that was confirmed before that time must be confirmed again.
    #[must_use]
    pub(crate) fn lost(&self, session: &Session) -> Option<UnixTime> {
        let signed_out = self.signed_out.lost(tombstone(session.id));
        if self.provider.is_empty() {
            return signed_out;
        }
        let names = names_of_session(session);
        names.iter().filter_map(|name| self.provider.lost(*name)).chain(signed_out).max()
    }
}

impl Revoked for Revocations {
    /// Returns whether a token was revoked, or may have been.
    ///
    /// A token can't be confirmed again. If marks have been lost since it was issued, one may have
    /// been the token's.
    fn is_revoked(&mut self, token: &PersonalToken, now: UnixTime) -> bool {
        self.look();
        let names = names_of_person(token.sid.as_deref(), &token.subject);
        names.iter().any(|name| {
            let ended = self.provider.at(*name, now).is_some_and(|at| token.issued <= at);
            ended || self.provider.lost(*name).is_some_and(|at| token.issued <= at)
        })
    }
}

/// Returns the marks of a logout.
///
/// With a `sid`, these are its sessions, and the sessions of the `sub` that have no `sid`, since ID
/// tokens may lack it. Without a `sid`, these are all sessions of the `sub`.
fn names_of(logout: &Logout) -> Vec<TombstoneId> {
    let subject = logout.subject.as_deref();
    match &logout.sid {
        Some(sid) => {
            let without = subject.map(|subject| named("without sid", subject));
            core::iter::once(named("sid", sid)).chain(without).collect()
        }
        None => subject.map(|subject| named("sub", subject)).into_iter().collect(),
    }
}

/// Returns the marks under which a session may have been ended.
fn names_of_session(session: &Session) -> [TombstoneId; 2] {
    names_of_person(session.sid.as_deref(), &session.subject)
}

fn names_of_person(sid: Option<&str>, subject: &str) -> [TombstoneId; 2] {
    let one = match sid {
        Some(sid) => named("sid", sid),
        None => named("without sid", subject),
    };
    [one, named("sub", subject)]
}

fn named(kind: &str, value: &str) -> TombstoneId {
    tombstone_of(format!("{kind} {value}").as_bytes())
}

/// Returns the mark of a session that was signed out here.
fn tombstone(id: SessionId) -> TombstoneId {
    TombstoneId::from_bytes(id.bytes())
}
