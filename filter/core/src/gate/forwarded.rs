//! A request that is forwarded to Prefect, and what its response needs.

use std::rc::Rc;

use super::incoming::Incoming;
use super::socket::Socket;
use crate::config::Config;
use crate::identity::principal::{Method, Principal};
use crate::identity::role::Role;
use crate::policy::authorize::Permit;
use crate::prefect::place::{Content, Place};
use crate::prefect::rewrite::Rewrite;
use crate::prefect::upstream::Forwarding;
use crate::wire::http::client::ClientKind;
use crate::wire::http::cookies::Cookies;
use crate::wire::http::edit::HeaderEdit;

/// What the gate remembers of a forwarded request for its response.
pub(crate) struct Forwarded {
    /// Whether the response gets the header edits for browsers. It does for sessions and for
    /// requests without an identity.
    pub(crate) browser: bool,
    /// Whether the request carries Prefect's credential.
    pub(crate) injected: bool,
    /// What Prefect serves at the target.
    pub(crate) content: Content,
    /// How the response body is rewritten. Before the response headers arrive, this is what may
    /// apply.
    pub(crate) rewrite: Rewrite,
    /// The socket's state, if the request opens a socket.
    pub(crate) socket: Option<Socket>,
    /// The kind of client that reads the response.
    pub(crate) client: ClientKind,
    /// The principal with its role, if a credential has proved one.
    pub(crate) identity: Option<(Rc<Principal>, Option<Role>)>,
}

/// The parsed request headers and their target.
#[derive(Clone, Copy)]
pub(crate) struct Route<'a> {
    /// The parsed request headers.
    pub(crate) incoming: &'a Incoming<'a>,
    pub(crate) cookies: &'a Cookies<'a>,
    /// What the target means to Prefect.
    pub(crate) place: Place<'a>,
    /// The configured host name that Prefect sees.
    pub(crate) host: &'a str,
}

impl Forwarded {
    /// Prepares a permitted request. Returns what its response needs, and the edits of its headers.
    pub(crate) fn begin(route: Route<'_>, permit: &Permit, config: &Config) -> (Self, HeaderEdit) {
        let Route { incoming, cookies, place, host } = route;
        let by_session = permit.method() == Method::Session;
        let rewrite = Rewrite::of(incoming.view, &place, by_session, permit.mask(), config);
        let owned = permit.identity().map(|(principal, role)| (Rc::clone(principal), role));
        let identity = permit.identity().map(|(principal, role)| (&**principal, role));
        let forwarding =
            Forwarding { request: incoming.view, place, cookies, host, identity, rewrite };
        let forwarded = Self {
            browser: by_session || identity.is_none(),
            injected: forwarding.carries_credential(),
            content: place.content(),
            rewrite,
            socket: None,
            client: incoming.client,
            identity: owned,
        };
        (forwarded, forwarding.edit(config))
    }
}
