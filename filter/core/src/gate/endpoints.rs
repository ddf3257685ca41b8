//! Lictor's own endpoints, by exact path (docs/endpoints.md).

use serde_json::json;

use super::authenticate::{Proof, shows_session};
use super::hosts::Host;
use super::{Cx, Gate};
use crate::config::Config;
use crate::decision::Decision;
use crate::http::client::{ClientKind, is_deliberate_navigation};
use crate::http::cookies::Cookies;
use crate::http::query;
use crate::http::request::RequestView;
use crate::http::target::Target;
use crate::login::return_path;
use crate::prefect::companion;
use crate::refusal::{Reason, Refusal};
use crate::reply::Reply;
use crate::session::cookie::clear_session;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The process answers.
    Live,
    /// People and tokens can be served.
    Ready,
    /// Begins a login (`start` and `sign_in`).
    Start,
    /// The provider's answer.
    Callback,
    /// Ends the session.
    SignOut,
    /// Who am I?
    Userinfo,
    /// The verdict on a request that another proxy holds.
    Auth,
    /// The provider ends sessions.
    BackchannelLogout,
    /// Personal tokens.
    Token,
    /// The script in Prefect's pages.
    Companion,
    /// Nothing of that name.
    Unknown,
}

impl Endpoint {
    /// The endpoint at a target, if it is under the prefix.
    pub fn at(target: &Target<'_>, config: &Config) -> Option<Self> {
        let rest = target.decoded().strip_prefix(&config.endpoints)?;
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        Some(match target.path().strip_prefix(&config.endpoints).unwrap_or_default() {
            "/live" => Self::Live,
            "/ready" => Self::Ready,
            "/start" | "/sign_in" => Self::Start,
            "/callback" => Self::Callback,
            "/sign_out" => Self::SignOut,
            "/userinfo" => Self::Userinfo,
            "/auth" => Self::Auth,
            "/backchannel_logout" => Self::BackchannelLogout,
            "/token" => Self::Token,
            "/companion.js" if config.companion => Self::Companion,
            _ => Self::Unknown,
        })
    }
}

impl Gate {
    pub(super) fn endpoint(
        &mut self,
        endpoint: Endpoint,
        host: Host<'_>,
        target: &Target<'_>,
        request: RequestView<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        if endpoint == Endpoint::Auth {
            return Ok(self.auth_request(host, target, request, cx));
        }
        let get = matches!(request.method(), "GET" | "HEAD");
        if request.has("upgrade") {
            return Err(Refusal::new(Reason::Upgrade).seen("an upgrade of an endpoint"));
        }
        match endpoint {
            Endpoint::Unknown => {
                return Err(Refusal::new(Reason::NotFound).seen("an unknown endpoint"));
            }
            Endpoint::Token if get || request.method() == "POST" => {
                return self.personal_tokens(host, target, request, cx);
            }
            Endpoint::BackchannelLogout => return self.begin_backchannel_logout(request, cx),
            Endpoint::SignOut if get || request.method() == "POST" => {}
            _ if get => {}
            _ => return Err(Refusal::new(Reason::Method).wanted("GET")),
        }
        // Probes name an address, not a host.
        match endpoint {
            Endpoint::Live => {
                return Ok(self.reply(Reply::json(200, "live", &json!({"status": "live"}))));
            }
            Endpoint::Ready => return self.ready(cx),
            _ => {}
        }
        let host = host.known()?;
        let cookies = Cookies::parse(request).map_err(|_| Refusal::new(Reason::CookiesTooLarge))?;
        if endpoint == Endpoint::Userinfo {
            return self.userinfo(host, request, &cookies, cx);
        }
        if endpoint == Endpoint::Companion {
            return Ok(self.reply(companion_script(target)));
        }
        if !host.is_public() {
            return Err(Refusal::new(Reason::NotFound).seen("a login on a host for machines"));
        }
        match endpoint {
            Endpoint::Start => {
                let wish = return_path::wish(target.query());
                // Only page loads leave cookies behind.
                if ClientKind::of(request) != ClientKind::Navigation {
                    return Err(Refusal::new(Reason::NoCredential)
                        .seen("a login by a script")
                        .wanted("a page load"));
                }
                // Whoever signs in is not somebody else meanwhile (GHSA-f24x-5g9q-753f); a link elsewhere
                // signs nobody out.
                if is_deliberate_navigation(request) && shows_session(&cookies, &cx.site.config()) {
                    self.set_cookies = clear_session(&cx.site.config(), &cookies);
                }
                self.begin_login(wish.as_deref(), &cookies, cx)
            }
            Endpoint::Callback => self.callback(target, request, &cookies, cx),
            Endpoint::SignOut => self.sign_out(request, &cookies, cx),
            _ => Err(Refusal::new(Reason::NotFound)),
        }
    }

    fn ready(&mut self, cx: &mut Cx<'_>) -> Result<Decision, Refusal> {
        cx.site.catch_up(cx.now);
        if cx.site.is_ready(cx.now) {
            return Ok(self.reply(Reply::json(200, "ready", &json!({"status": "ready"}))));
        }
        let seen = if cx.site.provider().is_none() {
            "no metadata of the provider"
        } else {
            "no keys of the provider"
        };
        Err(Refusal::new(Reason::NotReady).seen(seen).wanted("metadata and keys"))
    }

    fn userinfo(
        &mut self,
        host: super::hosts::Known<'_>,
        request: RequestView<'_>,
        cookies: &Cookies<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        match self.authenticate(host, request, cookies, cx)? {
            Proof::Wait => Ok(self.wait(cx.now)),
            Proof::Nothing { session_ended: true } => Err(Refusal::new(Reason::SessionEnded)),
            Proof::Nothing { .. } => Err(Refusal::new(Reason::NoCredential)),
            Proof::Identity(identity) => {
                let principal = &identity.principal;
                let body = json!({
                    "user": principal.id,
                    "preferredUsername": principal.name,
                    "email": principal.email,
                    "role": identity.role.map(crate::policy::role::Role::name),
                    "method": principal.method.label(),
                    "expires": identity.until.map(crate::time::UnixTime::secs),
                });
                let reply = Reply::json(200, "userinfo", &body)
                    .with_cookies(core::mem::take(&mut self.set_cookies));
                Ok(self.reply(reply))
            }
        }
    }
}

/// It says nothing about anybody, so everybody may have it; under its own version for as long as they like.
fn companion_script(target: &Target<'_>) -> Reply {
    let own = query::only(target.query().unwrap_or_default(), "v").ok().flatten();
    Reply::script(companion::SCRIPT, own.is_some_and(|own| own == companion::version()))
}
