//! Request bodies that Lictor's own endpoints read.
//!
//! Envoy's buffer filter must follow Lictor on their routes (`prefect.buffered_routes`). Without it
//! Envoy would hold only the body, and the headers would be on their way to Prefect.

use super::{Cx, Gate, State};
use crate::answer::reply::Reply;
use crate::foundation::limits::{BODIES, BODIES_PER_NETWORK, BODY_LIMIT, BODY_WAIT};
use crate::gate::decision::{DataStep, Decision};
use crate::policy::pending_bodies::Purpose;
use crate::prefect::upstream;
use crate::refusal::{Reason, Refusal};
use crate::telemetry::event::Event;
use crate::wire::http::form;
use crate::wire::http::request::RequestView;

/// The state of a body that an endpoint reads.
pub(crate) struct EndpointBody {
    reader: BodyEndpoint,
    content_type: Option<String>,
}

/// An endpoint that reads a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyEndpoint {
    /// `backchannel_logout`: the provider ends sessions.
    BackchannelLogout,
    /// `token`: a program exchanges its code for a personal token.
    TokenRequest,
}

impl BodyEndpoint {
    const fn name(self) -> &'static str {
        match self {
            Self::BackchannelLogout => "back-channel logout",
            Self::TokenRequest => "a token request",
        }
    }

    const fn purpose(self) -> Purpose {
        match self {
            Self::BackchannelLogout => Purpose::Logout,
            Self::TokenRequest => Purpose::Token,
        }
    }

    /// Returns the refusal of a body that can't be read.
    fn unreadable(self, seen: &str) -> Refusal {
        let (reason, wanted) = match self {
            Self::BackchannelLogout => {
                (Reason::LogoutToken, "a form of at most 64 KiB with one logout_token")
            }
            Self::TokenRequest => (Reason::TokenRequest, "a form of at most 64 KiB"),
        };
        Refusal::new(reason).seen(seen).wanted(wanted)
    }
}

impl Gate {
    /// Begins to read a body.
    ///
    /// The edits remove everything from the client that could claim an identity before the headers
    /// reach the filter behind Lictor.
    pub(super) fn begin_endpoint_body(
        &mut self,
        reader: BodyEndpoint,
        request: RequestView<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        if !cx.site.config().prefect.buffered_routes {
            return Err(Refusal::new(Reason::NotEnabled).seen(reader.name()).wanted(
                "prefect.buffered_routes, and Envoy's buffer filter behind Lictor on this path",
            ));
        }
        self.begin_body(reader.purpose(), cx)?;
        self.remember_host(request);
        let content_type = request.text("content-type").map(str::to_owned);
        self.state = State::EndpointBody(EndpointBody { reader, content_type });
        let mut edit = upstream::stripped(request);
        edit.remove.extend(request.has("cookie").then(|| "cookie".into()));
        Ok(Decision::ReadBody(edit))
    }

    /// Holds the body until it ends, then answers the request. A body over [`BODY_LIMIT`] is
    /// refused.
    pub(super) fn endpoint_body_data(
        &mut self,
        body: EndpointBody,
        held: &[u8],
        end: bool,
        cx: &mut Cx<'_>,
    ) -> DataStep {
        if held.len() <= BODY_LIMIT && !end {
            self.state = State::EndpointBody(body);
            return DataStep::Hold;
        }
        cx.site.bodies.end(self.stream);
        let EndpointBody { reader, content_type } = body;
        let whole = Some(held).filter(|held| held.len() <= BODY_LIMIT);
        let form = whole.and_then(|held| form::text(content_type.as_deref(), held));
        let form = form.ok_or_else(|| reader.unreadable("another body"));
        let answer = form.and_then(|form| match reader {
            BodyEndpoint::BackchannelLogout => self.backchannel_logout(form, cx),
            BodyEndpoint::TokenRequest => self.token_request(form, cx).map(Decision::Reply),
        });
        match answer {
            Ok(Decision::Reply(reply)) => DataStep::Answer(reply),
            Ok(_) => DataStep::Hold,
            Err(refusal) => DataStep::Answer(self.oauth_error(&refusal)),
        }
    }

    /// Takes one of the limited places for bodies that are read before the decision.
    pub(super) fn begin_body(&self, purpose: Purpose, cx: &mut Cx<'_>) -> Result<(), Refusal> {
        let address = cx.peer.address();
        let has_place = cx.site.bodies.begin(purpose, self.stream, &address, cx.now);
        has_place.then_some(()).ok_or_else(|| {
            Refusal::new(Reason::Busy)
                .seen("too many request bodies at once")
                .wanted(format!("at most {BODIES_PER_NETWORK} of one client and {BODIES} in all"))
        })
    }

    /// Refuses trailers, which would let Envoy pass the whole request on. Neither form has any.
    pub(super) fn endpoint_body_trailers(
        &mut self,
        body: &EndpointBody,
        cx: &mut Cx<'_>,
    ) -> DataStep {
        cx.site.bodies.end(self.stream);
        DataStep::Answer(self.oauth_error(&body.reader.unreadable("trailers")))
    }

    /// Refuses a body that has not arrived in time.
    pub(super) fn endpoint_body_late(&mut self) -> Decision {
        Decision::Reply(self.oauth_error(&late()))
    }

    pub(super) fn oauth_error(&mut self, refusal: &Refusal) -> Reply {
        self.event = Some(Event::refused(refusal));
        Reply::oauth_error(refusal)
    }
}

/// Returns the refusal of a body that has not arrived in time.
pub(super) fn late() -> Refusal {
    Refusal::new(Reason::BodyTimeout)
        .seen("a request body that is not complete")
        .wanted(format!("all of it within {} s", BODY_WAIT.as_secs()))
}
