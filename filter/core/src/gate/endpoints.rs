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

/// One of Lictor's endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Answers 200 while the process runs.
    Live,
    /// Answers 200 once logins and tokens can be verified.
    Ready,
    /// Begins a login (`start` and `sign_in`).
    Start,
    /// Receives the provider's authorization response.
    Callback,
    /// Ends the session.
    SignOut,
    /// Describes the identity of the request.
    Userinfo,
    /// Gives the verdict on a request that another proxy holds.
    Auth,
    /// Receives logout tokens from the provider.
    BackchannelLogout,
    /// Issues personal tokens.
    Token,
    /// Serves the script that Lictor adds to Prefect's pages.
    Companion,
    /// A path under the prefix that is not an endpoint.
    Unknown,
}

impl Endpoint {
    /// Returns the endpoint at a target. Returns `None` for a target outside the prefix.
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

/// The methods that an endpoint accepts. `HEAD` is treated as `GET`.
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

/// The host names at which an endpoint answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hosts {
    /// Any host name: probes name an address, and providers may call from inside the network.
    Any,
    /// The configured host names.
    Configured,
    /// The host name of the public URL, where browsers log in.
    Public,
}

impl Endpoint {
    /// Returns the methods and hosts that an endpoint accepts. Returns `None` for
    /// [`Self::Unknown`], and for [`Self::Auth`], which has its own checks.
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

    /// Begins a login. Only a page load may begin one, so that scripts leave no cookies behind.
    fn start(&mut self, incoming: &Incoming<'_>, cx: &mut Cx<'_>) -> Result<Decision, Refusal> {
        let return_to = return_path::wish(incoming.target.query());
        if !incoming.is_page_load() {
            return Err(Refusal::new(Reason::NoCredential)
                .seen("a login by a script")
                .wanted("a page load"));
        }
        let (config, cookies) = (cx.site.config(), incoming.cookies()?);
        // A user who signs in must not keep another session meanwhile (GHSA-f24x-5g9q-753f). A link
        // on another site signs no one out.
        if is_deliberate_navigation(incoming.view) && shows_session(cookies, &config) {
            self.set_cookies = clear_session(&config, cookies);
        }
        self.begin_login(return_to.as_deref(), cookies, cx)
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
            Proof::Nobody { session_ended: Some(why) } => {
                Err(Refusal::new(Reason::SessionEnded).seen(why).wanted("a new login"))
            }
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

/// Returns the companion script, which is public because it says nothing about any user.
///
/// It may be cached without limit when the request names its present version.
fn companion_script(target: &Target<'_>) -> Reply {
    let version = query::only(target.query().unwrap_or_default(), "v").ok().flatten();
    Reply::script(companion::SCRIPT, version.is_some_and(|version| version == companion::version()))
}
