//! Lictor's own endpoints, by exact path (docs/endpoints.md).

use serde_json::json;

use super::auth_request::has_proxy_secret;
use super::authenticate::{Proof, shows_session};
use super::hosts::RequestHost;
use super::incoming::Incoming;
use super::login::LoginStep;
use super::{Cx, Gate, State, WaitFor};
use crate::answer::reply::Reply;
use crate::config::{Config, LOGIN};
use crate::gate::decision::Decision;
use crate::login::return_path;
use crate::prefect::companion;
use crate::refusal::{Reason, Refusal};
use crate::session::cookie::clear_session;
use crate::wire::http::client::is_deliberate_navigation;
use crate::wire::http::query;
use crate::wire::http::target::Target;

/// The endpoints. Every other path below the prefix is refused.
#[rustfmt::skip]
const ENDPOINTS: [Endpoint; 11] = [
    // Answers 200 while the process runs.
    Endpoint::new("/live", Methods::Get, Hosts::Any, Gate::live),
    // Answers 200 once logins and tokens can be verified.
    Endpoint::new("/ready", Methods::Get, Hosts::Any, Gate::ready),
    // Begin a login.
    Endpoint::new("/start", Methods::Get, Hosts::Public, Gate::start),
    Endpoint::new("/sign_in", Methods::Get, Hosts::Public, Gate::start),
    // Receives the provider's authorization response.
    Endpoint::new("/callback", Methods::Get, Hosts::Public, Gate::callback),
    // Ends the session.
    Endpoint::new("/sign_out", Methods::GetOrPost, Hosts::Public, Gate::sign_out),
    // Describes the identity of the request.
    Endpoint::new("/userinfo", Methods::Get, Hosts::Configured, Gate::userinfo),
    // Gives the verdict on a request that another proxy holds.
    Endpoint { path: "/auth", accepts: None, handler: Gate::auth_request },
    // Receives logout tokens from the provider.
    Endpoint::new("/backchannel_logout", Methods::Post, Hosts::Any, Gate::begin_logout_token),
    // Issues personal tokens.
    Endpoint::new("/token", Methods::GetOrPost, Hosts::Configured, Gate::personal_tokens),
    // Serves the script that Lictor adds to Prefect's pages.
    Endpoint::new("/companion.js", Methods::Get, Hosts::Configured, Gate::companion_script),
];

/// One of Lictor's endpoints.
pub(crate) struct Endpoint {
    /// The path below [`Config::endpoints`].
    path: &'static str,
    /// The accepted methods and host names; `None` if the handler checks everything itself.
    accepts: Option<(Methods, Hosts)>,
    handler: Handler,
}

type Handler = fn(&mut Gate, &Incoming<'_>, &mut Cx<'_>) -> Result<Decision, Refusal>;

impl Endpoint {
    const fn new(path: &'static str, methods: Methods, hosts: Hosts, handler: Handler) -> Self {
        Self { path, accepts: Some((methods, hosts)), handler }
    }

    #[cfg(test)]
    pub(crate) fn paths() -> impl Iterator<Item = &'static str> {
        ENDPOINTS.iter().map(|endpoint| endpoint.path)
    }

    /// Returns the endpoint at a target.
    fn at(target: &Target<'_>, config: &Config) -> Option<&'static Self> {
        let path = target.path().strip_prefix(&config.endpoints)?;
        ENDPOINTS.iter().find(|endpoint| endpoint.path == path)
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
            (Self::Get, _) => "GET, HEAD",
            (Self::GetOrPost, _) => "GET, HEAD, POST",
            (Self::Post, _) => "POST",
        };
        Err(Refusal::new(Reason::Method).seen("another method").wanted(wanted))
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

impl Hosts {
    fn check(self, host: RequestHost<'_>) -> Result<(), Refusal> {
        if self == Self::Any {
            return Ok(());
        }
        let host = host.known()?;
        if self == Self::Public && !host.is_public() {
            return Err(Refusal::new(Reason::NotFound)
                .seen("a login on a host for machines")
                .wanted("the host of public_url"));
        }
        Ok(())
    }
}

impl Gate {
    /// Answers a request below the prefix. None of them reaches Prefect.
    pub(super) fn endpoint(
        &mut self,
        incoming: &Incoming<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        let endpoint = Endpoint::at(&incoming.target, &cx.site.config());
        if incoming.upgrade && endpoint.is_none_or(|endpoint| endpoint.accepts.is_some()) {
            return Err(Refusal::new(Reason::Upgrade)
                .seen("an upgrade of an endpoint")
                .wanted("a request without upgrade"));
        }
        let endpoint = endpoint.ok_or_else(|| {
            Refusal::new(Reason::NotFound)
                .seen("an unknown endpoint")
                .wanted("an endpoint of docs/endpoints.md")
        })?;
        if let Some((methods, hosts)) = endpoint.accepts {
            methods.check(incoming.method())?;
            hosts.check(incoming.host)?;
        }
        (endpoint.handler)(self, incoming, cx)
    }

    fn live(&mut self, _: &Incoming<'_>, _: &mut Cx<'_>) -> Result<Decision, Refusal> {
        Ok(self.reply(Reply::json(200, "live", &json!({"status": "live"}))))
    }

    /// Serves the companion script, which is public because it says nothing about any user.
    ///
    /// It may be cached without limit when the request names its present version.
    fn companion_script(
        &mut self,
        incoming: &Incoming<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        if !cx.site.config().companion {
            return Err(Refusal::new(Reason::NotFound)
                .seen("the companion, while ui.companion is off")
                .wanted("ui.companion"));
        }
        let query = incoming.target.query().unwrap_or_default();
        let version = query::only(query, "v").ok().flatten();
        let lasting = version.is_some_and(|version| version == companion::version());
        Ok(self.reply(Reply::script(companion::SCRIPT, lasting)))
    }

    /// Begins a login. Only a page load may begin one, so that scripts leave no cookies behind.
    fn start(&mut self, incoming: &Incoming<'_>, cx: &mut Cx<'_>) -> Result<Decision, Refusal> {
        let config = cx.site.config();
        let origin = config.public.origin();
        let return_to = return_path::wish(incoming.target.query(), origin).or_else(|| {
            // Only a proxy that proves itself says which page it holds.
            let is_trusted = has_proxy_secret(incoming.view, &config);
            is_trusted.then(|| return_path::told_by_proxy(incoming.view, &config.public)).flatten()
        });
        if !incoming.is_page_load() {
            return Err(Refusal::new(Reason::NoCredential)
                .seen("a login by a script")
                .wanted("a page load"));
        }
        let cookies = incoming.cookies()?;
        let decision = self.begin_login(return_to.as_deref(), cookies, cx)?;
        // A user who signs in must not keep another session meanwhile (GHSA-f24x-5g9q-753f). A link
        // on another site signs no one out, and neither does a login that can't begin.
        let replaces = is_deliberate_navigation(incoming.view) && shows_session(cookies, &config);
        match decision {
            Decision::Reply(reply) if replaces => {
                Ok(Decision::Reply(reply.with_cookies(clear_session(&config, cookies))))
            }
            Decision::Await(callout) if replaces => {
                if let State::Login(LoginStep::Pushing(set_cookies)) = &mut self.state {
                    set_cookies.extend(clear_session(&config, cookies));
                }
                Ok(Decision::Await(callout))
            }
            decision => Ok(decision),
        }
    }

    fn ready(&mut self, _: &Incoming<'_>, cx: &mut Cx<'_>) -> Result<Decision, Refusal> {
        cx.site.catch_up(cx.now);
        if cx.site.is_ready(cx.now) {
            let config = cx.site.config();
            let profile = config.issuer(LOGIN).map(|issuer| issuer.profile.name());
            let body = json!({"status": "ready", "profile": profile});
            return Ok(self.reply(Reply::json(200, "ready", &body)));
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
            Proof::Nobody(refusal) => Err(refusal),
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
                self.answered = Some(Box::new(identity));
                Ok(self.reply(Reply::json(200, "userinfo", &body)))
            }
        }
    }
}
