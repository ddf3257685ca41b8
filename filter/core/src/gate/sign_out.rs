//! Sign-out, at Lictor and at the provider.

use super::authenticate::{identity_of, shows_session};
use super::incoming::Incoming;
use super::{Cx, Gate, State};
use crate::answer::pages::Page;
use crate::answer::reply::Reply;
use crate::config::Config;
use crate::foundation::secret::Secret;
use crate::gate::decision::Decision;
use crate::provider::callout::CalloutReply;
use crate::provider::token_endpoint;
use crate::provider::token_endpoint::Client;
use crate::refusal::{Reason, Refusal};
use crate::session::cookie::{Found, clear_session};
use crate::wire::http::client::{ClientKind, is_deliberate_navigation, is_ours};
use crate::wire::http::cookies::Cookies;
use crate::wire::http::query::encode;
use crate::wire::http::request::RequestView;

/// The step of a sign-out that waits. It holds one of the bounded slots for logins.
pub(crate) enum SignOutStep {
    /// The logout endpoint has the refresh token.
    AtProvider,
    /// This refresh token fetches an ID token, as a hint for this logout endpoint.
    AskingForHint(Secret, String),
    /// The revocation endpoint has the refresh token. After it, the browser goes to this address.
    Revoking(Option<String>),
}

impl Gate {
    pub(super) fn sign_out(
        &mut self,
        incoming: &Incoming<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        let config = cx.site.config();
        let (request, cookies) = (incoming.view, incoming.cookies()?);
        let post = request.method() == "POST";
        if post && !is_ours(request, config.public.origin()) {
            return Err(Refusal::new(Reason::CrossSite)
                .seen("a sign-out by another site")
                .wanted("the page of a sign-out here"));
        }
        if !post && !is_deliberate_navigation(request) {
            if !incoming.is_page_load() {
                return Err(Refusal::new(Reason::CrossSite)
                    .seen("a sign-out that is no page load")
                    .wanted("a page load"));
            }
            let context = self.answer_context(incoming.client, &config);
            let page = if shows_session(cookies, &config) {
                Page::confirm_sign_out(context)
            } else {
                Page::signed_out(context, false)
            };
            let reply = Reply::page(200, "sign_out_asked", &page, context);
            return Ok(self.reply(reply));
        }
        Ok(self.end_session(request, cookies, cx))
    }

    /// Continues a sign-out after the provider has answered, or could not be asked.
    pub(super) fn sign_out_answered(
        &mut self,
        step: SignOutStep,
        reply: CalloutReply<'_>,
        request: RequestView<'_>,
        cx: &mut Cx<'_>,
    ) -> Decision {
        cx.site.contacted(reply, cx.now);
        cx.site.release_login_slot();
        match step {
            SignOutStep::AtProvider => {
                let ended = matches!(reply, CalloutReply::Answer { status: 200..=204, .. });
                self.signed_out(ended, request, cx)
            }
            SignOutStep::AskingForHint(shown, endpoint) => {
                let tokens = token_endpoint::read(reply).ok();
                let hint = tokens.as_ref().and_then(|tokens| tokens.id.as_ref());
                let location = rp_initiated(&endpoint, hint, &cx.site.config());
                // Without rotation the old token remains valid.
                let newest = tokens.as_ref().and_then(|tokens| tokens.refresh.as_ref());
                let revoked = self.revoke(newest.unwrap_or(&shown), Some(location.clone()), cx);
                revoked.unwrap_or_else(|| self.redirect_to_provider(&location))
            }
            SignOutStep::Revoking(Some(location)) => self.redirect_to_provider(&location),
            // The provider itself has no session that the token's end would end.
            SignOutStep::Revoking(None) => self.signed_out(false, request, cx),
        }
    }

    /// Ends the session at Lictor and at the provider.
    ///
    /// Keycloak ends it by the refresh token, without asking the user. Other providers end it at
    /// their `end_session_endpoint` (OpenID Connect RP-Initiated Logout §2).
    fn end_session(
        &mut self,
        request: RequestView<'_>,
        cookies: &Cookies<'_>,
        cx: &mut Cx<'_>,
    ) -> Decision {
        let config = cx.site.config();
        let found = cx.site.session_cookie.find(&config, cookies);
        self.set_cookies = clear_session(&config, cookies);
        let Found::Session { session, .. } = found else {
            return self.signed_out(false, request, cx);
        };
        let has_ended = cx.site.is_ended(&session, cx.now)
            || cx.now.is_over(session.started, config.session.absolute);
        // Another tab may have refreshed the session since this cookie was made.
        let refresh_token = cx.site.newest(&session).refresh_token;
        cx.site.sign_out(session.id, cx.now);
        self.answered = Some(Box::new(identity_of(&session, config.session.absolute)));
        // The provider is asked only about a session that may still exist, and for a bounded number
        // at a time.
        if has_ended || !cx.site.take_login_slot() {
            return self.signed_out(false, request, cx);
        }
        let provider = cx.site.provider().cloned();
        let logout = provider.as_ref().and_then(|p| p.logout.as_ref()).zip(refresh_token.as_ref());
        if let Some((endpoint, token)) = logout {
            let client = Client::new(&config, cx.now, cx.entropy);
            let callout = token_endpoint::end_session(&client, endpoint, token);
            self.state = State::SignOut(SignOutStep::AtProvider);
            return Decision::Await(callout);
        }
        cx.site.release_login_slot();
        let end_session = provider.as_ref().and_then(|provider| provider.end_session.as_deref());
        match (end_session, &refresh_token, &provider) {
            (Some(endpoint), Some(token), Some(provider)) if cx.site.take_login_slot() => {
                // With a hint the provider need not ask the user. Lictor keeps no ID token, so it
                // requests a new one.
                let client = Client::new(&config, cx.now, cx.entropy);
                let callout = token_endpoint::refresh(&client, provider, token);
                let step = SignOutStep::AskingForHint(token.clone(), endpoint.to_owned());
                self.state = State::SignOut(step);
                Decision::Await(callout)
            }
            (Some(endpoint), ..) => {
                self.redirect_to_provider(&rp_initiated(endpoint, None, &config))
            }
            (None, Some(token), _) => {
                self.revoke(token, None, cx).unwrap_or_else(|| self.signed_out(false, request, cx))
            }
            (None, None, _) => self.signed_out(false, request, cx),
        }
    }

    /// Revokes a refresh token, if the provider can and few do so at a time (RFC 7009). The browser
    /// then goes to `location`.
    fn revoke(
        &mut self,
        token: &Secret,
        location: Option<String>,
        cx: &mut Cx<'_>,
    ) -> Option<Decision> {
        let endpoint = cx.site.provider()?.revocation.clone()?;
        if !cx.site.take_login_slot() {
            return None;
        }
        let config = cx.site.config();
        let client = Client::new(&config, cx.now, cx.entropy);
        let callout = token_endpoint::revoke(&client, &endpoint, token);
        self.state = State::SignOut(SignOutStep::Revoking(location));
        Some(Decision::Await(callout))
    }

    /// Redirects the browser to the provider's logout endpoint.
    fn redirect_to_provider(&mut self, location: &str) -> Decision {
        self.reply(Reply::redirect(location, "signed_out"))
    }

    fn signed_out(&mut self, everywhere: bool, request: RequestView<'_>, cx: &Cx<'_>) -> Decision {
        let config = cx.site.config();
        let context = self.answer_context(ClientKind::of(request), &config);
        let page = Page::signed_out(context, everywhere);
        let reply = Reply::page(200, "signed_out", &page, context);
        self.reply(reply)
    }
}

/// Returns the URL of a logout at the provider (OpenID Connect RP-Initiated Logout §2).
fn rp_initiated(endpoint: &str, hint: Option<&Secret>, config: &Config) -> String {
    let back = format!("{}/sign_out", config.absolute(&config.endpoints));
    // Amazon Cognito has a name of its own, and refuses a logout without it.
    let is_cognito = config.issuer.starts_with("https://cognito-idp.");
    let name = if is_cognito { "logout_uri" } else { "post_logout_redirect_uri" };
    let parameters = [("client_id", config.client_id.as_str()), (name, &back)];
    let hint = hint.map(|token| ("id_token_hint", token.expose_str()));
    format!("{endpoint}?{}", encode(parameters.into_iter().chain(hint)))
}
