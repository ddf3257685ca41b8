//! Sessions that were ended before their time: by signing out here, or by the provider's word
//! (OpenID Connect Back-Channel Logout §2.6). All workers of an Envoy know them; another replica learns
//! at the next recheck.

use std::rc::Rc;

use crate::config::Config;
use crate::login::backchannel::Logout;
use crate::machine::personal_token::Revoked;
use crate::session::model::Session;
use crate::session::personal_token::PersonalToken;
use crate::shared::SharedStore;
use crate::shared::marks::{Added, Marks, Name, name};
use crate::time::UnixTime;

/// See the module.
pub struct Revocations(Marks);

impl Revocations {
    /// For a configuration and the store that its workers share.
    #[must_use]
    pub fn new(config: &Config, store: Rc<dyn SharedStore>) -> Self {
        // Another issuer's sessions and subjects may have the same names.
        let purpose = format!("signed out at {} {}", config.issuer, config.client_id);
        // As long as the longest of what they end.
        let tokens = config.machines.personal_tokens.as_ref().map(|tokens| tokens.max);
        let life = config.session.absolute.max(tokens.unwrap_or_default());
        Self(Marks::new(&purpose, life, &config.shared_key(), store))
    }

    /// Ends one session, by its own id. Where the mark finds no place the recheck is what ends it.
    pub fn end(&mut self, id: Name, now: UnixTime) {
        let _ = self.0.renew(id, now);
    }

    /// Ends what the provider has ended; whether the mark has found its place.
    pub fn end_by_provider(&mut self, logout: &Logout, now: UnixTime) -> bool {
        let mut marked = true;
        for what in names_of(logout) {
            marked &= self.0.renew(what, now) != Added::Busy;
        }
        marked
    }

    /// Whether a session was ended, as all workers know it.
    pub fn has(&mut self, session: &Session, now: UnixTime) -> bool {
        self.0.look();
        if self.0.is_empty() {
            return false;
        }
        // A login after the mark is another one.
        let ended = |what: Name| self.0.at(&what, now).is_some_and(|at| session.started <= at);
        self.0.at(&session.id, now).is_some() || of_provider(session).into_iter().any(ended)
    }

    /// Until when marks have been lost that may have been this session's (the list is bounded): what
    /// was confirmed up to then must be confirmed anew.
    #[must_use]
    pub fn lost(&self, session: &Session) -> Option<UnixTime> {
        if self.0.is_empty() {
            return None;
        }
        let [by_session, by_subject] = of_provider(session);
        [session.id, by_session, by_subject].iter().filter_map(|what| self.0.lost(what)).max()
    }
}

impl Revoked for Revocations {
    /// A token can't be confirmed anew: if marks have been lost since it was made, it may have been one
    /// of them.
    fn is_revoked(&mut self, token: &PersonalToken, now: UnixTime) -> bool {
        self.0.look();
        let names = names_of_person(token.sid.as_deref(), &token.subject);
        names.iter().any(|name| {
            let ended = self.0.at(name, now).is_some_and(|at| token.issued <= at);
            ended || self.0.lost(name).is_some_and(|at| token.issued <= at)
        })
    }
}

/// What is marked when the provider ends sessions: those of a `sid`; those of a `sub` that have no
/// `sid`, since its ID tokens may lack it; without a `sid` all of the `sub`.
fn names_of(logout: &Logout) -> Vec<Name> {
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
fn of_provider(session: &Session) -> [Name; 2] {
    names_of_person(session.sid.as_deref(), &session.subject)
}

fn names_of_person(sid: Option<&str>, subject: &str) -> [Name; 2] {
    let one = match sid {
        Some(sid) => named("sid", sid),
        None => named("without sid", subject),
    };
    [one, named("sub", subject)]
}

fn named(what: &str, value: &str) -> Name {
    name(format!("{what} {value}").as_bytes())
}
