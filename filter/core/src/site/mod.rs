//! The state that the requests of a VM share: settings, provider, keys, refreshed sessions,
//! sockets.
//!
//! The shell's root context drives the work that is due for them.

mod attempt_limits;
mod credentials;
pub(crate) mod delayed_replies;
mod grants;
mod log_lines;
mod login_state;
pub(crate) mod open_sockets;
mod passwords;
mod refresh_result;
mod refreshes;
mod revocations;
mod sessions;
mod single_flight;
pub(crate) mod sockets;

use core::time::Duration;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::answer::reply::Reply;
use crate::config::{Config, LOGIN};
use crate::credential::grant::RemoteCredential;
use crate::credential::personal_token::PersonalTokens;
use crate::credential::verified_tokens::Verified;
use crate::foundation::crypto::Entropy;
use crate::foundation::id::{CredentialId, IssuerId, SessionId};
use crate::foundation::limits::{CODE, IDP_ANSWER, LOGIN_ATTEMPT};
use crate::foundation::secret::Secret;
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::login::backchannel;
use crate::login::failures::Failures;
use crate::login::ticket::Tickets;
use crate::policy::pending_bodies::BodyPools;
use crate::policy::pending_handshakes::PendingHandshakes;
use crate::provider::callout::{Callout, CalloutReply};
use crate::provider::keys::Keys;
use crate::provider::metadata::{BadMetadata, Provider};
use crate::provider::token_endpoint::Client;
use crate::provider::{call, introspection, token_endpoint, userinfo};
use crate::session::cookie::SessionCookie;
use crate::session::model::Session;
use crate::site::open_sockets::OpenSockets;
use crate::telemetry::line_budget::LineBudget;
use crate::wire::jose::signature::HostVerifier;
use crate::wire::jose::verify::Verifier;
use crate::workers::SharedStore;
use crate::workers::answers::Answers;
use crate::workers::census::Census;
use crate::workers::document::{Document, FetchStep};
use crate::workers::tombstones::Tombstones;

use attempt_limits::AttemptLimits;
use delayed_replies::DelayedReplies;
use grants::Grants;
use passwords::Passwords;
pub(crate) use refresh_result::Recheck;
use refreshes::Refreshes;
use revocations::Revocations;
use single_flight::FOLLOW;

/// The identity of a call that the site makes for several requests. The shell returns it with the
/// reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteCall(pub(crate) Call);

/// A task for the shell's root context.
#[derive(Debug)]
pub enum Task {
    /// Send this call, and pass its reply to [`Site::on_callout`].
    Call(SiteCall, Callout),
    /// Write this line to the operator's log.
    Notice(String),
    /// Wake this request. Its wait has ended, with or without success.
    Wake(StreamId),
    /// Answer this request with this reply.
    Reply(StreamId, Reply),
}

/// The purpose of a [`SiteCall`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// The fetch of the provider's metadata.
    Metadata,
    /// The fetch of an issuer's keys.
    Keys(IssuerId),
    /// The refresh of a session.
    Refresh(SessionId),
    /// A client credentials grant, or an introspection.
    Grant(CredentialId),
    /// The userinfo request for a refreshed session whose role is still open.
    Userinfo(SessionId),
}

/// The time after which metadata is fetched again.
const METADATA: Duration = Duration::from_secs(3600);
/// The longest pause between two polls of the site.
const IDLE: Duration = Duration::from_secs(1);
/// The longest pause while sockets wait for their first frame.
const SOCKET_POLL: Duration = Duration::from_millis(100);
/// The shortest pause between two polls of the site.
const SOON: Duration = Duration::from_millis(1);

/// The state that the requests of a VM share, for one configuration.
///
/// The site sends nothing itself. [`Self::next_task`] returns what the shell must do.
pub struct Site {
    config: Rc<Config>,
    host: Rc<dyn HostVerifier>,
    entropy: Rc<RefCell<dyn Entropy>>,
    metadata: Document,
    provider: Option<Provider>,
    pub(crate) keys: Keys,
    /// Access tokens that have been verified already.
    verified: RefCell<Verified>,
    refreshes: Refreshes,
    grants: Grants,
    passwords: Passwords,
    /// Sockets whose first frame is not judged yet.
    pub(crate) pending: PendingHandshakes,
    /// Request bodies that are read before the request is decided.
    pub(crate) bodies: BodyPools,
    /// Open sockets whose owner is known.
    pub(crate) sockets: OpenSockets,
    /// Seals and opens the session cookie.
    pub(crate) session_cookie: SessionCookie,
    /// Seals and opens the login cookies.
    pub(crate) tickets: Tickets,
    /// Seals and opens the cookie that records failed logins.
    pub(crate) failures: Failures,
    used_states: Tombstones,
    used_logout_tokens: Tombstones,
    revocations: Revocations,
    /// Seals and opens personal tokens, their codes and form tokens.
    pub(crate) personal_tokens: PersonalTokens,
    /// The codes that programs have exchanged for a personal token.
    used_codes: Tombstones,
    /// Replies to requests whose body is still on its way.
    pub(crate) delayed: DelayedReplies,
    waiting_for_provider: Vec<StreamId>,
    /// How many workers share the limits.
    pub(crate) census: Census,
    lines: LineBudget,
    /// When a reply to one of this worker's calls last showed that the provider is available.
    contact: UnixTime,
    logins: usize,
    pushes: usize,
    pushes_by_network: AttemptLimits,
    /// Refreshed sessions whose role userinfo must still tell, and the access tokens to ask with.
    roles_wanted: Vec<(SessionId, Box<Session>, Secret)>,
    roles_asked: HashMap<SessionId, Box<Session>>,
    woken: Vec<StreamId>,
    notices: Vec<String>,
}

/// The host services that the site uses.
#[derive(Clone)]
pub struct Services {
    /// Verifies signatures.
    pub signatures: Rc<dyn HostVerifier>,
    /// The store that all workers of a process share.
    pub store: Rc<dyn SharedStore>,
    /// The randomness with which records in the store are sealed.
    pub entropy: Rc<RefCell<dyn Entropy>>,
}

impl Site {
    /// Creates the site of a configuration. All fetches are due immediately.
    #[must_use]
    pub fn new(config: Config, services: Services) -> Self {
        let (session_cookie, tickets) = (SessionCookie::new(&config), Tickets::new(&config));
        let failures = Failures::new(&config);
        let source = format!("metadata of {} from {}", config.issuer, config.idp.source());
        let master = config.shared_key();
        let judged_by = format!("shared grants {}", config.judging());
        let tombstones =
            |purpose, life| Tombstones::new(purpose, life, &master, Rc::clone(&services.store));
        let revocations = Revocations::new(&config, Rc::clone(&services.store));
        let personal_tokens = PersonalTokens::new(&config);
        let store = Rc::clone(&services.store);
        let census = Census::new(&master, store, &mut *services.entropy.borrow_mut());
        let metadata = Document::new(&source, METADATA, &master, Rc::clone(&services.store));
        Self {
            keys: Keys::new(&config, &services.store),
            config: Rc::new(config),
            host: services.signatures,
            entropy: Rc::clone(&services.entropy),
            metadata,
            provider: None,
            verified: RefCell::default(),
            refreshes: Refreshes::new(Answers::new(
                "shared refreshes",
                &master,
                Rc::clone(&services.store),
                Rc::clone(&services.entropy),
            )),
            grants: Grants::new(
                &master,
                Answers::new(
                    &judged_by,
                    &master,
                    Rc::clone(&services.store),
                    Rc::clone(&services.entropy),
                ),
            ),
            passwords: Passwords::new(&master),
            pending: PendingHandshakes::default(),
            bodies: BodyPools::default(),
            sockets: OpenSockets::default(),
            session_cookie,
            tickets,
            failures,
            used_states: tombstones("used states", LOGIN_ATTEMPT),
            used_logout_tokens: tombstones("used logout tokens", backchannel::JTI_LIFETIME),
            revocations,
            personal_tokens,
            used_codes: tombstones("used codes of terminals", CODE),
            delayed: DelayedReplies::default(),
            waiting_for_provider: Vec::new(),
            census,
            lines: LineBudget::default(),
            contact: UnixTime::default(),
            logins: 0,
            pushes: 0,
            pushes_by_network: AttemptLimits::default(),
            roles_wanted: Vec::new(),
            roles_asked: HashMap::new(),
            woken: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Returns the settings.
    #[must_use]
    pub(crate) fn config(&self) -> Rc<Config> {
        Rc::clone(&self.config)
    }

    /// Returns the provider's endpoints, once they are known.
    #[must_use]
    pub(crate) const fn provider(&self) -> Option<&Provider> {
        self.provider.as_ref()
    }

    /// Returns whether logins and the provider's tokens can be verified.
    #[must_use]
    pub(crate) fn is_ready(&self, now: UnixTime) -> bool {
        self.provider.is_some() && self.keys.current(LOGIN, now).is_some()
    }

    /// Returns the verifier of the login issuer's signatures, once its keys are known.
    #[must_use]
    pub(crate) fn verifier<'a>(
        &'a self,
        config: &'a Config,
        now: UnixTime,
    ) -> Option<Verifier<'a>> {
        let keys = self.keys.current(LOGIN, now)?;
        Some(Verifier { keys, allowed: &config.idp.algorithms, host: &*self.host })
    }

    /// Returns the next task, calls first. The shell asks until there is no task.
    pub fn next_task(&mut self, now: UnixTime) -> Option<Task> {
        if let Some((call, callout)) = self.poll(now) {
            return Some(Task::Call(call, callout));
        }
        if self.woken.is_empty() {
            self.wake_due(now);
        }
        self.notices.extend(self.keys.take_notices());
        if !self.notices.is_empty() {
            return Some(Task::Notice(self.notices.remove(0)));
        }
        if !self.woken.is_empty() {
            return Some(Task::Wake(self.woken.remove(0)));
        }
        self.delayed.next(now).map(|(stream, reply)| Task::Reply(stream, reply))
    }

    /// Returns the next call that is due.
    pub(crate) fn poll(&mut self, now: UnixTime) -> Option<(SiteCall, Callout)> {
        let config = self.config();
        self.divide_limits(now);
        loop {
            match self.metadata.poll(now) {
                FetchStep::Rest => break,
                FetchStep::Fetch => {
                    return Some((SiteCall(Call::Metadata), call::get(&config.idp.metadata)));
                }
                FetchStep::Failed => self.woken.append(&mut self.waiting_for_provider),
                FetchStep::Take(body) => self.take_over_metadata(&body, now),
            }
        }
        let fetch = self.keys.poll(self.provider.is_some(), now);
        self.woken.extend(self.keys.take_woken());
        if let Some(issuer) = fetch {
            return Some((SiteCall(Call::Keys(issuer)), self.fetch_keys(issuer, &config)?));
        }
        self.woken.extend(self.refreshes.follow(now));
        self.woken.extend(self.grants.follow(now));
        let provider = self.provider.as_ref()?;
        if let Some(endpoint) = &provider.userinfo
            && let Some((id, session, access)) = self.roles_wanted.pop()
        {
            self.roles_asked.insert(id, session);
            return Some((SiteCall(Call::Userinfo(id)), userinfo::request(endpoint, &access)));
        }
        if let Some((id, token)) = self.refreshes.next(now) {
            let client = Client::new(&config, now, &mut *self.entropy.borrow_mut());
            let callout = token_endpoint::refresh(&client, provider, token);
            return Some((SiteCall(Call::Refresh(id)), callout));
        }
        let (id, credential) = self.grants.next(now)?;
        let callout = match credential {
            RemoteCredential::Client(credentials) => {
                token_endpoint::client_credentials(&config, provider, credentials)
            }
            // Without the endpoint, there is no provider.
            RemoteCredential::Token(token) => {
                let client = Client::new(&config, now, &mut *self.entropy.borrow_mut());
                introspection::request(&client, provider.introspection.as_ref()?, token)
            }
        };
        Some((SiteCall(Call::Grant(id)), callout))
    }

    fn take_over_metadata(&mut self, body: &[u8], now: UnixTime) {
        match Provider::parse(&self.config, body) {
            Ok(provider) => self.provider = Some(provider),
            // Another configuration could use this document. This one fetches its own.
            Err(bad) => {
                self.metadata.reject(now);
                self.unusable_metadata(&seen_and_wanted(&bad));
            }
        }
        self.woken.append(&mut self.waiting_for_provider);
    }

    /// Takes over metadata and keys that another worker has and this one lacks.
    ///
    /// Otherwise a worker that becomes ready a moment after the first would refuse requests
    /// meanwhile.
    pub(crate) fn catch_up(&mut self, now: UnixTime) {
        if self.provider.is_none()
            && let Some(body) = self.metadata.take(now)
        {
            self.take_over_metadata(&body, now);
        }
        self.keys.catch_up(now);
    }

    fn fetch_keys(&self, issuer: IssuerId, config: &Config) -> Option<Callout> {
        match config.issuer(issuer)?.keys.as_ref() {
            Some(keys) => Some(call::get(keys)),
            None => self.provider.as_ref().map(|provider| call::get(&provider.jwks)),
        }
    }

    /// Returns how long the shell may rest before it polls again.
    #[must_use]
    pub fn next_poll(&self, now: UnixTime) -> Duration {
        let queued = self.refreshes.flights.can_send()
            || self.grants.flights.can_send()
            || !self.roles_wanted.is_empty();
        if (queued && self.provider.is_some()) || self.pending.can_admit() {
            return SOON;
        }
        let following = self.refreshes.flights.is_following() || self.grants.flights.is_following();
        let follow = if following { FOLLOW } else { IDLE };
        let follow =
            if self.delayed.is_empty() { follow } else { follow.min(delayed_replies::WAIT) };
        let socket = if self.pending.is_empty() { follow } else { follow.min(SOCKET_POLL) };
        let documents = self.metadata.rest(now).min(self.keys.rest(self.provider.is_some(), now));
        socket.min(documents).max(SOON)
    }

    /// Handles the reply to a call of the site.
    pub fn on_callout(&mut self, SiteCall(call): SiteCall, reply: CalloutReply<'_>, now: UnixTime) {
        self.contacted(reply, now);
        match call {
            Call::Metadata => self.on_discovery(reply, now),
            Call::Userinfo(id) => self.on_userinfo(id, reply, now),
            Call::Keys(issuer) => {
                self.keys.finish(issuer, reply.ok_body(IDP_ANSWER), now);
                self.woken.extend(self.keys.take_woken());
            }
            Call::Grant(id) => self.on_grant(id, reply, now),
            Call::Refresh(id) => self.on_refresh(id, reply, now),
        }
    }

    fn on_discovery(&mut self, reply: CalloutReply<'_>, now: UnixTime) {
        self.woken.append(&mut self.waiting_for_provider);
        let known = reply.ok_body(IDP_ANSWER).and_then(|body| {
            let provider =
                Provider::parse(&self.config, body).map_err(|bad| seen_and_wanted(&bad))?;
            Ok((provider, body))
        });
        match known {
            Ok((provider, body)) => {
                if self.provider.is_none() {
                    self.notice(found(&self.config));
                }
                self.provider = Some(provider);
                self.metadata.finish(Some(body), now);
            }
            Err(why) => {
                self.metadata.finish(None, now);
                self.unusable_metadata(&why);
            }
        }
    }

    fn unusable_metadata(&mut self, why: &str) {
        self.notice(format!("the identity provider's metadata can't be used: {why}"));
    }

    /// Takes the requests to wake since the last call, as [`Task::Wake`] would name them.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn take_woken(&mut self, now: UnixTime) -> Vec<StreamId> {
        self.wake_due(now);
        core::mem::take(&mut self.woken)
    }

    /// Adds the requests whose turn has come, or whose time has ended, to those to wake.
    fn wake_due(&mut self, now: UnixTime) {
        self.woken.append(&mut self.pending.admit(now));
        self.woken.append(&mut self.bodies.expire(now));
    }

    /// Forgets a request that has ended.
    pub(crate) fn forget(&mut self, stream: StreamId) {
        self.pending.release(stream);
        self.bodies.end(stream);
        self.sockets.release(stream);
        self.delayed.forget(stream);
        self.keys.forget(stream);
        self.waiting_for_provider.retain(|waiting| *waiting != stream);
        self.woken.retain(|woken| *woken != stream);
        self.refreshes.flights.forget(stream);
        self.grants.flights.forget(stream);
    }
}

/// Describes the provider for the operator's log.
fn found(config: &Config) -> String {
    let profile = config.issuer(LOGIN).map_or("", |issuer| issuer.profile.name());
    let key =
        config.secrets.client_key.as_ref().map(|key| format!(", client key {}", key.public()));
    let (issuer, key) = (&config.issuer, key.unwrap_or_default());
    format!("found the identity provider {issuer}, access tokens by profile {profile}{key}")
}

fn seen_and_wanted(bad: &BadMetadata) -> String {
    format!("seen \"{}\", wanted \"{}\"", bad.seen, bad.wanted)
}
