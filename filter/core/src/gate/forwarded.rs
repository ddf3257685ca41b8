//! A request on its way to Prefect, and what its answer needs.

use super::incoming::Incoming;
use super::socket::Socket;
use crate::config::Config;
use crate::identity::principal::Method;
use crate::policy::authorize::Permit;
use crate::prefect::place::{Content, Place};
use crate::prefect::rewrite::Rewrite;
use crate::prefect::upstream::Forwarding;
use crate::wire::http::client::ClientKind;
use crate::wire::http::cookies::Cookies;
use crate::wire::http::edit::HeaderEdit;

/// What is remembered of a forwarded request until its answer.
pub(crate) struct Forwarded {
    /// Asked by a session (or nobody): browsers get more hygiene than machines.
    pub(crate) browser: bool,
    /// Prefect's credential went along.
    pub(crate) injected: bool,
    /// What Prefect serves there.
    pub(crate) content: Content,
    /// What is rewritten of the answer: what may be, and once it is there, what is.
    pub(crate) rewrite: Rewrite,
    /// The socket, if it is one.
    pub(crate) socket: Option<Socket>,
    /// Which kind of client reads the answer.
    pub(crate) client: ClientKind,
    /// Envoy's request id.
    pub(crate) request_id: Option<String>,
}

/// Where a request wants to go.
#[derive(Clone, Copy)]
pub(crate) struct Route<'a> {
    /// Its head.
    pub(crate) incoming: &'a Incoming<'a>,
    /// Its cookies.
    pub(crate) cookies: &'a Cookies<'a>,
    /// What its target means to Prefect.
    pub(crate) place: Place<'a>,
    /// The configured host name that the client used.
    pub(crate) host: &'a str,
}

impl Forwarded {
    /// Prepares a permitted request: what to remember, and what to edit.
    pub(crate) fn begin(route: Route<'_>, permit: &Permit, config: &Config) -> (Self, HeaderEdit) {
        let Route { incoming, cookies, place, host } = route;
        let by_session = permit.method() == Method::Session;
        let rewrite = Rewrite::of(incoming.view, &place, by_session, permit.mask(), config);
        let identity = permit.identity();
        let forwarding =
            Forwarding { request: incoming.view, place, cookies, host, identity, rewrite };
        let forwarded = Self {
            browser: by_session || identity.is_none(),
            injected: forwarding.carries_credential(),
            content: place.content(),
            rewrite,
            socket: None,
            client: incoming.client,
            request_id: incoming.request_id.map(str::to_owned),
        };
        (forwarded, forwarding.edit(config))
    }
}
