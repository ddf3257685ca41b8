//! Requests whose body says what they ask of Prefect: who may have less than they could ask for is judged
//! by the body. Envoy's buffer filter stands behind Lictor on their routes (`prefect.buffered_routes`) and
//! holds the head meanwhile.

use super::{Cx, Forwarded, Gate, State, asker_of};
use crate::asker::Asker;
use crate::audit::Event;
use crate::config::Config;
use crate::decision::{DataStep, Decision, RequestEdit};
use crate::http::target::Target;
use crate::limits::JUDGED_BODY;
use crate::policy::authorize::{self, Permit};
use crate::policy::principal::Identity;
use crate::prefect::operations::Operation;
use crate::refusal::{Reason, Refusal};
use crate::reply::Reply;

/// One that waits for its body.
pub struct Judging {
    pub identity: Identity,
    pub operation: Operation<'static>,
    pub forwarded: Forwarded,
    /// Its head says that there is none.
    pub empty: bool,
}

/// The operation to judge with the body, where that makes a difference for whoever asks.
pub fn hangs_on_body(
    identity: &Identity,
    operation: &Operation<'_>,
    target: &Target<'_>,
    config: &Config,
) -> Option<Operation<'static>> {
    if !config.prefect.buffered_routes {
        return None;
    }
    let operation = operation.hangs_on_body(target)?;
    let may = |operation: &Operation<'_>| authorize::may(identity, operation).is_ok();
    (may(&operation.at_best()) && !may(&operation)).then_some(operation)
}

impl Gate {
    /// Its head may go, to the filter behind.
    pub(super) fn forward_with_body(
        &mut self,
        permit: Permit,
        edit: RequestEdit,
        judging: Judging,
    ) -> Decision {
        self.state = State::JudgedBody(Box::new(judging));
        Decision::ForwardWithBody { permit, edit }
    }

    /// So much of its body is here.
    pub(super) fn judged_data(
        &mut self,
        judging: Box<Judging>,
        held: &[u8],
        end: bool,
        cx: &mut Cx<'_>,
    ) -> DataStep {
        if held.len() > JUDGED_BODY {
            return self.judge_body(*judging, None, Reason::BodyTooLarge, cx);
        }
        if end {
            return self.judge_body(*judging, Some(held), Reason::RoleMissing, cx);
        }
        self.state = State::JudgedBody(judging);
        DataStep::Hold
    }

    /// Prefect answers, and no body has been seen. A head that waited, and behind which there is none, is
    /// told so by nobody: it is judged now. Any other must not get this answer. Errors pass without a
    /// verdict: Envoy itself makes them, of a body that stops coming, and they hold nothing.
    pub(super) fn answered_before_verdict(
        &mut self,
        status: u16,
        cx: &mut Cx<'_>,
    ) -> Option<Reply> {
        let state = core::mem::replace(&mut self.state, State::Over);
        let judging = match state {
            State::JudgedBody(judging) if judging.empty || status < 400 => judging,
            other => {
                self.state = other;
                return None;
            }
        };
        let body = judging.empty.then_some(b"".as_slice());
        match self.judge_body(*judging, body, Reason::Internal, cx) {
            DataStep::Pass => None,
            DataStep::Answer(reply) => Some(reply),
            _ => Some(Reply::unavailable()),
        }
    }

    /// The verdict. A body that can't be read counts as one that asks for everything.
    pub(super) fn judge_body(
        &mut self,
        judging: Judging,
        body: Option<&[u8]>,
        reason: Reason,
        cx: &mut Cx<'_>,
    ) -> DataStep {
        let Judging { identity, operation, forwarded, .. } = judging;
        let config = cx.site.config();
        let request_id = forwarded.asker.request_id.as_deref();
        match authorize::identity(identity, &operation.with_body(body), &config.roles) {
            Ok(permit) => {
                self.event = Some(Event::forwarded(&permit).with_request(request_id));
                self.state = State::Forwarded(forwarded);
                DataStep::Pass
            }
            Err(refusal) => {
                let refusal = Refusal { reason, ..refusal };
                self.event = Some(Event::refused(&refusal).with_request(request_id));
                let asker = Asker { request_id, ..asker_of(forwarded.asker.kind, &config) };
                let cookies = core::mem::take(&mut self.set_cookies);
                DataStep::Answer(Reply::refusal(&refusal, asker).with_cookies(cookies))
            }
        }
    }
}
