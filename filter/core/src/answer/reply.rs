//! The only builder of local answers.
//!
//! Its methods are the allow-list of headers. Other code chooses values of `location` and
//! `set-cookie` and whom the identity headers name, but it can't add another header.

use core::fmt;

use serde_json::json;

use crate::answer::context::AnswerContext;
use crate::answer::pages;
use crate::identity::principal::{Method, Principal};
use crate::identity::role::Role;
use crate::prefect::upstream::identity_headers;
use crate::refusal::{Meaning, Refusal};
use crate::wire::http::authorization::VARY;
use crate::wire::http::client::ClientKind;

/// A local answer: a response that Lictor generates itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    headers: Vec<(&'static str, String)>,
    /// The body, which may be empty.
    pub body: Vec<u8>,
    /// Short name of the answer, for Envoy's response code details.
    pub(crate) code: &'static str,
}

/// Shows status and code only. Headers contain session cookies, and bodies contain personal tokens.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

impl Reply {
    fn new(status: u16, code: &'static str, body: Vec<u8>, content_type: &str) -> Self {
        let mut reply = Self { status, headers: Vec::new(), body, code };
        reply.push("content-type", content_type);
        reply.push("cache-control", "no-store");
        reply.push("vary", format!("{VARY}, Sec-Fetch-Mode, Accept"));
        reply.push("x-content-type-options", "nosniff");
        reply.push("referrer-policy", "no-referrer");
        reply
    }

    /// Returns the headers, with names in lower case.
    #[must_use]
    pub fn headers(&self) -> &[(&'static str, String)] {
        &self.headers
    }

    fn push(&mut self, name: &'static str, value: impl Into<String>) {
        let value = value.into();
        // No header value should contain a line break. If one did, it must not split the response.
        if !value.bytes().any(|b| b.is_ascii_control()) {
            self.headers.push((name, value));
        }
    }

    /// Creates an answer with a script, which is the same for all users.
    ///
    /// With `lasting`, browsers cache it for a year, since its URL changes with its content.
    #[must_use]
    pub(crate) fn script(text: &str, lasting: bool) -> Self {
        let body = text.as_bytes().to_vec();
        let mut reply = Self { status: 200, headers: Vec::new(), body, code: "script" };
        let caching = if lasting { "public, max-age=31536000, immutable" } else { "no-cache" };
        reply.push("content-type", "text/javascript; charset=utf-8");
        reply.push("cache-control", caching);
        reply.push("x-content-type-options", "nosniff");
        reply.push("cross-origin-resource-policy", "same-origin");
        reply
    }

    /// Creates an answer with a JSON body.
    #[must_use]
    pub(crate) fn json(status: u16, code: &'static str, body: &serde_json::Value) -> Self {
        Self::new(status, code, body.to_string().into_bytes(), "application/json")
    }

    /// Creates an answer with an HTML page.
    #[must_use]
    pub(crate) fn page(
        status: u16,
        code: &'static str,
        page: &pages::Page,
        context: AnswerContext<'_>,
    ) -> Self {
        let mut reply =
            Self::new(status, code, page.html().into_bytes(), "text/html; charset=utf-8");
        reply.push(
            "content-security-policy",
            pages::content_security_policy(context.provider, page.form_target()),
        );
        reply.push("x-frame-options", "DENY");
        // Prefect's pages have the same origin, and their scripts must not get a handle on this
        // page's window.
        reply.push("cross-origin-opener-policy", "same-origin");
        if let Some(refresh) = page.refresh() {
            reply.push("refresh", refresh);
        }
        if context.hsts {
            reply.push("strict-transport-security", "max-age=31536000");
        }
        reply
    }

    /// Creates the answer to a refused logout token or a refused code.
    ///
    /// Its form is that of OpenID Connect Back-Channel Logout §2.8 and RFC 6749 §5.2.
    #[must_use]
    pub(crate) fn oauth_error(refusal: &Refusal) -> Self {
        let meaning = refusal.reason.meaning();
        let body = json!({"error": meaning.oauth_error, "error_description": meaning.text, "code": meaning.code});
        let mut reply = Self::json(meaning.status, meaning.code, &body);
        if let Some(seconds) = meaning.retry_after {
            reply.push("retry-after", seconds.to_string());
        }
        reply
    }

    /// Creates a redirect to an absolute URL with status 302.
    ///
    /// The status is never 307 or 308, which make browsers send a body again (RFC 9700 §4.12).
    #[must_use]
    pub(crate) fn redirect(location: &str, code: &'static str) -> Self {
        let mut reply = Self::new(302, code, Vec::new(), "text/plain");
        reply.push("location", location);
        reply
    }

    /// Creates the answer that the shell gives when a host call fails. It contains no details.
    #[must_use]
    pub fn unavailable() -> Self {
        let meaning = crate::refusal::Reason::Internal.meaning();
        let body = json!({"detail": meaning.text, "exception_message": meaning.text, "code": meaning.code});
        let mut reply = Self::json(meaning.status, meaning.code, &body);
        reply.push("retry-after", "5");
        reply
    }

    /// Creates the answer with status 202 for a proxy that authorizes a request. Its headers tell
    /// the proxy the identity, as Prefect would get it.
    #[must_use]
    pub(crate) fn accepted(principal: &Principal, role: Option<Role>) -> Self {
        let mut reply = Self::new(202, "accepted", Vec::new(), "text/plain");
        for (name, value) in identity_headers(principal, role) {
            reply.push(name, value);
        }
        reply
    }

    /// Creates the answer to a refusal for a proxy that authorizes a request.
    ///
    /// The status is 403 if the request itself or a missing right is the reason. It is 401 if
    /// another credential or a later attempt may help.
    #[must_use]
    pub(crate) fn verdict(refusal: &Refusal, context: AnswerContext<'_>) -> Self {
        let meaning = refusal.reason.meaning();
        let context = AnswerContext { kind: ClientKind::Machine, ..context };
        Self::json_refusal(
            refusal,
            Meaning { status: meaning.auth_request_status, ..meaning },
            context,
        )
    }

    /// Adds a `set-cookie` header.
    #[must_use]
    pub(crate) fn with_cookie(mut self, set_cookie: String) -> Self {
        self.push("set-cookie", set_cookie);
        self
    }

    /// Adds several `set-cookie` headers.
    #[must_use]
    pub(crate) fn with_cookies(self, set_cookies: impl IntoIterator<Item = String>) -> Self {
        set_cookies.into_iter().fold(self, Self::with_cookie)
    }

    /// Creates the answer to a refusal: a page for a browser's navigation, else JSON.
    #[must_use]
    pub(crate) fn refusal(refusal: &Refusal, context: AnswerContext<'_>) -> Self {
        let meaning = refusal.reason.meaning();
        let mut reply = if context.kind == ClientKind::Navigation {
            Self::page(
                meaning.status,
                meaning.code,
                &pages::Page::refusal(refusal, context),
                context,
            )
            .with_challenge(meaning, context.kind)
        } else {
            Self::json_refusal(refusal, meaning, context)
        };
        if let Some(seconds) = meaning.retry_after {
            reply.push("retry-after", seconds.to_string());
        }
        if meaning.status == 405 {
            reply.push("allow", &refusal.wanted);
        }
        reply
    }

    fn json_refusal(refusal: &Refusal, meaning: Meaning, context: AnswerContext<'_>) -> Self {
        let mut text = meaning.text.to_owned();
        if let Some(about) = refusal.about {
            text = format!("{text} Mismatch: {about}.");
        }
        let principal = refusal.principal.as_deref();
        if let Some(roles) = refusal.sufficient_roles() {
            text = format!("{text} Required role: {roles}.");
            if principal.is_some_and(|principal| principal.method == Method::PersonalToken) {
                text.push_str(" The role is that of your token, which may be lower than your own.");
            }
        }
        let mut body = json!({
            // Prefect's UI shows `detail`, and its clients print `exception_message`. Some of its
            // commands read `exception_detail`, and end in a traceback without it.
            "detail": text,
            "exception_message": text,
            "exception_detail": [{"msg": text}],
            "code": meaning.code,
        });
        if let (Some(id), Some(members)) = (context.request_id, body.as_object_mut()) {
            members.insert("request_id".to_owned(), id.into());
        }
        let mut reply =
            Self::json(meaning.status, meaning.code, &body).with_challenge(meaning, context.kind);
        let is_scope = meaning.status == 403 && refusal.sufficient_roles().is_some();
        if context.kind == ClientKind::Machine && is_scope {
            reply.challenge(Some(("insufficient_scope", meaning.text)), ClientKind::Fetch);
        }
        reply
    }

    /// Adds the challenge that every 401 has (RFC 9110 §15.5.2).
    fn with_challenge(mut self, meaning: Meaning, kind: ClientKind) -> Self {
        if meaning.status == 401 {
            self.challenge(meaning.challenge.map(|error| (error, meaning.text)), kind);
        }
        self
    }

    /// Adds the `www-authenticate` headers (RFC 6750 §3, RFC 7617 §2).
    ///
    /// Browsers get no `Basic` challenge, since they would open a password dialog.
    fn challenge(&mut self, error: Option<(&str, &str)>, kind: ClientKind) {
        let error =
            error.map(|(code, text)| format!(", error=\"{code}\", error_description=\"{text}\""));
        self.push(
            "www-authenticate",
            format!("Bearer realm=\"prefect\"{}", error.unwrap_or_default()),
        );
        if kind == ClientKind::Machine {
            self.push("www-authenticate", "Basic realm=\"prefect\", charset=\"UTF-8\"");
        }
    }
}
