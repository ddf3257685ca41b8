//! The context of a local answer: who reads it, and what it refers to.

use crate::config::HttpUrl;
use crate::wire::http::client::ClientKind;
use crate::wire::http::query::encode_value;

/// What a local answer depends on beside its content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnswerContext<'a> {
    /// The kind of client that reads the answer.
    pub(crate) kind: ClientKind,
    /// Envoy's request id, if the request has a valid one.
    pub(crate) request_id: Option<&'a str>,
    /// Path prefix of Lictor's endpoints, for links on pages.
    pub(crate) endpoints: &'a str,
    /// Path of Prefect's UI, for links on pages.
    pub(crate) home: &'a str,
    /// Origin of the public URL, if the request came to another host; else empty. Pages of the UI
    /// and logins exist there only.
    pub(crate) origin: &'a str,
    /// The path that the person asked for, to which a login returns.
    pub(crate) return_to: Option<&'a str>,
    /// Whether the address of the request works once, so that it must not be loaded again.
    pub(crate) single_use: bool,
    /// URL of the provider, to which the sign-out form may redirect.
    pub(crate) provider: &'a HttpUrl,
    /// Whether the answer has a `strict-transport-security` header.
    pub(crate) hsts: bool,
}

impl AnswerContext<'_> {
    /// Returns the address of Prefect's UI.
    #[must_use]
    pub(crate) fn home(&self) -> String {
        format!("{}{}", self.origin, self.home)
    }

    /// Returns the address that starts a login, which returns to what the person asked for.
    #[must_use]
    pub(crate) fn start(&self) -> String {
        let return_to = self.return_to.filter(|path| *path != self.home);
        let query = return_to.map(|path| format!("?rd={}", encode_value(path)));
        format!("{}{}/start{}", self.origin, self.endpoints, query.unwrap_or_default())
    }

    /// Returns the address that tries again: a new login if the address of the request works once,
    /// else an empty text, which is the address itself.
    #[must_use]
    pub(crate) fn again(&self) -> String {
        if self.single_use { self.start() } else { String::new() }
    }
}
