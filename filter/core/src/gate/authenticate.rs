//! Authentication of a request, by a credential in a header or by the session cookie.

use core::time::Duration;
use std::rc::Rc;

use super::hosts::ConfiguredHost;
use super::unknown_key::NoKey;
use super::{Cx, Gate};
use crate::config::Config;
use crate::credential::certificate;
use crate::credential::verifier::AuthenticationError;
use crate::foundation::id::IssuerId;
use crate::foundation::time::UnixTime;
use crate::identity::credential_ref::CredentialRef;
use crate::identity::principal::{Identity, Method, Principal};
use crate::refusal::{Reason, Refusal};
use crate::session::cookie::{Found, Names, clear_session};
use crate::session::model::Session;
use crate::site::Recheck;
use crate::wire::http::authorization;
use crate::wire::http::authorization::Malformed;
use crate::wire::http::client::{
    is_from_a_browser, is_of_another_page, is_ours, loads_page, may_be_leftover,
};
use crate::wire::http::cookies::Cookies;
use crate::wire::http::request::RequestView;
use crate::wire::peer::Peer;

/// What a request proves about its sender.
pub(crate) enum Proof {
    /// The sender has this identity.
    Identified(Identity),
    /// There is no verdict yet. The site wakes the request.
    Wait,
    /// The request proves no identity. It shows no credential, or its session has ended.
    Nobody(Refusal),
}

impl Proof {
    fn no_credential() -> Self {
        let refusal = Refusal::new(Reason::NoCredential);
        Self::Nobody(refusal.seen("no credential").wanted("a session or a credential"))
    }
}

/// Returns whether a request carries a session cookie, valid or not.
pub(crate) fn shows_session(cookies: &Cookies<'_>, config: &Config) -> bool {
    cookies.named(Names::of(config).session).next().is_some()
}

impl Gate {
    pub(super) fn authenticate(
        &mut self,
        host: ConfiguredHost<'_>,
        request: RequestView<'_>,
        cookies: &Cookies<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Proof, Refusal> {
        let config = cx.site.config();
        if !host.is_public() || !is_leftover_password(request, &config) {
            match self.authenticate_machine(request, cx)? {
                Proof::Nobody(_) if host.is_public() => {}
                proof => return Ok(proof),
            }
            return self.authenticate_session(request, cookies, cx);
        }
        // Prefect's UI may still send a password from its local storage beside Lictor's cookie, and
        // browsers repeat the password of whatever asked for one at this address before.
        match self.authenticate_session(request, cookies, cx)? {
            // A person who loads a page signs in. The old password is ignored.
            Proof::Nobody(refusal)
                if refusal.reason == Reason::NoCredential && !loads_page(request) =>
            {
                self.authenticate_machine(request, cx)
            }
            proof => Ok(proof),
        }
    }

    /// Authenticates by a credential in a header, or by a client certificate.
    ///
    /// An invalid credential is refused. It never falls back to a cookie.
    pub(super) fn authenticate_machine(
        &mut self,
        request: RequestView<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Proof, Refusal> {
        let presented = authorization::read(request).map_err(malformed)?;
        let config = cx.site.config();
        let Some(presented) = presented else { return by_certificate(request, &config, cx.peer) };
        match cx.site.verify_credential(&presented, self.stream, cx.peer, cx.now) {
            // A browser repeats a password by itself, for other sites as well.
            Ok(Identity { principal, role, .. })
                if principal.method == Method::Htpasswd
                    && is_of_another_page(request, config.public.origin()) =>
            {
                let refusal = cross_site("a request of another site with a password");
                Err(refusal.by(&principal, role))
            }
            Ok(identity) => Ok(Proof::Identified(identity)),
            Err(AuthenticationError::Refused(refusal)) => Err(refusal),
            Err(AuthenticationError::NoKeys) => Err(Refusal::no_keys()),
            Err(AuthenticationError::UnknownKey { issuer, kid }) => {
                self.on_unknown_key(issuer, &kid, cx)
            }
            Err(AuthenticationError::Asking) if self.waited.is_none() => Ok(Proof::Wait),
            Err(AuthenticationError::Asking) => Err(Refusal::no_answer_about_a_credential()),
        }
    }

    fn on_unknown_key(
        &mut self,
        issuer: IssuerId,
        kid: &str,
        cx: &mut Cx<'_>,
    ) -> Result<Proof, Refusal> {
        let reason = match self.await_key(issuer, cx) {
            Ok(()) => return Ok(Proof::Wait),
            Err(NoKey::Unknown) => Reason::UnknownKey,
            Err(NoKey::NotFetched) => Reason::NotReady,
            Err(NoKey::Busy) => Reason::Busy,
        };
        Err(Refusal::new(reason).seen(format!("kid {kid}")).wanted("a key of the issuer"))
    }

    /// Authenticates by the session cookie.
    pub(super) fn authenticate_session(
        &mut self,
        request: RequestView<'_>,
        cookies: &Cookies<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Proof, Refusal> {
        let config = cx.site.config();
        let (session, stale) = match cx.site.session_cookie.find(&config, cookies) {
            Found::Absent => return Ok(Proof::no_credential()),
            Found::Unreadable => {
                self.set_cookies = clear_session(&config, cookies);
                return Ok(Proof::no_credential());
            }
            Found::Session { session, stale } => (session, stale),
        };
        let revoked = cx.site.is_ended(&session, cx.now);
        let revoked = revoked.then_some("it ended by a sign-out, or at the provider");
        if let Some(why) = revoked.or_else(|| session.ended(cx.now, &config.session)) {
            return Ok(self.session_ended_proof(&session, why, &config, cookies));
        }
        if !is_ours(request, config.public.origin()) {
            return Err(cross_site("a request of another site with a session"));
        }
        if !session.is_due(cx.now, &config.session) && !cx.site.must_recheck(&session) {
            let renew = stale || session.wants_renewal(cx.now, &config.session);
            return self.accept_session(session, renew, cookies, cx);
        }
        match cx.site.recheck(&session, self.stream, cx.now) {
            Recheck::Confirmed(fresh) => self.accept_session(fresh.into(), true, cookies, cx),
            Recheck::Ended => {
                let why = "the provider did not confirm it";
                Ok(self.session_ended_proof(&session, why, &config, cookies))
            }
            Recheck::Busy => Err(Refusal::busy("too many requests that wait for a recheck")),
            Recheck::Wait if self.waited.is_none() => Ok(Proof::Wait),
            Recheck::Wait | Recheck::Unavailable => self.in_grace(&session, cookies, cx),
        }
    }

    /// Accepts a session without the provider's verdict, within `session.grace`.
    ///
    /// The newest known state of the session applies, so that an older cookie does not restore an
    /// older role.
    fn in_grace(
        &mut self,
        shown: &Session,
        cookies: &Cookies<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Proof, Refusal> {
        let config = cx.site.config();
        let newest = cx.site.newest(shown);
        if !newest.is_in_grace(cx.now, &config.session) {
            return Err(Refusal::new(Reason::ProviderUnreachable)
                .seen("a session past session.grace")
                .wanted("a recheck"));
        }
        let token = |session: &Session| session.refresh_token.clone();
        let rotated = match (token(shown), token(&newest)) {
            (Some(shown), Some(newest)) => !newest.equals(shown.expose()),
            (shown, newest) => shown.is_some() != newest.is_some(),
        };
        let renew = rotated || newest.wants_renewal(cx.now, &config.session);
        self.accept_session(Rc::new(newest), renew, cookies, cx)
    }

    fn session_ended_proof(
        &mut self,
        session: &Session,
        why: &str,
        config: &Config,
        cookies: &Cookies<'_>,
    ) -> Proof {
        self.set_cookies = clear_session(config, cookies);
        let refusal = Refusal::new(Reason::SessionEnded)
            .seen(format!("a session of {}: {why}", user_id(session)))
            .wanted("a new login");
        Proof::Nobody(refusal)
    }

    fn accept_session(
        &mut self,
        session: Rc<Session>,
        renew: bool,
        cookies: &Cookies<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Proof, Refusal> {
        let config = cx.site.config();
        // A session that another configuration has refreshed may have another address.
        if !config.users.admits(&session.subject, session.email.as_deref()) {
            let why = "the person is not in users.allow";
            return Ok(self.session_ended_proof(&session, why, &config, cookies));
        }
        if renew {
            let renewed = Session { used: cx.now, ..Session::clone(&session) };
            // If this fails, the old cookie is still valid, and the next request tries again.
            let set = cx.site.session_cookie.set(&config, &renewed, cookies, cx.entropy);
            self.set_cookies = set.unwrap_or_default();
        }
        let identity = identity_of(&session, config.session.absolute);
        self.session = Some(session);
        Ok(Proof::Identified(identity))
    }
}

/// Authenticates by a mapped client certificate.
///
/// Browsers send a certificate by themselves, as they do cookies. So it is accepted only from our
/// own pages, on page loads, or outside a browser.
fn by_certificate(
    request: RequestView<'_>,
    config: &Config,
    peer: &dyn Peer,
) -> Result<Proof, Refusal> {
    let mapped = match config.machines.certificates.as_slice() {
        [] => None,
        _ => peer.certificate().and_then(|shown| certificate::identify(&shown, config)),
    };
    let Some(identity) = mapped else { return Ok(Proof::no_credential()) };
    if !is_from_a_browser(request) || is_ours(request, config.public.origin()) {
        return Ok(Proof::Identified(identity));
    }
    let refusal = cross_site("a request of another site with a client certificate");
    Err(refusal.by(&identity.principal, identity.role))
}

#[cold]
fn cross_site(seen: &str) -> Refusal {
    let wanted = "Sec-Fetch-Site same-origin or none, or Origin of public_url";
    Refusal::new(Reason::CrossSite).seen(seen).wanted(wanted)
}

fn user_id(session: &Session) -> String {
    format!("user:{}", session.subject)
}

/// Returns the identity of a valid session. `absolute` is the longest life of a session.
pub(crate) fn identity_of(session: &Session, absolute: Duration) -> Identity {
    let until: UnixTime = session.started.plus(absolute);
    Identity {
        principal: Rc::new(Principal {
            id: user_id(session),
            name: session.name.clone(),
            email: session.email.clone(),
            method: Method::Session,
        }),
        role: session.role,
        until: Some(until),
        credential: CredentialRef::Session,
    }
}

/// Returns whether `Authorization: Basic` is the only credential, and a browser may have added it
/// by itself, or for a script on one of our own pages.
pub(super) fn is_leftover_password(request: RequestView<'_>, config: &Config) -> bool {
    authorization::is_only_basic(request) && may_be_leftover(request, config.public.origin())
}

fn malformed(why: Malformed) -> Refusal {
    match why {
        Malformed::Several => Refusal::new(Reason::SeveralCredentials)
            .seen("several headers with a credential")
            .wanted("one of Authorization and X-Api-Key"),
        Malformed::TooLong => Refusal::new(Reason::MalformedCredential)
            .seen("a credential of more than 16 KiB")
            .wanted("at most 16 KiB"),
        Malformed::Scheme => Refusal::new(Reason::MalformedCredential)
            .seen("an Authorization header of another scheme")
            .wanted("Bearer or Basic"),
        Malformed::Syntax => Refusal::new(Reason::MalformedCredential)
            .seen("a value that is not of the scheme's form")
            .wanted("Basic with name:secret in base64, or Bearer with a token"),
    }
}
