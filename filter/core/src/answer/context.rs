//! Who reads an answer.

use crate::config::HttpUrl;
use crate::wire::http::client::ClientKind;

/// What answers to refusals need to know about the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnswerContext<'a> {
    /// Which kind of client reads the answer.
    pub(crate) kind: ClientKind,
    /// Envoy's request id, if it is one.
    pub(crate) request_id: Option<&'a str>,
    /// Path of our endpoints, for links on pages.
    pub(crate) endpoints: &'a str,
    /// Path of Prefect's UI, for the way on.
    pub(crate) home: &'a str,
    /// The provider: where our sign-out form may lead.
    pub(crate) provider: &'a HttpUrl,
    /// Whether browsers are told to use https only.
    pub(crate) hsts: bool,
}
