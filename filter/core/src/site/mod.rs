//! What a VM shares between its requests: settings, provider, keys, refreshed sessions, and the
//! work that is due for them. The shell's root context drives it.

mod recent;
mod refreshes;

use core::time::Duration;
use std::rc::Rc;

use crate::config::Config;
use crate::decision::{Callout, CalloutReply};
use crate::idp::call::call;
use crate::idp::discovery::{self, Provider};
use crate::idp::token;
use crate::jose::signature::HostVerifier;
use crate::jose::verify::Verifier;
use crate::keys::{KeyStore, OnUnknown};
use crate::limits::{LOGINS_IN_FLIGHT, WAITING_REQUESTS};
use crate::login::refresh::{self, Refreshed};
use crate::login::ticket::Tickets;
use crate::machine::judge::Bench;
use crate::session::cookie::SessionCookie;
use crate::session::model::Session;
use crate::stream::StreamId;
use crate::time::UnixTime;
use crate::ws::pending::Pending;

use recent::Recent;
pub use refreshes::{Recheck, Refreshes};

/// A call that the site makes for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteCall {
    /// The provider's metadata.
    Discovery,
    /// Its keys.
    Keys,
    /// A session's refresh.
    Refresh([u8; 16]),
}

/// Metadata is read again after this long.
const DISCOVERY: Duration = Duration::from_secs(3600);
/// Pause after a failed fetch of it.
const RETRY: Duration = Duration::from_secs(1);
/// The longest pause between two looks at the site.
const IDLE: Duration = Duration::from_secs(1);
/// States of callbacks that are remembered as used.
const USED_STATES: usize = 1024;
/// Signed-out sessions that are remembered; beyond, the recheck is what ends them.
const SIGNED_OUT: usize = 4096;

/// See the module.
pub struct Site {
    config: Rc<Config>,
    host: Rc<dyn HostVerifier>,
    provider: Option<Provider>,
    discovery_due: UnixTime,
    discovering: bool,
    /// The issuer's keys.
    pub keys: KeyStore,
    waiting_for_keys: Vec<StreamId>,
    /// Refreshes of sessions.
    pub refreshes: Refreshes,
    /// Sockets that are not judged yet.
    pub pending: Pending,
    /// The session cookie's sealing.
    pub session_cookie: SessionCookie,
    /// The login cookies' sealing.
    pub tickets: Tickets,
    used_states: Recent<[u8; 32]>,
    signed_out: Recent<[u8; 16]>,
    logins: usize,
    notices: Vec<String>,
}

impl Site {
    /// For a configuration and what its host verifies; everything is due at once.
    #[must_use]
    pub fn new(config: Config, host: Rc<dyn HostVerifier>) -> Self {
        let (session_cookie, tickets) = (SessionCookie::new(&config), Tickets::new(&config));
        Self {
            config: Rc::new(config),
            host,
            provider: None,
            discovery_due: UnixTime::default(),
            discovering: false,
            keys: KeyStore::default(),
            waiting_for_keys: Vec::new(),
            refreshes: Refreshes::default(),
            pending: Pending::default(),
            session_cookie,
            tickets,
            used_states: Recent::new(USED_STATES),
            signed_out: Recent::new(SIGNED_OUT),
            logins: 0,
            notices: Vec::new(),
        }
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> Rc<Config> {
        Rc::clone(&self.config)
    }

    /// The provider's endpoints, once they are known.
    #[must_use]
    pub const fn provider(&self) -> Option<&Provider> {
        self.provider.as_ref()
    }

    /// Whether people and bearer tokens can be served.
    #[must_use]
    pub fn is_ready(&self, now: UnixTime) -> bool {
        self.provider.is_some() && self.keys.current(now).is_some()
    }

    /// What the issuer's signatures are checked with, once there are keys.
    #[must_use]
    pub fn verifier<'a>(&'a self, config: &'a Config, now: UnixTime) -> Option<Verifier<'a>> {
        let keys = self.keys.current(now)?;
        Some(Verifier { keys, allowed: &config.idp.algorithms, host: &*self.host })
    }

    /// What a judge of credentials needs.
    #[must_use]
    pub fn bench<'a>(&'a self, config: &'a Config, now: UnixTime) -> Bench<'a> {
        Bench { config, verifier: self.verifier(config, now), now }
    }

    /// The next call that is due. To be asked until it has none.
    pub fn poll(&mut self, now: UnixTime) -> Option<(SiteCall, Callout)> {
        let config = self.config();
        let clock_went_back = self.discovery_due.since(now) > DISCOVERY;
        if !self.discovering && (now >= self.discovery_due || clock_went_back) {
            self.discovering = true;
            return Some((SiteCall::Discovery, discovery::request(&config)));
        }
        let provider = self.provider.as_ref()?;
        if self.keys.is_due(now) {
            self.keys.begin();
            let path = provider.jwks_path.clone();
            return Some((SiteCall::Keys, call(&config, "GET", path, Vec::new())));
        }
        let (id, token) = self.refreshes.begin_next()?;
        Some((SiteCall::Refresh(id), token::refresh(&config, provider, &token)))
    }

    /// How long the shell may rest before it polls again.
    #[must_use]
    pub fn next_poll(&self, now: UnixTime) -> Duration {
        let keys_wanted = self.provider.is_some() && self.keys.is_due(now);
        let now_due = keys_wanted
            || self.refreshes.has_queued()
            || (!self.discovering && now >= self.discovery_due);
        if now_due {
            return Duration::from_millis(1);
        }
        let socket = if self.pending.is_empty() { IDLE } else { Duration::from_millis(100) };
        let discovery = self.discovery_due.since(now).max(Duration::from_millis(1));
        let discovery = if self.discovering { IDLE } else { discovery };
        socket.min(discovery).min(self.keys.due().since(now).max(Duration::from_millis(100)))
    }

    /// A call's reply; gives the requests to wake.
    pub fn on_callout(
        &mut self,
        which: SiteCall,
        reply: CalloutReply<'_>,
        now: UnixTime,
    ) -> Vec<StreamId> {
        match which {
            SiteCall::Discovery => {
                self.on_discovery(reply, now);
                Vec::new()
            }
            SiteCall::Keys => self.on_keys(reply, now),
            SiteCall::Refresh(id) => {
                let Some(session) = self.refreshes.in_flight(&id) else { return Vec::new() };
                let config = self.config();
                let result = refresh::judge(
                    &session,
                    token::read(reply),
                    self.verifier(&config, now),
                    &config,
                    now,
                );
                match &result {
                    Refreshed::Confirmed(_) => {}
                    Refreshed::Ended(seen) => self.notice(format!("a session has ended: {seen}")),
                    Refreshed::Unavailable { seen, unknown_key, .. } => {
                        if *unknown_key {
                            let _ = self.keys.on_unknown(now);
                        }
                        self.notice(format!("a session could not be rechecked: {seen}"));
                    }
                }
                self.refreshes.finish(id, result, now)
            }
        }
    }

    fn on_discovery(&mut self, reply: CalloutReply<'_>, now: UnixTime) {
        self.discovering = false;
        let known = match body(reply) {
            Ok(body) => Provider::parse(&self.config, body)
                .map_err(|bad| format!("seen \"{}\", wanted \"{}\"", bad.seen, bad.wanted)),
            Err(seen) => Err(seen),
        };
        match known {
            Ok(provider) => {
                if self.provider.is_none() {
                    self.notice(format!("found the identity provider {}", self.config.issuer));
                }
                self.provider = Some(provider);
                self.discovery_due = now.plus(DISCOVERY);
            }
            Err(why) => {
                self.discovery_due = now.plus(RETRY);
                self.notice(format!("the identity provider's metadata can't be used: {why}"));
            }
        }
    }

    fn on_keys(&mut self, reply: CalloutReply<'_>, now: UnixTime) -> Vec<StreamId> {
        let first = self.keys.current(now).is_none();
        let answer = body(reply);
        match self.keys.finish(answer.as_ref().ok().copied(), now) {
            Ok(skipped) => {
                if first {
                    let skipped = if skipped.is_empty() {
                        String::new()
                    } else {
                        format!(" (skipped: {})", skipped.join(", "))
                    };
                    self.notice(format!("loaded the keys of {}{skipped}", self.config.issuer));
                }
            }
            Err(why) => {
                let seen = answer.err().unwrap_or_else(|| why.0.to_owned());
                self.notice(format!("the keys could not be fetched: {seen}"));
            }
        }
        core::mem::take(&mut self.waiting_for_keys)
    }

    /// A request wants to be woken after the next fetch of keys that an unknown `kid` causes.
    pub fn await_keys(&mut self, stream: StreamId, now: UnixTime) -> Awaited {
        if self.waiting_for_keys.len() >= WAITING_REQUESTS {
            return Awaited::Busy;
        }
        match self.keys.on_unknown(now) {
            OnUnknown::TooSoon => Awaited::TooSoon,
            OnUnknown::Wait => {
                self.waiting_for_keys.push(stream);
                Awaited::Yes
            }
        }
    }

    /// A session is due for a check; the request may have to wait for it.
    pub fn recheck(&mut self, session: &Session, stream: StreamId, now: UnixTime) -> Recheck {
        let config = self.config();
        if self.provider.is_none() {
            return Recheck::Unavailable;
        }
        self.refreshes.recheck(session, stream, &config.session, now)
    }

    /// A session has been signed out: neither its old cookies nor kept results count here again.
    pub fn sign_out(&mut self, id: [u8; 16]) {
        self.signed_out.add(id);
        self.refreshes.drop_session(&id);
    }

    /// Whether a session has been signed out.
    #[must_use]
    pub fn is_signed_out(&self, id: &[u8; 16]) -> bool {
        self.signed_out.has(id)
    }

    /// Marks a callback's state as used; false when it was already (the code must not be redeemed
    /// twice: Keycloak would end the session).
    pub fn use_state(&mut self, state: &str) -> bool {
        self.used_states.add(crate::crypto::sha256(state.as_bytes()))
    }

    /// A place for a code exchange, if there is one left.
    pub const fn begin_login(&mut self) -> bool {
        if self.logins >= LOGINS_IN_FLIGHT {
            return false;
        }
        self.logins = self.logins.saturating_add(1);
        true
    }

    /// Gives the place back.
    pub const fn end_login(&mut self) {
        self.logins = self.logins.saturating_sub(1);
    }

    /// A request has ended: nothing is kept for it.
    pub fn forget(&mut self, stream: StreamId) {
        self.pending.release(stream);
        self.waiting_for_keys.retain(|waiting| *waiting != stream);
        self.refreshes.forget(stream);
    }

    fn notice(&mut self, line: String) {
        if self.notices.len() < 64 {
            self.notices.push(line);
        }
    }

    /// Lines for the operator's log since the last call.
    pub fn take_notices(&mut self) -> Vec<String> {
        core::mem::take(&mut self.notices)
    }
}

/// Whether a request waits for keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// It will be woken.
    Yes,
    /// The last fetch is too recent for another one.
    TooSoon,
    /// Too many wait already.
    Busy,
}

/// The body of a 200 answer.
fn body(reply: CalloutReply<'_>) -> Result<&[u8], String> {
    match reply {
        CalloutReply::Answer { status: 200, encoded: false, body } => Ok(body),
        CalloutReply::Answer { encoded: true, .. } => Err("a compressed answer".to_owned()),
        CalloutReply::Answer { status, .. } => Err(format!("status {status}")),
        CalloutReply::NotSent => {
            Err("the call could not be sent (is the cluster there, with a host?)".to_owned())
        }
    }
}
