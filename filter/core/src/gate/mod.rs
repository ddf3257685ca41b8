//! One request: the ladder of the decision, top to bottom.

mod auth_request;
mod authenticate;
mod backchannel_logout;
mod client_data;
mod endpoints;
mod hosts;
mod judged_body;
mod login;
mod personal_tokens;
mod protocol;
mod response;
mod sign_out;
mod socket;
mod unknown_key;

use std::rc::Rc;

use crate::asker::Asker;
use crate::audit::Event;
use crate::config::Config;
use crate::crypto::Entropy;
use crate::decision::{CalloutReply, Decision, RequestEdit};
use crate::http::client::ClientKind;
use crate::http::cookies::Cookies;
use crate::http::request::RequestView;
use crate::http::target::Target;
use crate::machine::certificate::Peer;
use crate::policy::authorize::{self, Permit};
use crate::policy::principal::Method;
use crate::prefect::operations::Operation;
use crate::prefect::rewrite::Rewrite;
use crate::prefect::sockets::KnownSocket;
use crate::prefect::{answer, upstream};
use crate::refusal::{Reason, Refusal};
use crate::reply::{Reply, request_id};
use crate::session::model::Session;
use crate::site::Site;
use crate::stream::StreamId;
use crate::time::UnixTime;
use crate::ws::pending::Place;

use authenticate::Proof;
use endpoints::Endpoint;
use judged_body::Judging;
use socket::Socket;

/// What every event brings along.
pub struct Cx<'a> {
    /// The VM's shared part.
    pub site: &'a mut Site,
    /// Now.
    pub now: UnixTime,
    /// Randomness.
    pub entropy: &'a mut dyn Entropy,
    /// The other end of the request's connection.
    pub peer: &'a dyn Peer,
}

/// One request.
pub struct Gate {
    stream: StreamId,
    state: State,
    /// When it began to wait for the site, if it did.
    waited_since: Option<UnixTime>,
    /// Whether it has waited for a sign of life of the provider.
    awaited_provider: bool,
    /// Set with the answer.
    set_cookies: Vec<String>,
    /// The session that counted.
    session: Option<Rc<Session>>,
    event: Option<Event>,
}

/// What a gate wants of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interest {
    /// Nothing: it passes.
    #[default]
    None,
    /// To be told that something came: what was proved may have ended.
    Time,
    /// The bytes themselves.
    Bytes,
}

impl Interest {
    /// Whether the bytes are wanted.
    #[must_use]
    pub const fn wants_bytes(self) -> bool {
        matches!(self, Self::Bytes)
    }
}

/// Where a request stands. While an event is handled the stored state is [`State::Over`], which
/// refuses: a callback that comes in between finds no way through.
enum State {
    /// Nothing has been decided.
    New,
    /// The site works for it; the ladder is climbed again then.
    Waiting,
    /// A login's code or a sign-out is at the provider.
    Login(login::Step),
    /// The provider says that sessions are over.
    BackchannelLogout(backchannel_logout::Step),
    /// A terminal trades its code for a token; its body, of this type, is on its way.
    Trade(Option<String>),
    /// What it asks of Prefect stands in its body, which is on its way.
    JudgedBody(Box<Judging>),
    /// On its way to Prefect.
    Forwarded(Forwarded),
    /// Answered, refused, or being handled.
    Over,
}

/// What the answer of Prefect needs.
struct Forwarded {
    /// Asked by a session (or nobody): browsers get more hygiene than machines.
    browser: bool,
    /// Prefect's credential went along.
    injected: bool,
    kind: answer::Kind,
    /// What is rewritten of the answer: what may be, and once it is there, what is.
    rewrite: Rewrite,
    socket: Option<Socket>,
    asker: AskerParts,
}

impl Forwarded {
    /// What a permitted request needs: to be edited, and remembered until its answer. `host` is the
    /// configured name that the client used.
    fn begin(
        request: RequestView<'_>,
        target: &Target<'_>,
        cookies: &Cookies<'_>,
        permit: &Permit,
        host: &str,
        config: &Config,
    ) -> (Self, RequestEdit) {
        let rewrite = Rewrite::of(request, target, permit, config);
        let edit = upstream::edit(request, target, cookies, permit, host, rewrite, config);
        let identity = permit.identity();
        let forwarded = Self {
            browser: identity.is_none_or(|(principal, _)| principal.method == Method::Session),
            injected: identity.is_some() && upstream::is_api(target, config),
            kind: answer::Kind::of(target, config),
            rewrite,
            socket: None,
            asker: AskerParts {
                kind: ClientKind::of(request),
                request_id: request_id(request.text("x-request-id")).map(str::to_owned),
            },
        };
        (forwarded, edit)
    }
}

/// [`Asker`] without borrows.
struct AskerParts {
    kind: ClientKind,
    request_id: Option<String>,
}

impl Gate {
    /// For a new request.
    #[must_use]
    pub const fn new(stream: StreamId) -> Self {
        Self {
            stream,
            state: State::New,
            waited_since: None,
            awaited_provider: false,
            set_cookies: Vec::new(),
            session: None,
            event: None,
        }
    }

    /// One that refuses whatever comes: it stands in while the real one handles an event.
    #[must_use]
    pub fn refusing(stream: StreamId) -> Self {
        Self { state: State::Over, ..Self::new(stream) }
    }

    /// The request's headers are here.
    pub fn on_request(&mut self, request: RequestView<'_>, cx: &mut Cx<'_>) -> Decision {
        match core::mem::replace(&mut self.state, State::Over) {
            State::New => self.climb(request, cx),
            _ => self.refuse(&Refusal::new(Reason::Internal).seen("headers twice"), request, cx),
        }
    }

    /// The site has what the request waited for. `request` are its headers, read anew.
    pub fn on_wake(&mut self, request: RequestView<'_>, cx: &mut Cx<'_>) -> Decision {
        match core::mem::replace(&mut self.state, State::Over) {
            State::Waiting => self.climb(request, cx),
            State::Login(step) => {
                let decision = self.login_woken(step, request, cx);
                self.or_refuse(decision, request, cx)
            }
            State::BackchannelLogout(step) => {
                let decision = self.backchannel_woken(step, cx);
                self.or_refuse(decision, request, cx)
            }
            _ => self.refuse(
                &Refusal::new(Reason::Internal).seen("woken without waiting"),
                request,
                cx,
            ),
        }
    }

    /// The request's own callout has a reply.
    pub fn on_callout(
        &mut self,
        reply: CalloutReply<'_>,
        request: RequestView<'_>,
        cx: &mut Cx<'_>,
    ) -> Decision {
        match core::mem::replace(&mut self.state, State::Over) {
            State::Login(step) => {
                let decision = self.login_answered(step, reply, request, cx);
                self.or_refuse(decision, request, cx)
            }
            _ => {
                self.refuse(&Refusal::new(Reason::Internal).seen("a reply to no call"), request, cx)
            }
        }
    }

    fn climb(&mut self, request: RequestView<'_>, cx: &mut Cx<'_>) -> Decision {
        let decision = self.decide(request, cx);
        self.or_refuse(decision, request, cx)
    }

    /// The ladder. The only way out with `Forward` is at its end, with a permit.
    fn decide(&mut self, request: RequestView<'_>, cx: &mut Cx<'_>) -> Result<Decision, Refusal> {
        let config = cx.site.config();
        let target = protocol::target(request)?;
        protocol::method(request)?;
        let upgrade = protocol::is_websocket(request)?;
        let host = hosts::Host::of(request, &config);
        if let Some(endpoint) = Endpoint::at(&target, &config) {
            return self.endpoint(endpoint, host, &target, request, cx);
        }
        let cookies = Cookies::parse(request).map_err(|_| Refusal::new(Reason::CookiesTooLarge))?;
        if !upgrade
            && let Ok(permit) = authorize::public(request.method(), &target, &config.public_paths)
        {
            return Ok(self.forward(
                permit,
                host.or_public(&config),
                &target,
                request,
                &cookies,
                &config,
            ));
        }
        let host = host.known()?;
        protocol::not_a_preflight(request)?;
        if upgrade {
            return self.socket(host, &target, request, &cookies, cx);
        }
        match self.authenticate(host, request, &cookies, cx)? {
            Proof::Identity(identity) => {
                let operation = Operation::of(request, &target, &config);
                let host = host.authority(&config);
                let hangs = judged_body::hangs_on_body(&identity, &operation, &target, &config);
                if let Some(operation) = hangs {
                    let cleared = operation.at_best();
                    let permit = authorize::identity(identity.clone(), &cleared, &config.roles)?;
                    let (forwarded, edit) =
                        Forwarded::begin(request, &target, &cookies, &permit, host, &config);
                    let empty = request.text("content-length") == Some("0");
                    let judging = Judging { identity, operation, forwarded, empty };
                    return Ok(self.forward_with_body(permit, edit, judging));
                }
                let permit = authorize::identity(identity, &operation, &config.roles)?;
                Ok(self.forward(permit, host, &target, request, &cookies, &config))
            }
            Proof::Wait => Ok(self.wait(cx.now)),
            Proof::Nothing { session_ended } => {
                self.unauthenticated(host, &target, session_ended, request, &cookies, cx)
            }
        }
    }

    /// Sockets: by header credential, else by first frame; never by cookie.
    fn socket(
        &mut self,
        host: hosts::Known<'_>,
        target: &Target<'_>,
        request: RequestView<'_>,
        cookies: &Cookies<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        let config = cx.site.config();
        let known = KnownSocket::at(target, &config);
        let known = known.ok_or_else(|| {
            Refusal::new(Reason::NotFound).seen("an upgrade").wanted("a socket of Prefect's")
        })?;
        let (permit, socket) = match self.authenticate_machine(request, cx)? {
            Proof::Identity(identity) => {
                let permit = authorize::identity(identity, &known.operation(), &config.roles)?;
                if !cx.site.sockets.take(self.stream, &known, &permit) {
                    return Err(socket::too_many());
                }
                (permit, Socket::judged(known, request))
            }
            Proof::Wait => return Ok(self.wait(cx.now)),
            Proof::Nothing { .. } if authenticate::shows_session(cookies, &config) => {
                return Err(Refusal::new(Reason::SocketByCookie)
                    .wanted("a credential in a header or the first frame"));
            }
            Proof::Nothing { .. } if !config.first_frame => {
                return Err(Refusal::new(Reason::NoCredential));
            }
            Proof::Nothing { .. } => {
                // Nothing else makes a socket wait that shows no credential.
                let again = self.waited_since.is_some();
                let address = cx.peer.address();
                match cx.site.pending.take(self.stream, &address, again, cx.now) {
                    Place::InLine => return Ok(self.wait(cx.now)),
                    Place::None => {
                        return Err(Refusal::new(Reason::Busy)
                            .seen("too many sockets that are not judged yet"));
                    }
                    Place::Taken(slot) => {
                        (authorize::handshake(&known, &slot), Socket::unjudged(known, slot))
                    }
                }
            }
        };
        let decision =
            self.forward(permit, host.authority(&config), target, request, cookies, &config);
        if let State::Forwarded(forwarded) = &mut self.state {
            forwarded.socket = Some(socket);
        }
        Ok(decision)
    }

    /// The only maker of `Forward`.
    fn forward(
        &mut self,
        permit: Permit,
        host: &str,
        target: &Target<'_>,
        request: RequestView<'_>,
        cookies: &Cookies<'_>,
        config: &Config,
    ) -> Decision {
        let (forwarded, edit) = Forwarded::begin(request, target, cookies, &permit, host, config);
        let request_id = forwarded.asker.request_id.as_deref();
        self.event = Some(Event::forwarded(&permit).with_request(request_id));
        self.state = State::Forwarded(forwarded);
        Decision::Forward { permit, edit }
    }

    fn wait(&mut self, now: UnixTime) -> Decision {
        self.waited_since = Some(now);
        self.state = State::Waiting;
        // The ladder is climbed again from the bottom.
        self.set_cookies.clear();
        Decision::AwaitSite
    }

    fn reply(&mut self, reply: Reply) -> Decision {
        self.event.get_or_insert_with(|| Event::answered(reply.code));
        Decision::Reply(reply)
    }

    fn or_refuse(
        &mut self,
        decision: Result<Decision, Refusal>,
        request: RequestView<'_>,
        cx: &mut Cx<'_>,
    ) -> Decision {
        decision.unwrap_or_else(|refusal| self.refuse(&refusal, request, cx))
    }

    fn refuse(&mut self, refusal: &Refusal, request: RequestView<'_>, cx: &mut Cx<'_>) -> Decision {
        self.refuse_with(refusal, request, cx, Reply::refusal)
    }

    fn refuse_with(
        &mut self,
        refusal: &Refusal,
        request: RequestView<'_>,
        cx: &mut Cx<'_>,
        reply: fn(&Refusal, Asker<'_>) -> Reply,
    ) -> Decision {
        self.state = State::Over;
        let config = cx.site.config();
        let asker = asker(request, &config);
        self.event = Some(Event::refused(refusal).with_request(asker.request_id));
        let reply = reply(refusal, asker);
        Decision::Reply(reply.with_cookies(core::mem::take(&mut self.set_cookies)))
    }

    /// A request without a credential that counts: page loads are sent to log in.
    fn unauthenticated(
        &mut self,
        host: hosts::Known<'_>,
        target: &Target<'_>,
        session_ended: bool,
        request: RequestView<'_>,
        cookies: &Cookies<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        if host.is_public() && ClientKind::of(request) == ClientKind::Navigation {
            return self.begin_login(Some(target.raw()), cookies, cx);
        }
        let reason = if session_ended { Reason::SessionEnded } else { Reason::NoCredential };
        Err(Refusal::new(reason))
    }

    /// Whether it is on its way to Prefect; only then Prefect's answer is looked at.
    #[must_use]
    pub const fn is_forwarded(&self) -> bool {
        matches!(self.state, State::Forwarded(_) | State::JudgedBody(_))
    }

    /// Whether the site owes it a wake; a wake that comes late finds it decided, and is dropped.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        matches!(
            self.state,
            State::Waiting
                | State::Login(login::Step::AwaitingKey(..))
                | State::BackchannelLogout(backchannel_logout::Step::AwaitingKey(_))
        )
    }

    /// The event of the last decision, once.
    pub const fn take_event(&mut self) -> Option<Event> {
        self.event.take()
    }

    /// The request is gone; the site forgets it.
    pub fn finish(&mut self, site: &mut Site) {
        let state = core::mem::replace(&mut self.state, State::Over);
        match state {
            State::Login(step) => {
                step.abandon(site);
                site.forget(self.stream);
            }
            State::Waiting | State::BackchannelLogout(_) => site.forget(self.stream),
            State::Forwarded(Forwarded { socket: Some(_), .. }) => site.forget(self.stream),
            State::New
            | State::Trade(_)
            | State::JudgedBody(_)
            | State::Forwarded(_)
            | State::Over => {}
        }
    }
}

fn asker<'a>(request: RequestView<'a>, config: &'a Rc<Config>) -> Asker<'a> {
    let request_id = request_id(request.text("x-request-id"));
    Asker { request_id, ..asker_of(ClientKind::of(request), config) }
}

fn asker_of(kind: ClientKind, config: &Config) -> Asker<'_> {
    let (endpoints, provider) = (config.endpoints.as_str(), &config.issuer_url);
    Asker { kind, request_id: None, endpoints, home: config.home(), provider, hsts: config.hsts() }
}
