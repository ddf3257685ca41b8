//! Sessions that were ended before their time: by signing out here, or by the provider's word
//! (OpenID Connect Back-Channel Logout §2.6). All workers of an Envoy know them; another replica learns
//! at the next recheck.

use std::rc::Rc;

use crate::config::Config;
use crate::credential::personal_token::Revoked;
use crate::foundation::id::{Id, SessionId, TombstoneId};
use crate::foundation::time::UnixTime;
use crate::identity::personal_token::PersonalToken;
use crate::login::backchannel::Logout;
use crate::session::model::Session;
use crate::workers::SharedStore;
use crate::workers::tombstones::{Added, Tombstones, tombstone_of};

/// See the module.
pub(crate) struct Revocations {
    /// Signed out here.
    own: Tombstones,
    /// Ended by the provider: sessions and personal tokens.
    provider: Tombstones,
}

impl Revocations {
    /// For a configuration and the store that its workers share.
    #[must_use]
    pub(crate) fn new(config: &Config, store: Rc<dyn SharedStore>) -> Self {
        // Another issuer's sessions and subjects may have the same names.
        let at = format!("{} {}", config.issuer, config.client_id);
        let marks = |purpose: &str, life| {
            Tombstones::new(
                &format!("{purpose} {at}"),
                life,
                &config.shared_key(),
                Rc::clone(&store),
            )
        };
        // As long as the longest of what they end.
        let tokens = config.machines.personal_tokens.as_ref().map(|tokens| tokens.max);
        let longest = config.session.absolute.max(tokens.unwrap_or_default());
        Self {
            own: marks("signed out at", config.session.absolute),
            provider: marks("ended by", longest),
        }
    }

    /// Ends one session, by its own id. Where the mark finds no place the recheck is what ends it.
    pub(crate) fn end(&mut self, id: SessionId, now: UnixTime) {
        let _ = self.own.renew(mark(id), now);
    }

    /// Ends what the provider has ended; whether the mark has found its place.
    pub(crate) fn end_by_provider(&mut self, logout: &Logout, now: UnixTime) -> bool {
        let mut marked = true;
        for what in names_of(logout) {
            marked &= self.provider.renew(what, now) != Added::Busy;
        }
        marked
    }

    /// Whether a session was ended, as all workers know it.
    pub(crate) fn has(&mut self, session: &Session, now: UnixTime) -> bool {
        self.own.look();
        self.provider.look();
        if self.own.at(mark(session.id), now).is_some() {
            return true;
        }
        if self.provider.is_empty() {
            return false;
        }
        // A login after the mark is another one.
        let ended =
            |what: TombstoneId| self.provider.at(what, now).is_some_and(|at| session.started <= at);
        of_provider(session).into_iter().any(ended)
    }

    /// Until when marks have been lost that may have been this session's (the list is bounded): what
    /// was confirmed up to then must be confirmed anew.
    #[must_use]
    pub(crate) fn lost(&self, session: &Session) -> Option<UnixTime> {
        let own = self.own.lost(mark(session.id));
        if self.provider.is_empty() {
            return own;
        }
        let names = of_provider(session);
        names.iter().filter_map(|what| self.provider.lost(*what)).chain(own).max()
    }
}

impl Revoked for Revocations {
    /// A token can't be confirmed anew: if marks have been lost since it was made, it may have been one
    /// of them.
    fn is_revoked(&mut self, token: &PersonalToken, now: UnixTime) -> bool {
        self.provider.look();
        let names = names_of_person(token.sid.as_deref(), &token.subject);
        names.iter().any(|name| {
            let ended = self.provider.at(*name, now).is_some_and(|at| token.issued <= at);
            ended || self.provider.lost(*name).is_some_and(|at| token.issued <= at)
        })
    }
}

/// What is marked when the provider ends sessions: those of a `sid`; those of a `sub` that have no
/// `sid`, since its ID tokens may lack it; without a `sid` all of the `sub`.
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

/// Under which of these names a session may have been ended.
fn of_provider(session: &Session) -> [TombstoneId; 2] {
    names_of_person(session.sid.as_deref(), &session.subject)
}

fn names_of_person(sid: Option<&str>, subject: &str) -> [TombstoneId; 2] {
    let one = match sid {
        Some(sid) => named("sid", sid),
        None => named("without sid", subject),
    };
    [one, named("sub", subject)]
}

fn named(what: &str, value: &str) -> TombstoneId {
    tombstone_of(format!("{what} {value}").as_bytes())
}

/// The mark of a session that was signed out here.
fn mark(id: SessionId) -> TombstoneId {
    TombstoneId::from_bytes(id.bytes())
}
