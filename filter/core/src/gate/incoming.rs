//! A request's head, parsed once for all rungs of the ladder.

use super::hosts::RequestHost;
use super::protocol;
use crate::answer::reply::request_id;
use crate::config::Config;
use crate::refusal::{Reason, Refusal};
use crate::wire::http::client::ClientKind;
use crate::wire::http::cookies::{Cookies, TooLarge};
use crate::wire::http::request::RequestView;
use crate::wire::http::target::Target;

/// A head that has one meaning.
pub(crate) struct Incoming<'a> {
    /// The headers themselves.
    pub(crate) view: RequestView<'a>,
    /// The canonical target.
    pub(crate) target: Target<'a>,
    /// Whether it is a websocket upgrade.
    pub(crate) upgrade: bool,
    /// Which configured host name it was sent to.
    pub(crate) host: RequestHost<'a>,
    /// Which kind of client reads the answer.
    pub(crate) client: ClientKind,
    /// Envoy's request id.
    pub(crate) request_id: Option<&'a str>,
    cookies: Result<Cookies<'a>, TooLarge>,
}

impl<'a> Incoming<'a> {
    /// Parses a head.
    ///
    /// # Errors
    /// When the target, the method or an upgrade is not acceptable whoever asks.
    pub(crate) fn parse(view: RequestView<'a>, config: &'a Config) -> Result<Self, Refusal> {
        let target = protocol::target(view)?;
        protocol::method(view)?;
        Ok(Self {
            upgrade: protocol::is_websocket(view)?,
            target,
            host: RequestHost::of(view, config),
            client: ClientKind::of(view),
            request_id: request_id(view.text("x-request-id")),
            cookies: Cookies::parse(view),
            view,
        })
    }

    /// Its cookies.
    ///
    /// # Errors
    /// When there are more than Lictor reads.
    pub(crate) fn cookies(&self) -> Result<&Cookies<'a>, Refusal> {
        self.cookies.as_ref().map_err(|_| Refusal::new(Reason::CookiesTooLarge))
    }

    /// Its method.
    #[must_use]
    pub(crate) fn method(&self) -> &'a str {
        self.view.method()
    }

    /// Whether a browser loads a page by it.
    #[must_use]
    pub(crate) fn is_page_load(&self) -> bool {
        self.client == ClientKind::Navigation
    }
}
