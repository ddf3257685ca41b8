//! Signing out: here, and at the provider.

use super::authenticate::shows_session;
use super::login::Step;
use super::{Cx, Gate, State, asker};
use crate::config::Config;
use crate::decision::Decision;
use crate::http::client::{ClientKind, is_deliberate_navigation, is_ours};
use crate::http::cookies::Cookies;
use crate::http::query::encode;
use crate::http::request::RequestView;
use crate::idp::token;
use crate::pages::Page;
use crate::refusal::{Reason, Refusal};
use crate::reply::Reply;
use crate::session::cookie::{Found, clear_session};

impl Gate {
    pub(super) fn sign_out(
        &mut self,
        request: RequestView<'_>,
        cookies: &Cookies<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        let config = cx.site.config();
        let post = request.method() == "POST";
        if post && !is_ours(request, config.public.origin()) {
            return Err(Refusal::new(Reason::CrossSite).seen("a sign-out by another site"));
        }
        if !post && !is_deliberate_navigation(request) {
            if ClientKind::of(request) != ClientKind::Navigation {
                return Err(Refusal::new(Reason::CrossSite).seen("a sign-out that is no page load"));
            }
            let asker = asker(request, &config);
            let page = if shows_session(cookies, &config) {
                Page::confirm_sign_out(asker)
            } else {
                Page::signed_out(asker, false)
            };
            return Ok(self.reply(Reply::page(200, "sign_out_asked", &page, asker)));
        }
        self.end_session(request, cookies, cx)
    }

    /// Ends the session here, and at the provider: with Keycloak by the refresh token, without a
    /// question; elsewhere at its end_session_endpoint (OpenID Connect RP-Initiated Logout §2).
    fn end_session(
        &mut self,
        request: RequestView<'_>,
        cookies: &Cookies<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        let config = cx.site.config();
        let found = cx.site.session_cookie.find(&config, cookies);
        self.set_cookies = clear_session(&config, cookies);
        let Found::Session { session, .. } = found else {
            return Ok(self.signed_out(false, request, cx));
        };
        cx.site.sign_out(session.id, cx.now);
        let provider = cx.site.provider().cloned();
        let logout = provider
            .as_ref()
            .and_then(|p| p.logout_path.as_deref())
            .zip(session.refresh_token.as_ref());
        if let Some((path, token)) = logout {
            let callout = token::end_session(&config, path, token);
            self.state = State::Login(Step::SigningOut);
            return Ok(Decision::Await(callout));
        }
        match provider.and_then(|p| p.end_session) {
            Some(endpoint) => {
                let reply = Reply::redirect(&rp_initiated(&endpoint, &config), "signed_out");
                let reply = reply.with_cookies(core::mem::take(&mut self.set_cookies));
                Ok(self.reply(reply))
            }
            None => Ok(self.signed_out(false, request, cx)),
        }
    }

    pub(super) fn signed_out(
        &mut self,
        everywhere: bool,
        request: RequestView<'_>,
        cx: &Cx<'_>,
    ) -> Decision {
        let config = cx.site.config();
        let asker = asker(request, &config);
        let page = Page::signed_out(asker, everywhere);
        let reply = Reply::page(200, "signed_out", &page, asker)
            .with_cookies(core::mem::take(&mut self.set_cookies));
        self.reply(reply)
    }
}

fn rp_initiated(endpoint: &str, config: &Config) -> String {
    let back = format!("{}/sign_out", config.absolute(&config.endpoints));
    let query =
        encode([("client_id", config.client_id.as_str()), ("post_logout_redirect_uri", &back)]);
    format!("{endpoint}?{query}")
}
