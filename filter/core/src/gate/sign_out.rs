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
use crate::secret::Secret;
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
        let over = cx.site.is_ended(&session, cx.now)
            || cx.now.is_over(session.started, config.session.absolute);
        // Another tab may have refreshed the session since this cookie was made.
        let refresh_token = cx.site.newest(&session).refresh_token;
        cx.site.sign_out(session.id, cx.now);
        // The provider is asked for what may still be there, and not without bound.
        if over || !cx.site.begin_login() {
            return Ok(self.signed_out(false, request, cx));
        }
        let provider = cx.site.provider().cloned();
        let logout =
            provider.as_ref().and_then(|p| p.logout_path.as_deref()).zip(refresh_token.as_ref());
        if let Some((path, token)) = logout {
            let callout = token::end_session(&config, path, token);
            self.state = State::Login(Step::SigningOut);
            return Ok(Decision::Await(callout));
        }
        let Some((provider, endpoint)) = provider.and_then(|p| Some((p.clone(), p.end_session?)))
        else {
            cx.site.end_login();
            return Ok(self.signed_out(false, request, cx));
        };
        let Some(token) = &refresh_token else {
            cx.site.end_login();
            return Ok(self.sign_out_at(&endpoint, None, cx));
        };
        // A hint spares the person a question; no ID token is kept, so a fresh one is asked for.
        let callout = token::refresh(&config, &provider, token);
        self.state = State::Login(Step::AskingForHint(endpoint));
        Ok(Decision::Await(callout))
    }

    /// Off to the provider's own logout.
    pub(super) fn sign_out_at(
        &mut self,
        endpoint: &str,
        hint: Option<&Secret>,
        cx: &Cx<'_>,
    ) -> Decision {
        let location = rp_initiated(endpoint, hint, &cx.site.config());
        let reply = Reply::redirect(&location, "signed_out");
        let reply = reply.with_cookies(core::mem::take(&mut self.set_cookies));
        self.reply(reply)
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

fn rp_initiated(endpoint: &str, hint: Option<&Secret>, config: &Config) -> String {
    let back = format!("{}/sign_out", config.absolute(&config.endpoints));
    let own = [("client_id", config.client_id.as_str()), ("post_logout_redirect_uri", &back)];
    let hint = hint.map(|token| ("id_token_hint", token.expose_str()));
    format!("{endpoint}?{}", encode(own.into_iter().chain(hint)))
}
