//! Requests whose body says what they ask of Prefect: who may have less than they could ask for is judged
//! by the body. Envoy's buffer filter stands behind Lictor on their routes (`prefect.buffered_routes`) and
//! holds the head meanwhile.

use super::forwarded::Forwarded;
use super::{Cx, Gate, State, asker_of};
use crate::answer::context::AnswerContext;
use crate::answer::reply::Reply;
use crate::config::Config;
use crate::foundation::limits::BODY_LIMIT;
use crate::gate::decision::DataStep;
use crate::identity::principal::Identity;
use crate::policy::authorize;
use crate::prefect::operations::Operation;
use crate::prefect::place::Place;
use crate::refusal::{Reason, Refusal};
use crate::telemetry::event::Event;

/// One that waits for its body.
pub(crate) struct BodyPending {
    pub(crate) identity: Identity,
    pub(crate) operation: Operation<'static>,
    pub(crate) forwarded: Forwarded,
}

/// The operation to judge with the body, where that makes a difference for whoever asks.
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
    let may = |operation: &Operation<'_>| authorize::may(identity, operation).is_ok();
    (may(&operation.at_best()) && !may(&operation)).then_some(operation)
}

impl Gate {
    /// So much of its body is here.
    pub(super) fn operation_body_data(
        &mut self,
        judging: Box<BodyPending>,
        held: &[u8],
        end: bool,
        cx: &mut Cx<'_>,
    ) -> DataStep {
        if held.len() > BODY_LIMIT {
            return self.authorize_body(*judging, None, Reason::BodyTooLarge, cx);
        }
        if end {
            return self.authorize_body(*judging, Some(held), Reason::RoleMissing, cx);
        }
        self.state = State::AwaitingBody(judging);
        DataStep::Hold
    }

    /// Prefect answers, and the body has not been judged: nobody must get this answer. Errors pass without a
    /// verdict: Envoy itself makes them, of a body that stops coming, and they hold nothing.
    pub(super) fn answered_before_body(&mut self, status: u16, cx: &mut Cx<'_>) -> Option<Reply> {
        match core::mem::replace(&mut self.state, State::Over) {
            State::AwaitingBody(judging) if status < 400 => {
                match self.authorize_body(*judging, None, Reason::Internal, cx) {
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

    /// The verdict. A body that can't be read counts as one that asks for everything.
    pub(super) fn authorize_body(
        &mut self,
        judging: BodyPending,
        body: Option<&[u8]>,
        reason: Reason,
        cx: &mut Cx<'_>,
    ) -> DataStep {
        let BodyPending { identity, operation, forwarded } = judging;
        let config = cx.site.config();
        let request_id = forwarded.request_id.as_deref();
        match authorize::identity(identity, &operation.with_body(body), &config.roles) {
            Ok(permit) => {
                self.event = Some(Event::forwarded(&permit).with_request(request_id));
                self.state = State::Forwarded(forwarded);
                DataStep::Pass
            }
            Err(refusal) => {
                let refusal = Refusal { reason, ..refusal };
                self.event = Some(Event::refused(&refusal).with_request(request_id));
                let asker = AnswerContext { request_id, ..asker_of(forwarded.client, &config) };
                DataStep::Answer(self.with_pending_cookies(Reply::refusal(&refusal, asker)))
            }
        }
    }
}
