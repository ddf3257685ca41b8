//! A request's headers, parsed once for all checks.

use super::hosts::RequestHost;
use super::protocol;
use crate::config::Config;
use crate::refusal::Refusal;
use crate::wire::http::client::ClientKind;
use crate::wire::http::cookies::{Cookies, TooLarge};
use crate::wire::http::request::RequestView;
use crate::wire::http::target::Target;

/// Parsed request headers, which have one meaning only.
pub(crate) struct Incoming<'a> {
    /// The headers as they came.
    pub(crate) view: RequestView<'a>,
    pub(crate) target: Target<'a>,
    /// Whether the target is below the prefix of Lictor's own endpoints.
    pub(crate) is_endpoint: bool,
    /// Whether the request is a WebSocket upgrade.
    pub(crate) upgrade: bool,
    /// The configured host that the request was sent to, if any.
    pub(crate) host: RequestHost<'a>,
    /// The kind of client that reads the response.
    pub(crate) client: ClientKind,
    cookies: Result<Cookies<'a>, TooLarge>,
}

impl<'a> Incoming<'a> {
    /// Parses the headers.
    ///
    /// # Errors
    /// Refuses a target, a method or an upgrade that is not acceptable from any client.
    pub(crate) fn parse(view: RequestView<'a>, config: &'a Config) -> Result<Self, Refusal> {
        let target = protocol::target(view)?;
        protocol::method(view)?;
        let is_endpoint = is_below_prefix(&target, config);
        Ok(Self {
            is_endpoint,
            upgrade: protocol::is_websocket(view)?,
            host: RequestHost::of(view, is_endpoint, config),
            target,
            client: ClientKind::of(view),
            cookies: Cookies::parse(view),
            view,
        })
    }

    /// Returns the cookies.
    ///
    /// # Errors
    /// Refuses more bytes of cookies than Lictor reads.
    pub(crate) fn cookies(&self) -> Result<&Cookies<'a>, Refusal> {
        self.cookies.as_ref().map_err(|_| Refusal::too_many_cookies())
    }

    #[must_use]
    pub(crate) fn method(&self) -> &'a str {
        self.view.method()
    }

    /// Returns whether a browser loads a page with this request.
    #[must_use]
    pub(crate) fn is_page_load(&self) -> bool {
        self.client == ClientKind::Navigation
    }
}

/// Returns whether a target is below the prefix of Lictor's endpoints, in any spelling.
fn is_below_prefix(target: &Target<'_>, config: &Config) -> bool {
    let rest = target.decoded().strip_prefix(&config.endpoints);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
