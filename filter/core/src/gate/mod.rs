//! One request. Events come in, one decision goes out for each; `ladder.rs` has their order.

mod auth_request;
mod authenticate;
mod backchannel_logout;
mod decide;
pub(crate) mod decision;
mod endpoint_body;
mod endpoints;
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

use std::rc::Rc;

use crate::answer::context::AnswerContext;
use crate::answer::reply::{Reply, request_id};
use crate::config::Config;
use crate::foundation::crypto::Entropy;
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::gate::decision::{DataStep, Decision};
use crate::provider::callout::CalloutReply;
use crate::refusal::{Reason, Refusal};
use crate::session::model::Session;
use crate::site::Site;
use crate::telemetry::event::Event;
use crate::wire::http::client::ClientKind;
use crate::wire::http::request::RequestView;
use crate::wire::peer::Peer;

use endpoint_body::EndpointBody;
use forwarded::Forwarded;
use operation_body::BodyPending;

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
    /// What it has waited for, if it has waited.
    waited: Option<Waited>,
    /// Whether it has waited for a sign of life of the provider.
    awaited_provider: bool,
    /// Set with the answer, whichever it is.
    set_cookies: Vec<String>,
    /// The session that counted.
    session: Option<Rc<Session>>,
    /// Nothing follows the head.
    bodiless: bool,
    event: Option<Event>,
}

/// A wait that is over or under way. A request waits once: what is not there then is refused.
#[derive(Clone, Copy)]
struct Waited {
    since: UnixTime,
    reason: WaitFor,
}

/// What a request may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaitFor {
    /// The verdict of the provider on a session or on credentials.
    Verdict,
    /// An issuer's keys.
    Keys,
    /// A place for a handshake without a credential.
    Place,
    /// A sign of life of the provider.
    Provider,
}

/// Whose body it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// The client's.
    Request,
    /// The upstream's.
    Response,
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

/// Where a request stands. An event that decides takes the state away and leaves [`State::Over`], which
/// refuses; whoever does not set another state has ended the request.
enum State {
    /// Nothing has been decided.
    New,
    /// The site works for it; the ladder is climbed again then.
    Waiting,
    /// A login's code is at the provider, or its key is on its way.
    Login(login::LoginStep),
    /// A sign-out is at the provider.
    SignOut(sign_out::SignOutStep),
    /// A logout token is here, its key is not.
    LogoutToken(String),
    /// The body that an endpoint of ours reads is on its way.
    EndpointBody(EndpointBody),
    /// What it asks of Prefect stands in its body, which is on its way.
    AwaitingBody(Box<BodyPending>),
    /// On its way to Prefect.
    Forwarded(Forwarded),
    /// Answered; the reply is sent in a moment.
    Delayed,
    /// Answered, refused, or being handled.
    Over,
}

impl Gate {
    /// For a new request.
    #[must_use]
    pub const fn new(stream: StreamId) -> Self {
        Self {
            stream,
            state: State::New,
            waited: None,
            awaited_provider: false,
            set_cookies: Vec::new(),
            session: None,
            bodiless: false,
            event: None,
        }
    }

    /// One that refuses whatever comes. The shell puts it in the place of the real one while that handles an
    /// event: a callback in between finds no way through.
    #[must_use]
    pub fn refusing(stream: StreamId) -> Self {
        Self { state: State::Over, ..Self::new(stream) }
    }

    /// The request's headers are here; `end` says that nothing follows them.
    pub fn on_request(&mut self, request: RequestView<'_>, end: bool, cx: &mut Cx<'_>) -> Decision {
        let decision = match core::mem::replace(&mut self.state, State::Over) {
            State::New => {
                self.bodiless = end;
                self.decide_by_head(request, cx)
            }
            _ => self.unexpected("headers twice", request, cx),
        };
        match decision {
            // Envoy follows an early answer on HTTP/2 with `RST_STREAM`, which some clients take for a broken
            // stream: a small body is let arrive first.
            Decision::Reply(reply) if !end && cx.peer.is_http2() => {
                match cx.site.delay(self.stream, reply, cx.now) {
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

    /// The site has what the request waited for. `request` are its headers, read anew.
    pub fn on_wake(&mut self, request: RequestView<'_>, cx: &mut Cx<'_>) -> Decision {
        let decision = match core::mem::replace(&mut self.state, State::Over) {
            State::Waiting => return self.decide_by_head(request, cx),
            State::Login(step) => self.login_woken(step, request, cx),
            State::LogoutToken(token) => return self.logout_token_woken(token, cx),
            _ => return self.unexpected("woken without waiting", request, cx),
        };
        self.or_refuse(decision, request, cx)
    }

    /// The request's own callout has a reply.
    pub fn on_callout(
        &mut self,
        reply: CalloutReply<'_>,
        request: RequestView<'_>,
        cx: &mut Cx<'_>,
    ) -> Decision {
        let decision = match core::mem::replace(&mut self.state, State::Over) {
            State::Login(step) => self.login_answered(step, reply, request, cx),
            State::SignOut(step) => Ok(self.sign_out_answered(step, reply, request, cx)),
            _ => return self.unexpected("a reply to no call", request, cx),
        };
        self.or_refuse(decision, request, cx)
    }

    /// An event that does not belong to the state.
    fn unexpected(&mut self, seen: &str, request: RequestView<'_>, cx: &mut Cx<'_>) -> Decision {
        self.refuse(&Refusal::new(Reason::Internal).seen(seen), request, cx)
    }

    fn wait(&mut self, reason: WaitFor, now: UnixTime) -> Decision {
        self.waited = Some(Waited { since: now, reason });
        self.state = State::Waiting;
        // The ladder is climbed again from the bottom.
        self.set_cookies.clear();
        Decision::AwaitSite
    }

    /// An answer of our own, with the cookies that are to be set.
    fn reply(&mut self, reply: Reply) -> Decision {
        self.event.get_or_insert_with(|| Event::answered(reply.code));
        Decision::Reply(self.with_pending_cookies(reply))
    }

    fn with_pending_cookies(&mut self, reply: Reply) -> Reply {
        reply.with_cookies(core::mem::take(&mut self.set_cookies))
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
        let asker = asker(request, &config);
        self.event = Some(Event::refused(refusal).with_request(asker.request_id));
        let reply = reply(refusal, asker);
        Decision::Reply(self.with_pending_cookies(reply))
    }

    /// What is wanted of a body.
    #[must_use]
    pub fn interest(&self, body: Body) -> Interest {
        match body {
            Body::Request => self.request_data(),
            Body::Response => self.response_data(),
        }
    }

    /// Body bytes. `held` is everything that the host holds of them, `end` says that nothing more will come.
    pub fn on_data(&mut self, body: Body, held: &[u8], end: bool, cx: &mut Cx<'_>) -> DataStep {
        match body {
            Body::Request => self.on_request_data(held, end, cx),
            Body::Response => self.on_response_data(held, end, cx),
        }
    }

    /// Trailers, which end a body.
    pub fn on_trailers(&mut self, body: Body, cx: &mut Cx<'_>) -> DataStep {
        match body {
            Body::Request => self.on_request_trailers(cx),
            Body::Response => self.response_trailers(),
        }
    }

    /// Whether it is on its way to Prefect; only then Prefect's answer is looked at.
    #[must_use]
    pub const fn is_forwarded(&self) -> bool {
        matches!(self.state, State::Forwarded(_) | State::AwaitingBody(_))
    }

    /// Whether the site owes it a wake; a wake that comes late finds it decided, and is dropped.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        matches!(
            self.state,
            State::Waiting
                | State::Login(login::LoginStep::AwaitingKey(..))
                | State::LogoutToken(_)
        )
    }

    /// The event of the last decision, once.
    pub const fn take_event(&mut self) -> Option<Event> {
        self.event.take()
    }

    /// The request is gone; the site forgets it.
    pub fn finish(&mut self, site: &mut Site) {
        match core::mem::replace(&mut self.state, State::Over) {
            State::Login(step) => {
                step.abandon(site);
                site.forget(self.stream);
            }
            State::SignOut(_) => {
                site.end_login();
                site.forget(self.stream);
            }
            State::Waiting
            | State::Delayed
            | State::LogoutToken(_)
            | State::Forwarded(Forwarded { socket: Some(_), .. }) => site.forget(self.stream),
            State::New
            | State::EndpointBody(_)
            | State::AwaitingBody(_)
            | State::Forwarded(_)
            | State::Over => {}
        }
    }
}

fn asker<'a>(request: RequestView<'a>, config: &'a Rc<Config>) -> AnswerContext<'a> {
    let request_id = request_id(request.text("x-request-id"));
    AnswerContext { request_id, ..asker_of(ClientKind::of(request), config) }
}

fn asker_of(kind: ClientKind, config: &Config) -> AnswerContext<'_> {
    let (endpoints, provider) = (config.endpoints.as_str(), &config.issuer_url);
    AnswerContext {
        kind,
        request_id: None,
        endpoints,
        home: config.home(),
        provider,
        hsts: config.hsts(),
    }
}
