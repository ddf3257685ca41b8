//! `/oauth2/auth`: the verdict on a request that another proxy holds.
//!
//! nginx `auth_request` and Traefik `forwardAuth` use it, and so does any client that asks whether
//! a token or key is valid. It answers 202, 401 or 403 and nothing else, because nginx turns every
//! other status into 500.

use super::authenticate::{Proof, is_leftover_password, shows_session};
use super::incoming::Incoming;
use super::{Cx, Gate, WaitFor, protocol};
use crate::answer::reply::Reply;
use crate::config::Config;
use crate::gate::decision::Decision;
use crate::identity::principal::Identity;
use crate::identity::role::Role;
use crate::policy::authorize;
use crate::prefect::operations::Operation;
use crate::prefect::place::Place;
use crate::prefect::sockets::KnownSocket;
use crate::refusal::{Reason, Refusal};
use crate::telemetry::event::Event;
use crate::wire::http::authorization;
use crate::wire::http::client::{is_from_our_page, shows_get_of_page};
use crate::wire::http::cookies::Cookies;
use crate::wire::http::query;
use crate::wire::http::request::RequestView;
use crate::wire::http::target::Target;
use crate::wire::peer::{Certificate, Peer};

/// The header with `LICTOR_AUTH_REQUEST_SECRET`. A proxy that sends it may describe the original
/// request.
const SECRET: &str = "x-lictor-auth-request-secret";

impl Gate {
    /// Answers with a verdict. It checks methods and hosts itself, because the other proxy
    /// understands only a few statuses.
    pub(super) fn auth_request(
        &mut self,
        incoming: &Incoming<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        let request = incoming.view;
        // The connection and its certificate belong to the other proxy, so the certificate proves
        // no client. A proxy that may describe the original request may also name the client's
        // address.
        let is_trusted = has_proxy_secret(request, &cx.site.config());
        let client_address =
            is_trusted.then(|| request.only("x-real-ip").map(<[u8]>::to_vec)).flatten();
        let Cx { site, now, entropy, peer } = cx;
        let behind = ProxiedPeer { proxy: *peer, client_address };
        let cx = &mut Cx { site, now: *now, entropy: &mut **entropy, peer: &behind };
        let verdict = self.verdict(incoming, cx);
        Ok(verdict
            .unwrap_or_else(|refusal| self.refuse_with(&refusal, request, cx, Reply::verdict)))
    }

    fn verdict(&mut self, incoming: &Incoming<'_>, cx: &mut Cx<'_>) -> Result<Decision, Refusal> {
        let config = cx.site.config();
        let (request, host) = (incoming.view, incoming.host.known()?);
        let cookies = incoming.cookies()?;
        let wanted = wanted_role(&incoming.target)?;
        let original = Original::of(request, &config)?;
        let place = original.as_ref().map(|original| Place::of(&original.target, &config));
        let socket = place.as_ref().and_then(KnownSocket::at);
        let proof = match &original {
            // The subrequest may not show that the original is an upgrade. No session opens a
            // socket.
            Some(original) if socket.is_some() => {
                self.authenticate_machine(original.view()?, cx)?
            }
            Some(original) => self.authenticate(host, original.view()?, cookies, cx)?,
            None => {
                check_origin(request, cookies, &config)?;
                self.authenticate(host, request, cookies, cx)?
            }
        };
        let identity = match proof {
            Proof::Identified(identity) => identity,
            Proof::Wait => return Ok(self.wait(WaitFor::Verdict, cx.now)),
            Proof::Nobody(refusal) => return Err(refusal),
        };
        if let Some(wanted) = wanted {
            has_role(&identity, wanted)?;
        }
        if let (Some(original), Some(place)) = (&original, &place) {
            let method = original.view()?.method();
            let operation = socket
                .as_ref()
                .map_or_else(|| Operation::of(method, place), KnownSocket::operation);
            // Nothing is forwarded here. The check is whether there would be a permit.
            let permit = authorize::identity(identity.clone(), &operation, &config.roles)?;
            if let Some(mask) = permit.mask() {
                // The other proxy would pass on the parts that Lictor would remove from the
                // response.
                return Err(authorize::masked(&identity, &operation, mask));
            }
            self.event = permit.reported().map(Event::reported);
        }
        // nginx passes on the first `Set-Cookie` line only. A session in several cookies is not
        // renewed here.
        let renewed = core::mem::take(&mut self.set_cookies);
        let single = renewed.len() == 1;
        let reply = Reply::accepted(&identity.principal, identity.role)
            .with_cookies(renewed.into_iter().filter(|_| single));
        self.answered = Some(Box::new(identity));
        Ok(self.reply(reply))
    }
}

/// Refuses a session cookie without proof that one of our own pages made the request, or that a
/// page is loaded.
///
/// The subrequest is a GET, whatever the method of the original request was.
fn check_origin(
    request: RequestView<'_>,
    cookies: &Cookies<'_>,
    config: &Config,
) -> Result<(), Refusal> {
    // A credential in a header decides, and then no cookie does. But an old password that a browser
    // repeats gives way to the cookie.
    let is_presented =
        authorization::is_presented(request) && !is_leftover_password(request, config);
    let by_session = !is_presented && shows_session(cookies, config);
    let is_safe =
        || is_from_our_page(request, config.public.origin()) || shows_get_of_page(request);
    if by_session && !is_safe() {
        return Err(Refusal::new(Reason::CrossSite)
            .seen("a session, without proof of where the request comes from")
            .wanted("Sec-Fetch-Site same-origin or none, a page load, or LICTOR_AUTH_REQUEST_SECRET with the original request"));
    }
    Ok(())
}

/// The client behind another proxy.
struct ProxiedPeer<'a> {
    proxy: &'a dyn Peer,
    client_address: Option<Vec<u8>>,
}

impl Peer for ProxiedPeer<'_> {
    fn certificate(&self) -> Option<Certificate> {
        None
    }

    fn address(&self) -> Vec<u8> {
        self.client_address.clone().unwrap_or_else(|| self.proxy.address())
    }

    fn is_http2(&self) -> bool {
        self.proxy.is_http2()
    }

    fn is_answered_by_envoy(&self) -> bool {
        self.proxy.is_answered_by_envoy()
    }
}

/// Returns whether the proxy in front sent the secret.
///
/// A secret sent twice is not accepted: a proxy that appends its secret to the client's own header
/// proves nothing.
pub(super) fn has_proxy_secret(request: RequestView<'_>, config: &Config) -> bool {
    let known = request.only(SECRET).zip(config.secrets.auth_request.as_ref());
    known.is_some_and(|(shown, secret)| secret.equals(shown))
}

/// The request that the other proxy holds, as that proxy describes it.
struct Original<'a> {
    headers: Vec<(String, Vec<u8>)>,
    target: Target<'a>,
}

impl<'a> Original<'a> {
    /// Reads the original request. Returns `None` if the subrequest does not send the secret's
    /// header. Where there is a secret, it must not describe a method then.
    ///
    /// Only a proxy that knows the secret is trusted, because anyone can send the two headers.
    fn of(request: RequestView<'a>, config: &Config) -> Result<Option<Self>, Refusal> {
        if !request.has(SECRET) {
            // A client may have made the proxy drop its secret, as by `Connection`. Users of
            // oauth2-proxy describe the path alone, without a secret.
            let describes = DESCRIPTIONS.iter().any(|[method, _]| request.has(method));
            if describes && config.secrets.auth_request.is_some() {
                return Err(Refusal::new(Reason::ProxySecret)
                    .seen("a described request without the secret of the proxy in front")
                    .wanted("X-Lictor-Auth-Request-Secret with LICTOR_AUTH_REQUEST_SECRET"));
            }
            return Ok(None);
        }
        if !has_proxy_secret(request, config) {
            return Err(Refusal::new(Reason::ProxySecret)
                .seen("a wrong secret from the proxy in front")
                .wanted("LICTOR_AUTH_REQUEST_SECRET"));
        }
        let (method, path) = described(request).ok_or_else(|| {
            Refusal::new(Reason::AmbiguousTarget)
                .seen("a request of another proxy without the original one, or with two")
                .wanted("X-Original-Method and -URI, or X-Forwarded-Method and -Uri, once each")
        })?;
        let target = Target::parse(path).map_err(|why| Refusal::ambiguous(why.0))?;
        let others =
            request.headers.iter().filter(|(name, _)| name != ":method" && name != ":path");
        let mut headers: Vec<_> = others.cloned().collect();
        headers.push((":method".to_owned(), method.to_vec()));
        headers.push((":path".to_owned(), path.to_vec()));
        Ok(Some(Self { headers, target }))
    }
}

/// Returns method and target of the original request, by the names that nginx's users give them, or
/// by those of Traefik and Caddy.
///
/// A proxy overwrites its own two headers. The other two would be the client's, so they must be
/// absent.
fn described<'a>(request: RequestView<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let mut shown =
        DESCRIPTIONS.into_iter().filter(|names| names.iter().any(|name| request.has(name)));
    let ([method, path], None) = (shown.next()?, shown.next()) else { return None };
    request.only(method).zip(request.only(path))
}

/// The pairs of names by which a request describes another one.
const DESCRIPTIONS: [[&str; 2]; 2] =
    [["x-original-method", "x-original-uri"], ["x-forwarded-method", "x-forwarded-uri"]];

impl Original<'_> {
    /// Returns the original request's headers, or refuses a method that Prefect does not have.
    fn view(&self) -> Result<RequestView<'_>, Refusal> {
        let view = RequestView { headers: &self.headers };
        protocol::method(view)?;
        Ok(view)
    }
}

/// Reads the role that the request must have, from `?role=`.
fn wanted_role(target: &Target<'_>) -> Result<Option<Role>, Refusal> {
    let unknown = || {
        let names = Role::ALL.map(Role::name).join(", ");
        Refusal::new(Reason::RoleMissing).seen("an unknown role in ?role=").wanted(names)
    };
    let name = query::only(target.query().unwrap_or_default(), "role").map_err(|_| unknown())?;
    name.map(|name| Role::named(&name).ok_or_else(unknown)).transpose()
}

fn has_role(identity: &Identity, wanted: Role) -> Result<(), Refusal> {
    if identity.role.is_some_and(|role| role.includes(wanted)) {
        return Ok(());
    }
    let seen = identity.role.map_or("no role", Role::name);
    let refusal = Refusal::new(Reason::RoleMissing).seen(format!("role {seen}"));
    Err(refusal.wanted(wanted.name()).by(&identity.principal, identity.role))
}
