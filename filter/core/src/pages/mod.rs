//! Pages for people: plain, quick, dark and light, no scripts.

use crate::asker::Asker;
use crate::config::HttpUrl;
use crate::refusal::{Reason, Refusal};

const STYLE: &str = include_str!("style.css");

/// One page: a heading, a sentence or two, at most one thing to do.
#[derive(Clone, Debug)]
pub struct Page {
    title: &'static str,
    lines: Vec<String>,
    action: Option<Action>,
    refresh_after: Option<u32>,
    footnote: Option<String>,
}

#[derive(Clone, Debug)]
struct Action {
    label: &'static str,
    path: String,
    /// A form that posts, instead of a link.
    post: bool,
}

impl Page {
    fn new(title: &'static str, lines: Vec<String>) -> Self {
        Self { title, lines, action: None, refresh_after: None, footnote: None }
    }

    fn link(mut self, label: &'static str, path: impl Into<String>) -> Self {
        self.action = Some(Action { label, path: path.into(), post: false });
        self
    }

    fn button(mut self, label: &'static str, path: impl Into<String>) -> Self {
        self.action = Some(Action { label, path: path.into(), post: true });
        self
    }

    /// After signing out. `everywhere` says whether the provider's session has ended too.
    #[must_use]
    pub fn signed_out(asker: Asker<'_>, everywhere: bool) -> Self {
        let line = if everywhere {
            "You are signed out of Prefect and of the identity provider."
        } else {
            "You are signed out of Prefect. The identity provider may still know you."
        };
        Self::new("Signed out", vec![line.to_owned()])
            .link("Sign in again", format!("{}/start", asker.endpoints))
    }

    /// Somebody came to sign out from elsewhere: ask.
    #[must_use]
    pub fn confirm_sign_out(asker: Asker<'_>) -> Self {
        Self::new("Sign out?", vec!["Do you want to sign out of Prefect?".to_owned()])
            .button("Sign out", format!("{}/sign_out", asker.endpoints))
    }

    /// A refusal as a person reads it.
    #[must_use]
    pub fn refusal(refusal: &Refusal, asker: Asker<'_>) -> Self {
        let meaning = refusal.reason.meaning();
        let mut lines = vec![meaning.text.to_owned()];
        if let Some(principal) = &refusal.principal {
            lines.push(format!("You are signed in as {}.", principal.name));
            lines.push(format!("Needed: {}.", refusal.wanted));
        }
        let retry = format!("{}/start", asker.endpoints);
        let page = Self::new(title(refusal.reason), lines);
        let mut page = match refusal.reason {
            Reason::NoRole | Reason::RoleMissing => {
                page.button("Sign out", format!("{}/sign_out", asker.endpoints))
            }
            Reason::UnknownAttempt
            | Reason::Callback
            | Reason::LoginLoop
            | Reason::ProviderRefused
            | Reason::ProviderAnswer
            | Reason::SessionEnded => page.link("Sign in", retry),
            _ => page,
        };
        page.refresh_after = meaning.retry_after.map(|secs| secs.max(2));
        if page.refresh_after.is_some() {
            page.lines.push("This page tries again by itself.".to_owned());
        }
        page.footnote = asker.request_id.map(|id| format!("Request {id}"));
        page
    }

    /// The page's HTML; everything that is not ours is escaped.
    #[must_use]
    pub fn html(&self) -> String {
        let refresh = self
            .refresh_after
            .map(|secs| format!("<meta http-equiv=\"refresh\" content=\"{secs}\">"))
            .unwrap_or_default();
        let lines: String = self.lines.iter().map(|l| format!("<p>{}</p>", escape(l))).collect();
        let action = self.action.as_ref().map(Action::html).unwrap_or_default();
        let footnote = self
            .footnote
            .as_ref()
            .map(|text| format!("<footer>{}</footer>", escape(text)))
            .unwrap_or_default();
        format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\">\
             <meta name=\"robots\" content=\"noindex\">{refresh}<title>{title} · Prefect</title>\
             <style>{STYLE}</style></head><body><main><h1>{title}</h1>{lines}{action}{footnote}\
             </main></body></html>",
            title = self.title,
        )
    }
}

impl Action {
    fn html(&self) -> String {
        let (label, path) = (self.label, escape(&self.path));
        if self.post {
            format!("<form method=\"post\" action=\"{path}\"><button>{label}</button></form>")
        } else {
            format!("<p><a class=\"button\" href=\"{path}\">{label}</a></p>")
        }
    }
}

const fn title(reason: Reason) -> &'static str {
    match reason {
        Reason::NoRole | Reason::RoleMissing => "Not allowed",
        Reason::ProviderUnreachable | Reason::NotReady | Reason::Busy | Reason::Internal => {
            "One moment"
        }
        Reason::UnknownAttempt
        | Reason::Callback
        | Reason::ProviderAnswer
        | Reason::SessionTooLarge => "Sign-in did not work",
        Reason::LoginLoop => "Signing in does not work",
        Reason::ProviderRefused => "Not signed in",
        Reason::SessionEnded => "Signed out",
        Reason::NotFound => "Not found",
        _ => "Request refused",
    }
}

/// No script, no foreign content, no framing; the style by its hash.
#[must_use]
pub fn content_security_policy(provider: &HttpUrl) -> String {
    let hash = crate::crypto::to_base64(&crate::crypto::sha256(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self' {}; base-uri 'none'; \
         frame-ancestors 'none'",
        // The sign-out form's answer may be a redirect there, which browsers count as its target.
        provider.origin()
    )
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::http::client::ClientKind;
    use crate::policy::principal::{Method, Principal};

    fn asker(provider: &HttpUrl) -> Asker<'_> {
        Asker {
            kind: ClientKind::Navigation,
            request_id: Some("1-2"),
            endpoints: "/oauth2",
            provider,
            hsts: true,
        }
    }

    fn html(refusal: &Refusal) -> String {
        Page::refusal(refusal, asker(&HttpUrl::parse("https://sso.example").unwrap())).html()
    }

    #[test]
    fn foreign_text_is_escaped_on_pages() {
        let principal = Principal {
            id: "user:1".into(),
            name: "<script>alert(1)</script>\"'&".into(),
            email: None,
            method: Method::Session,
        };
        let refusal = Refusal::new(Reason::RoleMissing).wanted("admin").by(Rc::new(principal));
        let html = html(&refusal);
        assert!(!html.contains("<script"));
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"));
        assert!(html.contains("Needed: admin."));
    }

    #[test]
    fn pages_are_small_and_carry_no_script() {
        let html = html(&Refusal::new(Reason::ProviderUnreachable));
        assert!(html.len() < 10_000 && !html.contains("<script"));
        assert!(html.contains("http-equiv=\"refresh\""));
    }
}
