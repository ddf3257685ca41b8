//! The state machine of one request.
//!
//! The shell delivers the events of a request, and [`Gate`] answers each of them with one decision.
//! `decide.rs` has the order of the checks, and docs/phases.md describes the events.

mod auth_request;
mod authenticate;
mod backchannel_logout;
mod decide;
pub(crate) mod decision;
mod endpoint_body;
pub(crate) mod endpoints;
mod forwarded;
mod hosts;
mod incoming;
mod login;
mod operation_body;
mod personal_tokens;
mod protocol;
mod request_data;
mod response;
mod sign_out;
mod socket;
mod unknown_key;

use core::time::Duration;
use std::rc::Rc;

use crate::answer::context::AnswerContext;
use crate::answer::reply::Reply;
use crate::config::Config;
use crate::foundation::crypto::Entropy;
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::gate::decision::{DataStep, Decision};
use crate::identity::principal::Identity;
use crate::provider::callout::CalloutReply;
use crate::refusal::{Reason, Refusal};
use crate::session::model::Session;
use crate::site::Site;
use crate::telemetry::event::Event;
use crate::wire::http::client::ClientKind;
use crate::wire::http::request::RequestView;
use crate::wire::peer::Peer;

use authenticate::identity_of;
use endpoint_body::EndpointBody;
use forwarded::Forwarded;
use operation_body::BodyPending;

/// What the shell passes to the gate with every event.
pub struct Cx<'a> {
    /// The state that all requests of the VM share.
    pub site: &'a mut Site,
    /// The time of the event, by the host's clock.
    pub now: UnixTime,
    /// The host's source of randomness.
    pub entropy: &'a mut dyn Entropy,
    /// The peer of the request's downstream connection.
    pub peer: &'a dyn Peer,
}

/// The state machine of one request.
///
/// The gate sends nothing itself. It answers each event with a decision, which the shell applies.
pub struct Gate {
    stream: StreamId,
    /// Envoy's request ID, if the request has one of the form that Envoy generates.
    request_id: Option<String>,
    /// The host that the request asked for, if a log line may need it.
    host: Option<String>,
    state: State,
    /// The last wait for the site, ended or not.
    waited: Option<Waited>,
    /// Whether the request has already waited once for contact with the provider.
    awaited_provider: bool,
    /// `Set-Cookie` values that go with the answer, whether it is Lictor's or Prefect's.
    set_cookies: Vec<String>,
    /// The session that authenticated the request.
    session: Option<Rc<Session>>,
    /// Whom an endpoint has answered, if it is not the session's person.
    answered: Option<Box<Identity>>,
    /// Whether the request ends with its headers.
    bodiless: bool,
    /// What a browser asked for, if the request loads a page.
    asked: AskedPage,
    event: Option<Event>,
    /// Whether the access log has an entry about the request.
    is_shown: bool,
}

/// What a browser asked for, for the links on Lictor's pages.
#[derive(Default)]
struct AskedPage {
    /// The path to which a login returns.
    return_to: Option<String>,
    /// The login attempt, if the request is its callback.
    attempt: Option<Attempt>,
    /// Whether the request came to a host where no browser logs in.
    elsewhere: bool,
}

/// What a callback knows of its login attempt.
#[derive(Clone, Copy, Default)]
struct Attempt {
    /// Whether Lictor started the attempt by itself.
    again: bool,
    /// Whether the person must have authenticated a moment ago.
    fresh: bool,
}

/// A wait for the site, ended or not.
///
/// A request does not wait a second time for a verdict or a key. It is then decided without it.
#[derive(Clone, Copy)]
struct Waited {
    since: UnixTime,
    reason: WaitFor,
}

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaitFor {
    /// The provider's verdict on a session or on credentials.
    Verdict,
    /// An issuer's keys.
    Keys,
    /// A slot for a socket handshake that carries no credential.
    Slot,
    /// Contact with the provider, before a browser is sent to it.
    Provider,
}

/// Which of the two bodies an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// The client's request body.
    Request,
    /// Prefect's response body.
    Response,
}

/// How much the gate must see of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interest {
    /// Nothing. The body passes without an event.
    #[default]
    None,
    /// The event alone, without the bytes: the credential behind an open socket may have expired.
    Time,
    /// The event, with the bytes that the host holds: the first frames of a socket, of which
    /// [`Gate::on_data_wake`] may need them again.
    Bytes,
    /// The event, with the whole body so far. The shell keeps it in place of the host, whose
    /// buffers are smaller than what must be judged or rewritten as a whole.
    Whole,
}

/// The state of a request.
///
/// A handler that decides takes the state out and leaves [`State::Over`], from which nothing is
/// forwarded. A handler that sets no other state has ended the request.
enum State {
    /// The headers have not arrived.
    New,
    /// The site works for the request. The request is decided again from its headers when it is
    /// woken.
    Waiting,
    /// A login waits for the token endpoint, for a key, or for userinfo.
    Login(login::LoginStep),
    /// A sign-out waits for the provider.
    SignOut(sign_out::SignOutStep),
    /// A logout token waits for the key that signed it.
    LogoutToken(String),
    /// One of Lictor's endpoints reads the request body.
    EndpointBody(EndpointBody),
    /// The headers are permitted, and the body decides whether Prefect may have the request.
    AwaitingBody(Box<BodyPending>),
    /// The request is forwarded to Prefect.
    Forwarded(Forwarded),
    /// The request is decided, and the site holds the reply for a few milliseconds.
    Delayed,
    /// The request is answered or refused, or one of its events is being handled.
    Over,
}

impl Gate {
    /// Creates the gate of a new request.
    #[must_use]
    pub const fn new(stream: StreamId) -> Self {
        Self {
            stream,
            request_id: None,
            host: None,
            state: State::New,
            waited: None,
            awaited_provider: false,
            set_cookies: Vec::new(),
            session: None,
            answered: None,
            bodiless: false,
            asked: AskedPage { return_to: None, attempt: None, elsewhere: false },
            event: None,
            is_shown: false,
        }
    }

    /// Creates a gate that refuses every request, wake-up and callout reply.
    ///
    /// The shell puts it in place of the real gate while that one handles an event. A callback in
    /// between can't let the request through.
    #[must_use]
    pub fn refusing(stream: StreamId) -> Self {
        Self { state: State::Over, ..Self::new(stream) }
    }

    /// Decides a request by its headers.
    ///
    /// `end` says that neither a body nor trailers follow. An answer on HTTP/2 is delayed if a body
    /// may still follow.
    pub fn on_request(&mut self, request: RequestView<'_>, end: bool, cx: &mut Cx<'_>) -> Decision {
        match core::mem::replace(&mut self.state, State::Over) {
            State::New => {}
            state => return self.unexpected("headers twice", state, request, cx),
        }
        self.request_id = request.request_id().map(str::to_owned);
        self.bodiless = end;
        match self.decide_by_head(request, cx) {
            // Envoy follows an early answer on HTTP/2 with `RST_STREAM`, which some clients report
            // as a broken stream. The delay lets a small body arrive first.
            Decision::Reply(reply) if !end && cx.peer.is_http2() => {
                match cx.site.delayed.keep(self.stream, reply, cx.now) {
                    Ok(()) => {
                        self.state = State::Delayed;
                        Decision::AwaitSite
                    }
                    Err(reply) => Decision::Reply(reply),
                }
            }
            decision => decision,
        }
    }

    /// Continues a request whose wait for the site, or whose time to send a body, has ended.
    ///
    /// `request` holds the request's headers, which the shell reads again. The result of the wait
    /// may be a failure.
    pub fn on_wake(&mut self, request: RequestView<'_>, cx: &mut Cx<'_>) -> Decision {
        let decision = match core::mem::replace(&mut self.state, State::Over) {
            State::Waiting => return self.decide_by_head(request, cx),
            State::Login(step) => self.login_woken(step, request, cx),
            State::LogoutToken(token) => return self.logout_token_woken(token, cx),
            State::EndpointBody(_) => return self.endpoint_body_late(),
            State::AwaitingBody(pending) => return self.operation_body_late(&pending, cx),
            state => return self.unexpected("woken without waiting", state, request, cx),
        };
        self.or_refuse(decision, request, cx)
    }

    /// Continues a request whose own callout has a reply, or could not be sent.
    pub fn on_callout(
        &mut self,
        reply: CalloutReply<'_>,
        request: RequestView<'_>,
        cx: &mut Cx<'_>,
    ) -> Decision {
        let decision = match core::mem::replace(&mut self.state, State::Over) {
            State::Login(step) => self.login_answered(step, reply, request, cx),
            State::SignOut(step) => Ok(self.sign_out_answered(step, reply, request, cx)),
            state => return self.unexpected("a reply to no call", state, request, cx),
        };
        self.or_refuse(decision, request, cx)
    }

    /// Refuses a request whose event does not fit its state, and releases what the state holds.
    fn unexpected(
        &mut self,
        seen: &str,
        state: State,
        request: RequestView<'_>,
        cx: &mut Cx<'_>,
    ) -> Decision {
        self.state = state;
        self.finish(cx.site);
        self.refuse(
            &Refusal::new(Reason::Internal).seen(seen).wanted("a report of this line"),
            request,
            cx,
        )
    }

    fn wait(&mut self, reason: WaitFor, now: UnixTime) -> Decision {
        self.waited = Some(Waited { since: now, reason });
        self.state = State::Waiting;
        // The woken request is decided again from the start, which sets these cookies again.
        self.set_cookies.clear();
        Decision::AwaitSite
    }

    /// Answers the request with the pending cookies.
    fn reply(&mut self, reply: Reply) -> Decision {
        self.event.get_or_insert_with(|| {
            let event = Event::answered(reply.code);
            match (&self.answered, &self.session) {
                (Some(identity), _) => event.to(identity),
                (None, Some(session)) => event.to(&identity_of(session, Duration::ZERO)),
                (None, None) => event,
            }
        });
        Decision::Reply(self.with_pending_cookies(reply))
    }

    fn with_pending_cookies(&mut self, reply: Reply) -> Reply {
        reply.with_cookies(core::mem::take(&mut self.set_cookies))
    }

    fn answer_context<'a>(&'a self, kind: ClientKind, config: &'a Config) -> AnswerContext<'a> {
        AnswerContext {
            kind,
            request_id: self.request_id.as_deref(),
            endpoints: &config.endpoints,
            home: config.home(),
            origin: if self.asked.elsewhere { config.public.origin() } else { "" },
            return_to: self.asked.return_to.as_deref(),
            single_use: self.asked.attempt.is_some(),
            provider: &config.issuer_url,
            hsts: config.hsts(),
        }
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
        reply: fn(&Refusal, AnswerContext<'_>) -> Reply,
    ) -> Decision {
        self.state = State::Over;
        let config = cx.site.config();
        self.remember_host(request);
        self.event = Some(Event::refused(refusal));
        let reply = reply(refusal, self.answer_context(ClientKind::of(request), &config));
        Decision::Reply(self.with_pending_cookies(reply))
    }

    /// Remembers the host for log lines, of which those about strangers name it.
    fn remember_host(&mut self, request: RequestView<'_>) {
        let host = request.text(":authority").filter(|host| !host.is_empty());
        self.host.get_or_insert_with(|| host.unwrap_or("-").to_owned());
    }

    /// Returns how much of a body the gate must see.
    #[must_use]
    pub fn interest(&self, body: Body) -> Interest {
        match body {
            Body::Request => self.request_data(),
            Body::Response => self.response_data(),
        }
    }

    /// Decides on body bytes.
    ///
    /// `held` is everything that the host or the shell holds of the body; it is empty for
    /// [`Interest::Time`]. `end` says that the body ends with it.
    pub fn on_data(&mut self, body: Body, held: &[u8], end: bool, cx: &mut Cx<'_>) -> DataStep {
        match body {
            Body::Request => self.on_request_data(held, end, cx),
            Body::Response => self.on_response_data(held, end, cx),
        }
    }

    /// Decides on trailers, which end a body.
    pub fn on_trailers(&mut self, body: Body, cx: &mut Cx<'_>) -> DataStep {
        match body {
            Body::Request => self.on_request_trailers(cx),
            Body::Response => self.response_trailers(),
        }
    }

    /// Returns whether the response on this stream may be Prefect's.
    ///
    /// The shell passes other responses on without [`Gate::on_response`].
    #[must_use]
    pub const fn is_forwarded(&self) -> bool {
        matches!(self.state, State::Forwarded(_) | State::AwaitingBody(_))
    }

    /// Returns whether the request waits for the site to wake it, or for a body that the site
    /// limits.
    ///
    /// A late wake-up finds a request that is already decided, and the shell drops it.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        matches!(
            self.state,
            State::Waiting
                | State::Login(login::LoginStep::AwaitingKey(..))
                | State::LogoutToken(_)
                | State::EndpointBody(_)
                | State::AwaitingBody(_)
        )
    }

    /// Takes the log and metrics event of the last decision. Its log line ends with the request ID.
    ///
    /// It has neither line nor fields if there are too many about strangers.
    pub fn take_event(&mut self, site: &mut Site, now: UnixTime) -> Option<Event> {
        let event = self.event.take()?.with_ends(self.host.as_deref(), self.request_id.as_deref());
        let event = site.bounded(event, self.is_shown, now);
        self.is_shown |= event.fields().next().is_some();
        Some(event)
    }

    /// Releases what the site holds for the request, which has ended.
    pub fn finish(&mut self, site: &mut Site) {
        match core::mem::replace(&mut self.state, State::Over) {
            State::Login(step) => {
                step.abandon(site);
                site.forget(self.stream);
            }
            State::SignOut(_) => {
                site.release_login_slot();
                site.forget(self.stream);
            }
            State::Waiting
            | State::Delayed
            | State::LogoutToken(_)
            | State::EndpointBody(_)
            | State::AwaitingBody(_)
            | State::Forwarded(Forwarded { socket: Some(_), .. }) => site.forget(self.stream),
            State::New | State::Forwarded(_) | State::Over => {}
        }
    }
}

/// Names the variants of a state, for the table of states and events in `tests/gate/states.rs`: by
/// a match, so that the compiler asks for the name of a new variant, and as a list, so that the
/// table must have a row for it.
#[cfg(test)]
macro_rules! state_names {
    ($of:ident($this:ident, $state:expr), $list:ident: $($variant:pat $(if $case:expr)? => $name:literal,)+) => {
        pub(crate) const $list: &[&str] = &[$($name),+];

        pub(crate) const fn $of(&$this) -> &'static str {
            match $state {
                $($variant $(if $case)? => $name,)+
            }
        }
    };
}
#[cfg(test)]
use state_names;

#[cfg(test)]
impl Gate {
    state_names! {
        name_without_socket(self, &self.state), STATES:
        State::New => "New",
        State::Waiting => "Waiting",
        State::Login(login::LoginStep::Redeeming(_)) => "Login, code redeemed",
        State::Login(login::LoginStep::Pushing(_)) => "Login, pushing its parameters",
        State::Login(login::LoginStep::AwaitingKey(..)) => "Login, awaiting a key",
        State::Login(login::LoginStep::AskingUserinfo(..)) => "Login, asking userinfo",
        State::SignOut(sign_out::SignOutStep::AtProvider) => "SignOut, at the provider",
        State::SignOut(sign_out::SignOutStep::AskingForHint(..)) => "SignOut, asking for a hint",
        State::SignOut(sign_out::SignOutStep::Revoking(_)) => "SignOut, revoking",
        State::LogoutToken(_) => "LogoutToken",
        State::EndpointBody(_) => "EndpointBody",
        State::AwaitingBody(_) => "AwaitingBody",
        State::Forwarded(_) => "Forwarded",
        State::Delayed => "Delayed",
        State::Over => "Over",
    }

    /// Returns the names of all states and stages.
    pub(crate) fn state_names() -> impl Iterator<Item = &'static str> {
        Self::STATES.iter().chain(socket::Socket::STAGES).copied()
    }

    /// Returns the name of the state, or of the stage of its socket.
    pub(crate) const fn state_name(&self) -> &'static str {
        match &self.state {
            State::Forwarded(Forwarded { socket: Some(socket), .. }) => socket.stage_name(),
            _ => self.name_without_socket(),
        }
    }
}
