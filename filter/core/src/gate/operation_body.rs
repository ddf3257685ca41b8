//! Requests whose body decides which operation they ask of Prefect.
//!
//! An identity that may not do everything the operation allows is judged by the body. Envoy's
//! buffer filter follows Lictor on these routes (`prefect.buffered_routes`) and holds the headers
//! meanwhile.

use super::endpoint_body::late;
use super::forwarded::Forwarded;
use super::{Cx, Gate, State};
use crate::answer::reply::Reply;
use crate::config::Config;
use crate::foundation::limits::BODY_LIMIT;
use crate::gate::decision::{DataStep, Decision};
use crate::identity::principal::Identity;
use crate::policy::authorize;
use crate::prefect::operations::Operation;
use crate::prefect::place::Place;
use crate::refusal::{Reason, Refusal};
use crate::telemetry::event::Event;

/// A request that is permitted by its headers and waits for its body.
pub(crate) struct BodyPending {
    pub(crate) identity: Identity,
    pub(crate) operation: Operation<'static>,
    pub(crate) forwarded: Forwarded,
}

/// Returns the operation if the body decides whether this identity may do it.
pub(crate) fn depends_on_body(
    identity: &Identity,
    operation: &Operation<'_>,
    place: &Place<'_>,
    config: &Config,
) -> Option<Operation<'static>> {
    if !config.prefect.buffered_routes {
        return None;
    }
    let operation = operation.depends_on_body(place)?;
    let is_allowed = |operation: &Operation<'_>| authorize::may(identity, operation).is_ok();
    (is_allowed(&operation.at_best()) && !is_allowed(&operation)).then_some(operation)
}

impl Gate {
    /// Holds the body until it ends, then authorizes the request with it.
    pub(super) fn operation_body_data(
        &mut self,
        pending: Box<BodyPending>,
        held: &[u8],
        end: bool,
        cx: &mut Cx<'_>,
    ) -> DataStep {
        if held.len() > BODY_LIMIT {
            return self.authorize_body(*pending, None, Reason::BodyTooLarge, cx);
        }
        if end {
            return self.authorize_body(*pending, Some(held), Reason::RoleMissing, cx);
        }
        self.state = State::AwaitingBody(pending);
        DataStep::Hold
    }

    /// Refuses a body that has not arrived in time.
    pub(super) fn operation_body_late(&mut self, pending: &BodyPending, cx: &Cx<'_>) -> Decision {
        let refusal = late().by(&pending.identity.principal, pending.identity.role);
        self.event = Some(Event::refused(&refusal));
        let config = cx.site.config();
        let context = self.answer_context(pending.forwarded.client, &config);
        let reply = Reply::refusal(&refusal, context);
        Decision::Reply(self.with_pending_cookies(reply))
    }

    /// Returns the reply that replaces a response from Prefect that came before the body was
    /// judged.
    ///
    /// Error responses pass without a verdict. Envoy itself makes them when a body stalls, and they
    /// contain nothing to protect.
    pub(super) fn answered_before_body(&mut self, status: u16, cx: &mut Cx<'_>) -> Option<Reply> {
        match core::mem::replace(&mut self.state, State::Over) {
            State::AwaitingBody(pending) if status < 400 => {
                match self.authorize_body(*pending, None, Reason::Internal, cx) {
                    DataStep::Answer(reply) => Some(reply),
                    _ => Some(Reply::unavailable()),
                }
            }
            other => {
                self.state = other;
                None
            }
        }
    }

    /// Authorizes the request with its body. A body that can't be read is treated as one that asks
    /// for everything.
    pub(super) fn authorize_body(
        &mut self,
        pending: BodyPending,
        body: Option<&[u8]>,
        reason: Reason,
        cx: &mut Cx<'_>,
    ) -> DataStep {
        cx.site.bodies.end(self.stream);
        let BodyPending { identity, operation, forwarded } = pending;
        let config = cx.site.config();
        match authorize::identity(identity, &operation.with_body(body), &config.roles) {
            Ok(permit) => {
                self.event = Some(Event::forwarded(&permit));
                self.state = State::Forwarded(forwarded);
                DataStep::Pass
            }
            Err(refusal) => {
                let refusal = Refusal { reason, ..refusal };
                self.event = Some(Event::refused(&refusal));
                let context = self.answer_context(forwarded.client, &config);
                let reply = Reply::refusal(&refusal, context);
                DataStep::Answer(self.with_pending_cookies(reply))
            }
        }
    }
}
