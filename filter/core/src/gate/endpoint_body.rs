//! Bodies that endpoints of Lictor's own read. Envoy's buffer filter must stand behind Lictor on their
//! routes (`prefect.buffered_routes`): nothing but the body would be held otherwise, and the head would be
//! on its way to Prefect.

use super::{Cx, Gate, State};
use crate::answer::reply::Reply;
use crate::config::Config;
use crate::foundation::limits::BODY_LIMIT;
use crate::gate::decision::{DataStep, Decision};
use crate::prefect::upstream;
use crate::refusal::{Reason, Refusal};
use crate::telemetry::event::Event;
use crate::wire::http::form;
use crate::wire::http::request::RequestView;

/// A body that is being read.
pub(crate) struct EndpointBody {
    reader: BodyEndpoint,
    content_type: Option<String>,
}

/// Which endpoint reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyEndpoint {
    /// `backchannel_logout`: the provider says that sessions are over.
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

    /// The refusal of a body that can't be read.
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
    /// Its head is here. Nothing of the client's that could pose as somebody goes to the filter behind.
    pub(super) fn begin_endpoint_body(
        &mut self,
        reader: BodyEndpoint,
        request: RequestView<'_>,
        config: &Config,
    ) -> Result<Decision, Refusal> {
        if !config.prefect.buffered_routes {
            return Err(Refusal::new(Reason::NotEnabled).seen(reader.name()).wanted(
                "prefect.buffered_routes, and Envoy's buffer filter behind Lictor on this path",
            ));
        }
        let content_type = request.text("content-type").map(str::to_owned);
        self.state = State::EndpointBody(EndpointBody { reader, content_type });
        let mut edit = upstream::stripped(request);
        edit.remove.extend(request.has("cookie").then(|| "cookie".into()));
        Ok(Decision::ReadBody(edit))
    }

    /// So much of it is here.
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

    /// Trailers would let the whole request go on, and neither form has any.
    pub(super) fn endpoint_body_trailers(&mut self, body: &EndpointBody) -> DataStep {
        DataStep::Answer(self.oauth_error(&body.reader.unreadable("trailers")))
    }

    pub(super) fn oauth_error(&mut self, refusal: &Refusal) -> Reply {
        self.event = Some(Event::refused(refusal));
        Reply::oauth_error(refusal)
    }
}
