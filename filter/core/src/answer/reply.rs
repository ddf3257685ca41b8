//! The only builder of local answers. Its methods are the allow-list of headers: there is no way
//! to put another one, or a token, into an answer.

use serde_json::json;

use crate::answer::context::AnswerContext;
use crate::answer::pages;
use crate::refusal::{Meaning, Refusal};
use crate::wire::http::client::ClientKind;

/// An answer that Lictor gives itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers in order.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Short name for Envoy's response code details.
    pub(crate) code: &'static str,
}

impl Reply {
    fn new(status: u16, code: &'static str, body: Vec<u8>, content_type: &str) -> Self {
        let mut reply = Self { status, headers: Vec::new(), body, code };
        reply.push("content-type", content_type);
        reply.push("cache-control", "no-store");
        reply.push("vary", "Cookie, Authorization, Sec-Fetch-Mode, Accept");
        reply.push("x-content-type-options", "nosniff");
        reply.push("referrer-policy", "no-referrer");
        reply
    }

    fn push(&mut self, name: &'static str, value: impl Into<String>) {
        let value = value.into();
        // A header value of ours never holds a line break; if one ever did, it goes nowhere.
        if !value.bytes().any(|b| b.is_ascii_control()) {
            self.headers.push((name, value));
        }
    }

    /// A script of ours, the same for everybody; `lasting` under an address that no other one will have.
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

    /// A JSON answer.
    #[must_use]
    pub(crate) fn json(status: u16, code: &'static str, body: &serde_json::Value) -> Self {
        Self::new(status, code, body.to_string().into_bytes(), "application/json")
    }

    /// A page.
    #[must_use]
    pub(crate) fn page(
        status: u16,
        code: &'static str,
        page: &pages::Page,
        asker: AnswerContext<'_>,
    ) -> Self {
        let mut reply =
            Self::new(status, code, page.html().into_bytes(), "text/html; charset=utf-8");
        reply.push(
            "content-security-policy",
            pages::content_security_policy(asker.provider, page.form_target()),
        );
        reply.push("x-frame-options", "DENY");
        // A script of Prefect's pages, which are of the same origin, must not hold this page's window.
        reply.push("cross-origin-opener-policy", "same-origin");
        if let Some(seconds) = page.again_after() {
            reply.push("refresh", seconds.to_string());
        }
        if asker.hsts {
            reply.push("strict-transport-security", "max-age=31536000");
        }
        reply
    }

    /// The answer to a logout token or a code that was refused (OpenID Connect Back-Channel Logout §2.8,
    /// RFC 6749 §5.2).
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

    /// `302 Found` to an absolute URL: never 307 or 308, which repeat a body (RFC 9700 §4.12).
    #[must_use]
    pub(crate) fn redirect(location: &str, code: &'static str) -> Self {
        let mut reply = Self::new(302, code, Vec::new(), "text/plain");
        reply.push("location", location);
        reply
    }

    /// For the shell, when the host fails it: no page, no details.
    #[must_use]
    pub fn unavailable() -> Self {
        let meaning = crate::refusal::Reason::Internal.meaning();
        let body = json!({"detail": meaning.text, "exception_message": meaning.text, "code": meaning.code});
        let mut reply = Self::json(meaning.status, meaning.code, &body);
        reply.push("retry-after", "5");
        reply
    }

    /// `202 Accepted` with who it is, for a proxy that holds the request.
    #[must_use]
    pub(crate) fn accepted(identity: Vec<(&'static str, String)>) -> Self {
        let mut reply = Self::new(202, "accepted", Vec::new(), "text/plain");
        for (name, value) in identity {
            reply.push(name, value);
        }
        reply
    }

    /// A refusal for a proxy that holds the request: 403 where the request itself or a right is the
    /// matter, 401 for everything that another credential or another moment may mend.
    #[must_use]
    pub(crate) fn verdict(refusal: &Refusal, asker: AnswerContext<'_>) -> Self {
        let meaning = refusal.reason.meaning();
        let asker = AnswerContext { kind: ClientKind::Machine, ..asker };
        Self::json_refusal(
            refusal,
            Meaning { status: meaning.auth_request_status, ..meaning },
            asker,
        )
    }

    /// With a cookie to set.
    #[must_use]
    pub(crate) fn with_cookie(mut self, set_cookie: String) -> Self {
        self.push("set-cookie", set_cookie);
        self
    }

    /// With several cookies to set.
    #[must_use]
    pub(crate) fn with_cookies(self, set_cookies: impl IntoIterator<Item = String>) -> Self {
        set_cookies.into_iter().fold(self, Self::with_cookie)
    }

    /// The answer to a refusal, in the form that its reader understands.
    #[must_use]
    pub(crate) fn refusal(refusal: &Refusal, asker: AnswerContext<'_>) -> Self {
        let meaning = refusal.reason.meaning();
        let mut reply = if asker.kind == ClientKind::Navigation {
            Self::page(meaning.status, meaning.code, &pages::Page::refusal(refusal, asker), asker)
        } else {
            Self::json_refusal(refusal, meaning, asker)
        };
        if let Some(seconds) = meaning.retry_after {
            reply.push("retry-after", seconds.to_string());
        }
        if meaning.status == 405 {
            reply.push("allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        }
        reply
    }

    fn json_refusal(refusal: &Refusal, meaning: Meaning, asker: AnswerContext<'_>) -> Self {
        let mut text = meaning.text.to_owned();
        if let Some(about) = refusal.about {
            text = format!("{text} Mismatch: {about}.");
        }
        if meaning.status == 403 && refusal.principal.is_some() {
            text = format!("{text} Needed: {}.", refusal.wanted);
        }
        let mut body = json!({
            // Prefect's UI shows `detail`, its clients print `exception_message`.
            "detail": text,
            "exception_message": text,
            "code": meaning.code,
        });
        if let (Some(id), Some(members)) = (asker.request_id, body.as_object_mut()) {
            members.insert("request_id".to_owned(), id.into());
        }
        let mut reply = Self::json(meaning.status, meaning.code, &body);
        match (meaning.status, meaning.challenge) {
            (401, Some(error)) => reply.challenge(Some((error, meaning.text)), asker.kind),
            (401, None) => reply.challenge(None, asker.kind),
            (403, _) if asker.kind == ClientKind::Machine && refusal.principal.is_some() => {
                reply.challenge(Some(("insufficient_scope", meaning.text)), ClientKind::Fetch);
            }
            _ => {}
        }
        reply
    }

    /// RFC 6750 §3, RFC 7617 §2. Browsers get no `Basic`: they would pop up a password box.
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

/// Request ids as Envoy makes them; anything else is not repeated.
#[must_use]
pub(crate) fn request_id(value: Option<&str>) -> Option<&str> {
    value.filter(|id| id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
}
