//! The provider's word that sessions are over: the one endpoint whose body is read. Envoy's buffer
//! filter must stand behind Lictor there (`prefect.buffered_routes`): nothing but the body would be held
//! otherwise, and the head would be on its way to Prefect.

use serde_json::json;

use super::unknown_key::NoKey;
use super::{Cx, Gate, State};
use crate::config::LOGIN;
use crate::decision::{DataStep, Decision};
use crate::http::request::RequestView;
use crate::jose::verify::Unverified;
use crate::limits::JUDGED_BODY;
use crate::login::backchannel;
use crate::prefect::upstream;
use crate::refusal::{Reason, Refusal};
use crate::reply::Reply;
use crate::shared::marks::Added;

/// Where such a request stands.
pub enum Step {
    /// Its body is on its way.
    Reading {
        /// What the body says it is.
        content_type: Option<String>,
    },
    /// The token is here, its key is not.
    AwaitingKey(String),
}

impl Gate {
    /// Its head is here.
    pub(super) fn begin_backchannel_logout(
        &mut self,
        request: RequestView<'_>,
        cx: &Cx<'_>,
    ) -> Result<Decision, Refusal> {
        if request.method() != "POST" {
            return Err(Refusal::new(Reason::Method).wanted("POST"));
        }
        if !cx.site.config().prefect.buffered_routes {
            return Err(Refusal::new(Reason::NotBuilt).seen("back-channel logout").wanted(
                "prefect.buffered_routes, and Envoy's buffer filter behind Lictor on this path",
            ));
        }
        let content_type = request.text("content-type").map(str::to_owned);
        self.state = State::BackchannelLogout(Step::Reading { content_type });
        let mut edit = upstream::stripped(request);
        edit.remove.extend(request.has("cookie").then(|| "cookie".to_owned()));
        Ok(Decision::ReadBody(edit))
    }

    /// Trailers would let the whole request go on, and a logout token has none.
    pub(super) fn backchannel_trailers(&mut self) -> DataStep {
        let refusal = Refusal::new(Reason::LogoutToken).seen("trailers").wanted("a body alone");
        DataStep::Answer(self.refused_backchannel(&refusal))
    }

    /// So much of its body is here.
    pub(super) fn backchannel_data(
        &mut self,
        step: Step,
        held: &[u8],
        end: bool,
        cx: &mut Cx<'_>,
    ) -> DataStep {
        let Step::Reading { content_type } = step else {
            // The body has been read; the answer waits for a key.
            self.state = State::BackchannelLogout(step);
            return DataStep::Hold;
        };
        if held.len() <= JUDGED_BODY && !end {
            self.state = State::BackchannelLogout(Step::Reading { content_type });
            return DataStep::Hold;
        }
        let token = Some(held)
            .filter(|held| held.len() <= JUDGED_BODY)
            .and_then(|held| backchannel::token(content_type.as_deref(), held));
        let answer = match token {
            Some(token) => self.backchannel_logout(token, cx),
            None => Err(Refusal::new(Reason::LogoutToken)
                .seen("another body")
                .wanted("a form of at most 64 KiB with one logout_token")),
        };
        match answer {
            Ok(Decision::Reply(reply)) => DataStep::Answer(reply),
            Ok(_) => DataStep::Hold,
            Err(refusal) => DataStep::Answer(self.refused_backchannel(&refusal)),
        }
    }

    /// Its key may be here.
    pub(super) fn backchannel_woken(
        &mut self,
        step: Step,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        let decision = match step {
            Step::AwaitingKey(token) => self.backchannel_logout(token, cx),
            Step::Reading { .. } => {
                Err(Refusal::new(Reason::Internal).seen("woken while reading a body"))
            }
        };
        Ok(decision.unwrap_or_else(|refusal| Decision::Reply(self.refused_backchannel(&refusal))))
    }

    fn backchannel_logout(&mut self, token: String, cx: &mut Cx<'_>) -> Result<Decision, Refusal> {
        let config = cx.site.config();
        cx.site.catch_up(cx.now);
        let verifier = cx.site.verifier(&config, cx.now);
        let verifier = verifier
            .ok_or_else(|| Refusal::new(Reason::NotReady).seen("no keys of the provider"))?;
        let logout = match backchannel::verify(&token, verifier, &config, cx.now) {
            Ok(logout) => logout,
            Err(Unverified::UnknownKey(kid)) => return self.await_logout_key(&kid, token, cx),
            Err(Unverified::Mismatch(mismatch)) => {
                return Err(Refusal::new(Reason::LogoutToken)
                    .seen(format!("{} {}", mismatch.claim, mismatch.seen))
                    .wanted(&mismatch.wanted));
            }
        };
        let again = || {
            Refusal::new(Reason::LogoutToken)
                .seen("a jti for the second time")
                .wanted("each token once")
        };
        if cx.site.knows_logout_token(&logout.jti, cx.now) {
            return Err(again());
        }
        // Only what has been done is used up: a logout that found no place may come again.
        let done = cx.site.end_by_provider(&logout, cx.now)
            && match cx.site.use_logout_token(&logout.jti, cx.now) {
                Added::New => true,
                Added::Known => return Err(again()),
                Added::Busy => false,
            };
        if !done {
            return Err(Refusal::new(Reason::Busy).seen("too many logouts at once"));
        }
        let reply = Reply::json(200, "backchannel_logout", &json!({}));
        Ok(self.reply(reply))
    }

    fn await_logout_key(
        &mut self,
        kid: &str,
        token: String,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        let reason = match self.await_key(LOGIN, cx) {
            Ok(()) => {
                self.state = State::BackchannelLogout(Step::AwaitingKey(token));
                return Ok(Decision::AwaitSite);
            }
            Err(NoKey::Unknown) => Reason::LogoutToken,
            Err(NoKey::NotFetched | NoKey::Busy) => Reason::NotReady,
        };
        Err(Refusal::new(reason)
            .seen(format!("logout token with kid {kid}"))
            .wanted("a key of the issuer"))
    }

    fn refused_backchannel(&mut self, refusal: &Refusal) -> Reply {
        self.event = Some(crate::audit::Event::refused(refusal));
        Reply::oauth_error(refusal)
    }
}
