//! Lictor's own endpoints, by exact path (docs/endpoints.md).

use serde_json::json;

use super::authenticate::{Proof, shows_session};
use super::endpoint_body::BodyEndpoint;
use super::incoming::Incoming;
use super::{Cx, Gate, WaitFor};
use crate::answer::reply::Reply;
use crate::config::Config;
use crate::gate::decision::Decision;
use crate::login::return_path;
use crate::prefect::companion;
use crate::refusal::{Reason, Refusal};
use crate::session::cookie::clear_session;
use crate::wire::http::client::is_deliberate_navigation;
use crate::wire::http::query;
use crate::wire::http::target::Target;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
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
    pub(crate) fn at(target: &Target<'_>, config: &Config) -> Option<Self> {
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

/// Which methods an endpoint takes; `HEAD` is taken as `GET`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Methods {
    Get,
    GetOrPost,
    Post,
}

impl Methods {
    fn check(self, method: &str) -> Result<(), Refusal> {
        let wanted = match (self, method) {
            (Self::Get | Self::GetOrPost, "GET" | "HEAD")
            | (Self::Post | Self::GetOrPost, "POST") => return Ok(()),
            (Self::Get, _) => "GET",
            (Self::GetOrPost, _) => "GET or POST",
            (Self::Post, _) => "POST",
        };
        Err(Refusal::new(Reason::Method).wanted(wanted))
    }
}

/// Which host names an endpoint answers at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hosts {
    /// Any: probes name an address, and providers may call from inside.
    Any,
    /// The configured ones.
    Configured,
    /// That of the public URL: browsers log in there.
    Public,
}

impl Endpoint {
    /// What a request must be before the endpoint looks at it; `None` where nothing of that name is.
    const fn rules(self) -> Option<(Methods, Hosts)> {
        Some(match self {
            Self::Live | Self::Ready => (Methods::Get, Hosts::Any),
            Self::BackchannelLogout => (Methods::Post, Hosts::Any),
            Self::Userinfo | Self::Companion => (Methods::Get, Hosts::Configured),
            Self::Token => (Methods::GetOrPost, Hosts::Configured),
            Self::Start | Self::Callback => (Methods::Get, Hosts::Public),
            Self::SignOut => (Methods::GetOrPost, Hosts::Public),
            Self::Auth | Self::Unknown => return None,
        })
    }
}

impl Gate {
    pub(super) fn endpoint(
        &mut self,
        endpoint: Endpoint,
        incoming: &Incoming<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        if endpoint == Endpoint::Auth {
            return Ok(self.auth_request(incoming, cx));
        }
        if incoming.upgrade {
            return Err(Refusal::new(Reason::Upgrade).seen("an upgrade of an endpoint"));
        }
        let unknown = || Refusal::new(Reason::NotFound).seen("an unknown endpoint");
        let (methods, hosts) = endpoint.rules().ok_or_else(unknown)?;
        methods.check(incoming.method())?;
        if hosts != Hosts::Any {
            let host = incoming.host.known()?;
            if hosts == Hosts::Public && !host.is_public() {
                return Err(Refusal::new(Reason::NotFound).seen("a login on a host for machines"));
            }
        }
        match endpoint {
            Endpoint::Live => Ok(self.reply(Reply::json(200, "live", &json!({"status": "live"})))),
            Endpoint::Ready => self.ready(cx),
            Endpoint::BackchannelLogout => self.begin_endpoint_body(
                BodyEndpoint::BackchannelLogout,
                incoming.view,
                &cx.site.config(),
            ),
            Endpoint::Userinfo => self.userinfo(incoming, cx),
            Endpoint::Companion => Ok(self.reply(companion_script(&incoming.target))),
            Endpoint::Token => self.personal_tokens(incoming, cx),
            Endpoint::Start => self.start(incoming, cx),
            Endpoint::Callback => self.callback(incoming, cx),
            Endpoint::SignOut => self.sign_out(incoming, cx),
            Endpoint::Auth | Endpoint::Unknown => Err(unknown()),
        }
    }

    /// Begins a login. Only page loads leave cookies behind.
    fn start(&mut self, incoming: &Incoming<'_>, cx: &mut Cx<'_>) -> Result<Decision, Refusal> {
        let wish = return_path::wish(incoming.target.query());
        if !incoming.is_page_load() {
            return Err(Refusal::new(Reason::NoCredential)
                .seen("a login by a script")
                .wanted("a page load"));
        }
        let (config, cookies) = (cx.site.config(), incoming.cookies()?);
        // Whoever signs in is not somebody else meanwhile (GHSA-f24x-5g9q-753f); a link elsewhere signs
        // nobody out.
        if is_deliberate_navigation(incoming.view) && shows_session(cookies, &config) {
            self.set_cookies = clear_session(&config, cookies);
        }
        self.begin_login(wish.as_deref(), cookies, cx)
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

    fn userinfo(&mut self, incoming: &Incoming<'_>, cx: &mut Cx<'_>) -> Result<Decision, Refusal> {
        let host = incoming.host.known()?;
        match self.authenticate(host, incoming.view, incoming.cookies()?, cx)? {
            Proof::Wait => Ok(self.wait(WaitFor::Verdict, cx.now)),
            Proof::Nobody { session_ended: true } => Err(Refusal::new(Reason::SessionEnded)),
            Proof::Nobody { .. } => Err(Refusal::new(Reason::NoCredential)),
            Proof::Identified(identity) => {
                let principal = &identity.principal;
                let body = json!({
                    "user": principal.id,
                    "preferredUsername": principal.name,
                    "email": principal.email,
                    "role": identity.role.map(crate::identity::role::Role::name),
                    "method": principal.method.label(),
                    "expires": identity.until.map(crate::foundation::time::UnixTime::secs),
                });
                Ok(self.reply(Reply::json(200, "userinfo", &body)))
            }
        }
    }
}

/// It says nothing about anybody, so everybody may have it; under its own version for as long as they like.
fn companion_script(target: &Target<'_>) -> Reply {
    let own = query::only(target.query().unwrap_or_default(), "v").ok().flatten();
    Reply::script(companion::SCRIPT, own.is_some_and(|own| own == companion::version()))
}
