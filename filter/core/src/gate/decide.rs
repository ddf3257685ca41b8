//! The order of the checks that decide a request by its headers.
//!
//! Each `Forward` needs a [`Permit`]: for a public path, for a pending handshake, or for an
//! authenticated identity.

use super::authenticate::{Proof, shows_session};
use super::forwarded::{Forwarded, Route};
use super::hosts::ConfiguredHost;
use super::incoming::Incoming;
use super::operation_body::{self, BodyPending};
use super::socket::{self, Socket};
use super::{Cx, Gate, State, WaitFor, protocol};
use crate::answer::reply::Reply;
use crate::config::Config;
use crate::gate::decision::{DataStep, Decision};
use crate::identity::principal::Identity;
use crate::login::return_path;
use crate::policy::authorize::{self, Permit};
use crate::policy::pending_bodies::Purpose;
use crate::policy::pending_handshakes::Admission;
use crate::prefect::operations::Operation;
use crate::prefect::place::Place;
use crate::prefect::sockets::KnownSocket;
use crate::refusal::{Reason, Refusal};
use crate::telemetry::event::Event;
use crate::wire::http::request::RequestView;

impl Gate {
    /// Decides a request by its headers, and by its body if that is known to be empty.
    pub(super) fn decide_by_head(&mut self, request: RequestView<'_>, cx: &mut Cx<'_>) -> Decision {
        let decision = self.decide(request, cx);
        let decision = self.or_refuse(decision, request, cx);
        let by_body = matches!(decision, Decision::ReadBody(_) | Decision::ForwardWithBody { .. });
        if !by_body || !self.bodiless {
            return decision;
        }
        match (decision, self.on_request_data(&[], true, cx)) {
            (_, DataStep::Answer(reply)) => Decision::Reply(reply),
            (Decision::ForwardWithBody { permit, edit }, DataStep::Pass) => {
                Decision::Forward { permit, edit }
            }
            _ => {
                let state = core::mem::replace(&mut self.state, State::Over);
                self.unexpected("no verdict on an empty body", state, request, cx)
            }
        }
    }

    /// Runs the checks in their order, from the target to the permit.
    fn decide(&mut self, request: RequestView<'_>, cx: &mut Cx<'_>) -> Result<Decision, Refusal> {
        let config = cx.site.config();
        let incoming = Incoming::parse(request, &config)?;
        self.asked.elsewhere = !incoming.host.is_public();
        if incoming.is_endpoint {
            return self.endpoint(&incoming, cx);
        }
        if incoming.is_page_load() {
            self.asked.return_to = Some(return_path::checked(Some(incoming.target.raw()), &config));
        }
        let cookies = incoming.cookies()?;
        let place = Place::of(&incoming.target, &config);
        if !incoming.upgrade
            && let Ok(permit) =
                authorize::public(incoming.method(), &incoming.target, &config.public_paths)
        {
            let host = incoming.host.or_public(&config);
            let route = Route { incoming: &incoming, cookies, place, host };
            return Ok(self.forward(permit, route, &config));
        }
        let host = incoming.host.known()?;
        protocol::not_a_preflight(request)?;
        let route = Route { incoming: &incoming, cookies, place, host: host.authority(&config) };
        if incoming.upgrade {
            return self.socket(route, cx);
        }
        match self.authenticate(host, request, cookies, cx)? {
            Proof::Identified(identity) => self.authorize(identity, route, cx),
            Proof::Wait => Ok(self.wait(WaitFor::Verdict, cx.now)),
            Proof::Nobody(refusal) => self.unauthenticated(host, refusal, route, cx),
        }
    }

    /// Authorizes an identity by the headers alone, or defers to the body where the body decides.
    fn authorize(
        &mut self,
        identity: Identity,
        route: Route<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        let config = cx.site.config();
        let operation = Operation::of(route.incoming.method(), &route.place);
        if let Some(operation) =
            operation_body::depends_on_body(&identity, &operation, &route.place, &config)
        {
            let permit =
                authorize::identity(identity.clone(), &operation.at_best(), &config.roles)?;
            self.begin_body(Purpose::Operation, cx)?;
            let (forwarded, edit) = Forwarded::begin(route, &permit, &config);
            let pending = BodyPending { identity, operation, forwarded };
            self.state = State::AwaitingBody(Box::new(pending));
            return Ok(Decision::ForwardWithBody { permit, edit });
        }
        let permit = authorize::identity(identity, &operation, &config.roles)?;
        Ok(self.forward(permit, route, &config))
    }

    /// Decides a socket handshake, by a credential in a header or later by the first frame.
    ///
    /// A session cookie never opens a socket.
    fn socket(&mut self, route: Route<'_>, cx: &mut Cx<'_>) -> Result<Decision, Refusal> {
        let config = cx.site.config();
        let known = KnownSocket::at(&route.place).ok_or_else(|| {
            Refusal::new(Reason::NotFound).seen("an upgrade").wanted("a socket of Prefect's")
        })?;
        let (permit, socket) = match self.authenticate_machine(route.incoming.view, cx)? {
            Proof::Identified(identity) => {
                let permit = authorize::identity(identity, &known.operation(), &config.roles)?;
                if !cx.site.sockets.take(self.stream, &known, &permit) {
                    return Err(socket::too_many());
                }
                (permit, Socket::authorized(known, route.incoming.view))
            }
            Proof::Wait => return Ok(self.wait(WaitFor::Verdict, cx.now)),
            Proof::Nobody(_) if shows_session(route.cookies, &config) => {
                return Err(Refusal::new(Reason::SocketByCookie)
                    .seen("a socket with a session cookie")
                    .wanted("a credential in a header or the first frame"));
            }
            Proof::Nobody(_) if !config.first_frame => {
                return Err(Refusal::new(Reason::NoCredential)
                    .seen("a socket without a credential, while websockets.first_frame is off")
                    .wanted("a credential in a header"));
            }
            Proof::Nobody(_) => {
                self.remember_host(route.incoming.view);
                let again = self.waited.is_some_and(|waited| waited.reason == WaitFor::Slot);
                let address = cx.peer.address();
                match cx.site.pending.take(self.stream, &address, again, cx.now) {
                    Admission::Queued => return Ok(self.wait(WaitFor::Slot, cx.now)),
                    Admission::Refused => {
                        return Err(Refusal::busy("too many sockets without a credential"));
                    }
                    Admission::Admitted(slot) => {
                        (authorize::handshake(&known, &slot), Socket::unauthenticated(known, slot))
                    }
                }
            }
        };
        let decision = self.forward(permit, route, &config);
        if let State::Forwarded(forwarded) = &mut self.state {
            forwarded.socket = Some(socket);
        }
        Ok(decision)
    }

    /// Forwards a permitted request. No other function makes a [`Decision::Forward`] from headers.
    fn forward(&mut self, permit: Permit, route: Route<'_>, config: &Config) -> Decision {
        let (forwarded, edit) = Forwarded::begin(route, &permit, config);
        self.event = Some(Event::forwarded(&permit));
        self.state = State::Forwarded(forwarded);
        Decision::Forward { permit, edit }
    }

    /// Handles a request without a valid credential: page loads start a login, others are refused.
    fn unauthenticated(
        &mut self,
        host: ConfiguredHost<'_>,
        refusal: Refusal,
        route: Route<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        if route.incoming.is_page_load() && !host.is_public() {
            // A link that a worker prints leads here. Browsers log in at the public host.
            let there = cx.site.config().absolute(route.incoming.target.raw());
            return Ok(self.reply(Reply::redirect(&there, "public_host")));
        }
        if route.incoming.is_page_load() {
            if refusal.reason == Reason::SessionEnded {
                let request = self.request_id.as_deref().unwrap_or("-");
                let line = format!("{} request={request}", refusal.seen);
                cx.site.notice_about_a_stranger(line, cx.now);
            }
            return self.begin_login(Some(route.incoming.target.raw()), route.cookies, cx);
        }
        Err(refusal)
    }
}
