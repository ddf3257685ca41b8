//! The back-channel logout endpoint, at which the provider ends sessions (OpenID Connect
//! Back-Channel Logout §2.5).

use serde_json::json;

use super::endpoint_body::BodyEndpoint;
use super::incoming::Incoming;
use super::unknown_key::NoKey;
use super::{Cx, Gate, State};
use crate::answer::reply::Reply;
use crate::config::LOGIN;
use crate::gate::decision::Decision;
use crate::login::backchannel;
use crate::refusal::{Reason, Refusal};
use crate::telemetry::event::Event;
use crate::wire::jose::verify::Unverified;
use crate::workers::tombstones::Added;

impl Gate {
    /// Begins to read the form with the logout token.
    pub(super) fn begin_logout_token(
        &mut self,
        incoming: &Incoming<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        let reader = BodyEndpoint::BackchannelLogout;
        self.begin_endpoint_body(reader, incoming.view, cx)
    }

    /// Verifies a logout token again, after the fetch of its key has ended.
    pub(super) fn logout_token_woken(&mut self, token: String, cx: &mut Cx<'_>) -> Decision {
        let decision = self.accept_logout_token(token, cx);
        decision.unwrap_or_else(|refusal| Decision::Reply(self.oauth_error(&refusal)))
    }

    /// Reads the logout token from the posted form and accepts it.
    pub(super) fn backchannel_logout(
        &mut self,
        form: &str,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        let token = backchannel::token(form).ok_or_else(|| {
            Refusal::new(Reason::LogoutToken)
                .seen("a form without exactly one logout_token")
                .wanted("one logout_token")
        })?;
        self.accept_logout_token(token, cx)
    }

    fn accept_logout_token(&mut self, token: String, cx: &mut Cx<'_>) -> Result<Decision, Refusal> {
        let config = cx.site.config();
        cx.site.catch_up(cx.now);
        let verifier = cx.site.verifier(&config, cx.now);
        let verifier = verifier.ok_or_else(Refusal::no_keys)?;
        let logout = match backchannel::verify(&token, verifier, &config, cx.now) {
            Ok(logout) => logout,
            Err(Unverified::UnknownKey(_)) if cx.site.keys.take_newer(LOGIN, cx.now) => {
                return self.accept_logout_token(token, cx);
            }
            Err(Unverified::UnknownKey(kid)) => return self.await_logout_key(&kid, token, cx),
            Err(Unverified::Mismatch(mismatch)) => {
                return Err(Refusal::new(Reason::LogoutToken)
                    .seen(mismatch.of("logout token"))
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
        // The `jti` is marked as used only after the logout is recorded. A logout that was not
        // recorded may be sent again.
        let done = cx.site.end_by_provider(&logout, cx.now)
            && match cx.site.use_logout_token(&logout.jti, cx.now) {
                Added::New => true,
                Added::Known => return Err(again()),
                Added::Busy => false,
            };
        if !done {
            return Err(Refusal::busy("too many logout tokens"));
        }
        let event = Event::answered("backchannel_logout");
        self.event = Some(event.about_subject(logout.subject.as_deref()));
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
                self.state = State::LogoutToken(token);
                return Ok(Decision::AwaitSite);
            }
            Err(NoKey::Unknown) => Reason::LogoutToken,
            Err(NoKey::NotFetched | NoKey::Busy) => Reason::NotReady,
        };
        Err(Refusal::new(reason)
            .seen(format!("logout token with kid {kid}"))
            .wanted("a key of the issuer"))
    }
}
