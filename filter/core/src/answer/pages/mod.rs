//! HTML pages for people, in a dark and a light color scheme and without scripts.

mod html;

use core::time::Duration;

use html::STYLE;

use crate::answer::context::AnswerContext;
use crate::config::HttpUrl;
use crate::credential::personal_token::native_app::NativeApp;
use crate::identity::personal_token::PersonalToken;
use crate::identity::role::Role;
use crate::refusal::{Reason, Refusal};

/// Seconds after which a page that waits for something is loaded again.
///
/// A screen reader can finish reading the page within this time. A link on the page reloads it
/// immediately.
const AGAIN: u32 = 10;

/// A page: what happened, the known facts, and what the person can do.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    mood: Mood,
    title: &'static str,
    lines: Vec<String>,
    facts: Vec<(&'static str, String)>,
    advice: Option<&'static str>,
    /// Links and buttons, of which the first one is highlighted.
    actions: Vec<Action>,
    /// Seconds after which the page tries again, and the address that it loads then. An empty one
    /// is its own.
    again: Option<(u32, String)>,
    /// The label of a text to copy, and the text.
    copy: Option<(&'static str, String)>,
    /// A further origin to which the answer of a form may redirect.
    form_target: Option<String>,
    /// The request id.
    request: Option<String>,
}

/// The kind of a page, which decides about its icon and color.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Good,
    Ask,
    Stop,
    Wait,
    Fault,
}

#[derive(Clone, Debug)]
struct Action {
    label: &'static str,
    path: String,
    /// Whether the action is a form with a button instead of a link.
    post: bool,
}

impl Page {
    fn new(mood: Mood, title: &'static str, line: impl Into<String>) -> Self {
        Self {
            mood,
            title,
            lines: vec![line.into()],
            facts: Vec::new(),
            advice: None,
            actions: Vec::new(),
            again: None,
            copy: None,
            form_target: None,
            request: None,
        }
    }

    fn link(mut self, label: &'static str, path: impl Into<String>) -> Self {
        self.actions.push(Action { label, path: path.into(), post: false });
        self
    }

    /// Adds a link that starts a login.
    ///
    /// The provider does not prompt a person who has a session there. The login reads the role
    /// again, so that a role that has just been granted applies.
    fn start(self, label: &'static str, context: AnswerContext<'_>) -> Self {
        self.link(label, context.start())
    }

    fn form(mut self, label: &'static str, path: String) -> Self {
        self.actions.push(Action { label, path, post: true });
        self
    }

    /// Adds the form that ends the session, which exists at the public host only.
    fn sign_out(self, context: AnswerContext<'_>) -> Self {
        if context.origin.is_empty() {
            return self.form("Sign out", format!("{}/sign_out", context.endpoints));
        }
        self
    }

    fn home(self, label: &'static str, context: AnswerContext<'_>) -> Self {
        self.link(label, context.home())
    }

    /// Creates the page after signing out.
    ///
    /// `everywhere` says whether the provider's session has ended as well.
    #[must_use]
    pub(crate) fn signed_out(context: AnswerContext<'_>, everywhere: bool) -> Self {
        let line = if everywhere {
            "You are signed out of Prefect and of the identity provider."
        } else {
            "You are signed out of Prefect. You may still be signed in at the identity provider."
        };
        Self::new(Mood::Good, "Signed out", line).start("Sign in again", context)
    }

    /// Creates the page that asks for confirmation when a link on another site leads to sign-out.
    #[must_use]
    pub(crate) fn confirm_sign_out(context: AnswerContext<'_>) -> Self {
        let line = "Do you want to sign out of Prefect?";
        Self::new(Mood::Ask, "Sign out?", line).sign_out(context).home("Stay signed in", context)
    }

    /// Creates the page that offers a personal token.
    ///
    /// `life` is the token's lifetime, and `path` is where the form is posted.
    #[must_use]
    pub(crate) fn ask_token(
        context: AnswerContext<'_>,
        name: &str,
        role: Role,
        life: Duration,
        terminal: Option<&NativeApp>,
        path: String,
    ) -> Self {
        let (title, line, label) = match terminal {
            None => (
                "Personal token",
                "A personal token lets the Prefect CLI act on your behalf. It is shown once and not \
                 stored.",
                "Create token",
            ),
            Some(_) => (
                "Allow a terminal to act on your behalf?",
                "A program requests a personal token for your account. Continue only if you just started \
                 it and it shows the same verification code.",
                "Allow",
            ),
        };
        let mut page = Self::new(Mood::Ask, title, line).form(label, path);
        let code = terminal.map(NativeApp::verification_code);
        page.facts.extend(code.map(|code| ("Verification code", code)));
        page.facts.push(("Signed in as", name.to_owned()));
        page.facts.push(("Token role", role.name().to_owned()));
        page.facts.push(("Expires in", spoken(life)));
        page.form_target = terminal.and_then(NativeApp::origin);
        page.home("Cancel", context)
    }

    /// Creates the page that shows a new personal token.
    #[must_use]
    pub(crate) fn token_made(
        context: AnswerContext<'_>,
        token: &PersonalToken,
        auth_string: &str,
    ) -> Self {
        let line = "Copy it now. It will not be shown again.";
        let mut page = Self::new(Mood::Good, "Your personal token", line);
        page.copy =
            Some(("In your terminal:", format!("export PREFECT_API_AUTH_STRING='{auth_string}'")));
        page.facts.push(("Role", token.role.name().to_owned()));
        page.facts.push(("Expires in", spoken(token.expires.since(token.issued))));
        page.facts.push(("Token ID (to revoke it)", token.id_text()));
        page.home("Go to Prefect", context)
    }

    /// Creates the page with the code that a person copies into a terminal.
    #[must_use]
    pub(crate) fn token_code(context: AnswerContext<'_>, code: &str) -> Self {
        let line = "Enter this code within 5 minutes in the terminal that requested it. It works only \
                    once and only there.";
        let mut page = Self::new(Mood::Good, "Code for your terminal", line);
        page.copy = Some(("Code:", code.to_owned()));
        page.home("Go to Prefect", context)
    }

    /// Creates the page for a refusal.
    #[must_use]
    pub(crate) fn refusal(refusal: &Refusal, context: AnswerContext<'_>) -> Self {
        let meaning = refusal.reason.meaning();
        let (mood, title) = heading(refusal.reason);
        // A page that reloads by itself states the interval instead.
        let text = meaning.text.trim_end_matches(" Try again in a moment.");
        let mut page = Self::new(mood, title, text);
        if let Some(principal) = &refusal.principal {
            page.facts.push(("Signed in as", principal.name.clone()));
        }
        if let Some(roles) = refusal.sufficient_roles() {
            page.facts.push(("Required role", roles.to_owned()));
        }
        if let (Reason::LoginLoop, Some(last)) = (refusal.reason, refusal.about) {
            page.facts.push(("Last error", last.to_owned()));
        }
        page.advice = advice(refusal.reason);
        page.again = meaning.retry_after.map(|_| (AGAIN, context.again()));
        page.request = context.request_id.map(ToOwned::to_owned);
        match refusal.reason {
            Reason::NoRole => page.sign_out(context).start("Try again", context),
            Reason::RoleMissing => page.home("Back to Prefect", context).sign_out(context),
            Reason::SessionEnded => page.start("Sign in", context),
            Reason::AmbiguousTarget | Reason::NotFound | Reason::NotEnabled => {
                page.home("Go to Prefect", context)
            }
            Reason::CookiesTooLarge | Reason::PrefectSecret => {
                page.link("Try again", context.again())
            }
            _ if meaning.retry_after.is_some() => page.link("Try again now", context.again()),
            // A login works only under a configured host name, so there is no link to one.
            Reason::Host => page,
            _ => page.start("Sign in again", context),
        }
    }

    /// Returns a further origin, beside ours and the provider's, to which a form may redirect.
    #[must_use]
    pub(crate) fn form_target(&self) -> Option<&str> {
        self.form_target.as_deref()
    }

    /// Returns the value of the header `refresh`, if the page tries again by itself.
    #[must_use]
    pub(crate) fn refresh(&self) -> Option<String> {
        self.again.as_ref().map(|(seconds, address)| match address.as_str() {
            "" => seconds.to_string(),
            address => format!("{seconds};url={address}"),
        })
    }
}

const fn heading(reason: Reason) -> (Mood, &'static str) {
    match reason {
        Reason::NoRole | Reason::RoleMissing | Reason::NotAllowed => (Mood::Stop, "Not allowed"),
        Reason::ProviderUnreachable => (Mood::Wait, "Sign-in is unavailable"),
        Reason::PrefectUnreachable => (Mood::Wait, "Prefect is unavailable"),
        Reason::NotReady | Reason::Busy => (Mood::Wait, "Please wait"),
        Reason::Internal | Reason::PrefectSecret => (Mood::Fault, "Something went wrong"),
        Reason::UnknownAttempt
        | Reason::Callback
        | Reason::ProviderAnswer
        | Reason::ProviderRejectsClient
        | Reason::SessionTooLarge => (Mood::Fault, "Sign-in failed"),
        Reason::LoginLoop => (Mood::Fault, "Sign-in keeps failing"),
        Reason::ProviderRefused => (Mood::Stop, "Not signed in"),
        Reason::SessionEnded => (Mood::Good, "Session ended"),
        Reason::NotFound | Reason::NotEnabled => (Mood::Ask, "Not found"),
        // A new reason may also need an advice and actions, see `advice` and `Page::refusal`.
        Reason::AmbiguousTarget
        | Reason::Method
        | Reason::Upgrade
        | Reason::Host
        | Reason::CookiesTooLarge
        | Reason::SeveralCredentials
        | Reason::CrossSite
        | Reason::Preflight
        | Reason::NoCredential
        | Reason::MalformedCredential
        | Reason::MisspeltCredential
        | Reason::InvalidToken
        | Reason::UnknownKey
        | Reason::UnknownApiKey
        | Reason::ExpiredApiKey
        | Reason::WrongPassword
        | Reason::CredentialNotAccepted
        | Reason::ClientCredentials
        | Reason::PersonalToken
        | Reason::TokenRequest
        | Reason::TokenCode
        | Reason::SocketByCookie
        | Reason::FirstFrame
        | Reason::BodyTooLarge
        | Reason::BodyTimeout
        | Reason::ProxySecret
        | Reason::Masked
        | Reason::MaskedTooLarge
        | Reason::LogoutToken => (Mood::Stop, "Request refused"),
    }
}

const fn advice(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::NoRole => "Ask your administrator for one of these roles, then try again.",
        Reason::RoleMissing => "If you need access, ask your administrator.",
        Reason::NotAllowed => {
            "Ask your administrator for access, or sign in with another account at your provider."
        }
        Reason::Callback | Reason::UnknownAttempt => {
            "Sign in again. This usually solves the problem."
        }
        Reason::ProviderRefused => {
            "If you did not cancel the sign-in yourself, contact your administrator."
        }
        Reason::ProviderAnswer | Reason::ProviderRejectsClient | Reason::SessionTooLarge => {
            "If this happens again, contact your administrator."
        }
        _ => return None,
    })
}

/// Returns the content security policy of a page.
///
/// It allows no scripts, no external content and no framing, and the style sheet only by its hash.
#[must_use]
pub(crate) fn content_security_policy(provider: &HttpUrl, form_target: Option<&str>) -> String {
    let hash =
        crate::foundation::crypto::to_base64(&crate::foundation::crypto::sha256(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self' {}{}{}; base-uri 'none'; \
         frame-ancestors 'none'",
        // The answer to the sign-out form may redirect to the provider, and browsers check the
        // target of that redirect as well.
        provider.origin(),
        if form_target.is_some() { " " } else { "" },
        form_target.unwrap_or_default(),
    )
}

/// Returns a time span in words, rounded down to a suitable unit.
fn spoken(span: Duration) -> String {
    let seconds = span.as_secs();
    let (number, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7200 => (seconds / 60, "minute"),
        7200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::identity::principal::{Method, Principal};
    use crate::wire::http::client::ClientKind;

    fn answer_context(provider: &HttpUrl) -> AnswerContext<'_> {
        AnswerContext {
            kind: ClientKind::Navigation,
            request_id: Some("1-2"),
            endpoints: "/oauth2",
            home: "/",
            origin: "",
            return_to: None,
            single_use: false,
            provider,
            hsts: true,
        }
    }

    fn html(refusal: &Refusal) -> String {
        Page::refusal(refusal, answer_context(&HttpUrl::parse("https://sso.example").unwrap()))
            .html()
    }

    #[test]
    fn foreign_text_is_escaped_on_pages() {
        let principal = Principal {
            id: "user:1".into(),
            name: "<script>alert(1)</script>\"'&".into(),
            email: None,
            method: Method::Session,
        };
        let refusal =
            Refusal::new(Reason::RoleMissing).wanted("admin").by(&Rc::new(principal), None);
        let html = html(&refusal);
        assert!(!html.contains("<script"));
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"));
        assert!(html.contains("<dt>Required role</dt><dd>admin</dd>"));
    }

    #[test]
    fn pages_are_small_and_carry_no_script() {
        let html = html(&Refusal::new(Reason::ProviderUnreachable));
        assert!(html.len() < 10_000 && !html.contains("<script"));
        assert!(html.contains("This page retries every 10 seconds."));
    }
}
