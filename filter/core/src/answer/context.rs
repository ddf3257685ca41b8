//! The context of a local answer: who reads it, and what it refers to.

use crate::config::HttpUrl;
use crate::wire::http::client::ClientKind;

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
    /// URL of the provider, to which the sign-out form may redirect.
    pub(crate) provider: &'a HttpUrl,
    /// Whether the answer has a `strict-transport-security` header.
    pub(crate) hsts: bool,
}
