//! Pages for people: plain, quick, dark and light, no scripts.

mod html;

use core::time::Duration;

use html::STYLE;

use crate::answer::context::AnswerContext;
use crate::config::HttpUrl;
use crate::credential::personal_token::native_app::NativeApp;
use crate::identity::personal_token::PersonalToken;
use crate::identity::role::Role;
use crate::refusal::{Reason, Refusal};

/// Seconds after which a page that waits for something is loaded again: long enough to be read
/// aloud before it begins anew, and next to the link that does it at once.
const AGAIN: u32 = 10;

/// One page: what happened, what is known about it, what the person can do.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    mood: Mood,
    title: &'static str,
    lines: Vec<String>,
    facts: Vec<(&'static str, String)>,
    advice: Option<&'static str>,
    /// The first one is what most people will want.
    actions: Vec<Action>,
    again_after: Option<u32>,
    /// Something to be copied, and what it is.
    copy: Option<(&'static str, String)>,
    /// Where else a form's answer may lead.
    form_target: Option<String>,
    request: Option<String>,
}

/// What a page is about, at a glance.
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
    /// A form that posts, instead of a link.
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
            again_after: None,
            copy: None,
            form_target: None,
            request: None,
        }
    }

    fn link(mut self, label: &'static str, path: impl Into<String>) -> Self {
        self.actions.push(Action { label, path: path.into(), post: false });
        self
    }

    /// By way of a login, which asks nothing of somebody whom the provider knows: so a role that
    /// has just been given counts.
    fn start(self, label: &'static str, asker: AnswerContext<'_>) -> Self {
        self.link(label, format!("{}/start", asker.endpoints))
    }

    fn form(mut self, label: &'static str, path: String) -> Self {
        self.actions.push(Action { label, path, post: true });
        self
    }

    fn sign_out(self, asker: AnswerContext<'_>) -> Self {
        self.form("Sign out", format!("{}/sign_out", asker.endpoints))
    }

    /// After signing out. `everywhere` says whether the provider's session has ended too.
    #[must_use]
    pub(crate) fn signed_out(asker: AnswerContext<'_>, everywhere: bool) -> Self {
        let line = if everywhere {
            "You are signed out of Prefect and of the identity provider."
        } else {
            "You are signed out of Prefect. The identity provider may still know you."
        };
        Self::new(Mood::Good, "Signed out", line).start("Sign in again", asker)
    }

    /// Somebody came to sign out from elsewhere: ask.
    #[must_use]
    pub(crate) fn confirm_sign_out(asker: AnswerContext<'_>) -> Self {
        let line = "Do you want to sign out of Prefect?";
        Self::new(Mood::Ask, "Sign out?", line).sign_out(asker).link("Stay signed in", asker.home)
    }

    /// Does the person want a personal token? `path` is where the answer is posted.
    #[must_use]
    pub(crate) fn ask_token(
        asker: AnswerContext<'_>,
        name: &str,
        role: Role,
        life: Duration,
        terminal: Option<&NativeApp>,
        path: String,
    ) -> Self {
        let (title, line, label) = match terminal {
            None => (
                "Personal token",
                "A personal token lets Prefect's command line work in your name. It is shown once, and \
                 stored nowhere.",
                "Make a token",
            ),
            Some(_) => (
                "Let a terminal work in your name?",
                "A program asks for a personal token of yours. Go on only if you have started it yourself \
                 just now, and if it shows the same mark.",
                "Let it",
            ),
        };
        let mut page = Self::new(Mood::Ask, title, line).form(label, path);
        page.facts.extend(terminal.map(|terminal| ("Mark", terminal.verification_code())));
        page.facts.push(("Signed in as", name.to_owned()));
        page.facts.push(("Role of the token", role.name().to_owned()));
        page.facts.push(("Ends in", spoken(life)));
        page.form_target = terminal.and_then(NativeApp::origin);
        page.link("No, go to Prefect", asker.home)
    }

    /// The token, this once.
    #[must_use]
    pub(crate) fn token_made(
        asker: AnswerContext<'_>,
        token: &PersonalToken,
        auth_string: &str,
    ) -> Self {
        let line = "Copy it now: it is not shown again.";
        let mut page = Self::new(Mood::Good, "Your personal token", line);
        page.copy =
            Some(("In your terminal:", format!("export PREFECT_API_AUTH_STRING='{auth_string}'")));
        page.facts.push(("Role", token.role.name().to_owned()));
        page.facts.push(("Ends in", spoken(token.expires.since(token.issued))));
        page.facts.push(("Id, to revoke it", token.id_text()));
        page.link("Go to Prefect", asker.home)
    }

    /// The code that a person carries over to a terminal.
    #[must_use]
    pub(crate) fn token_code(asker: AnswerContext<'_>, code: &str) -> Self {
        let line = "Copy this code into the terminal that asked for it, within 5 minutes. It works once, \
                    and only there.";
        let mut page = Self::new(Mood::Good, "Code for your terminal", line);
        page.copy = Some(("Code:", code.to_owned()));
        page.link("Go to Prefect", asker.home)
    }

    /// A refusal as a person reads it.
    #[must_use]
    pub(crate) fn refusal(refusal: &Refusal, asker: AnswerContext<'_>) -> Self {
        let meaning = refusal.reason.meaning();
        let (mood, title) = heading(refusal.reason);
        // A page that does so by itself says that instead.
        let text = meaning.text.trim_end_matches(" Try again in a moment.");
        let mut page = Self::new(mood, title, text);
        if let Some(principal) = &refusal.principal {
            page.facts.push(("Signed in as", principal.name.clone()));
            page.facts.push(("Needed", refusal.wanted.clone()));
        }
        if let (Reason::LoginLoop, Some(last)) = (refusal.reason, refusal.about) {
            page.facts.push(("The last time", last.to_owned()));
        }
        page.advice = advice(refusal.reason);
        page.again_after = meaning.retry_after.map(|_| AGAIN);
        page.request = asker.request_id.map(ToOwned::to_owned);
        match refusal.reason {
            Reason::NoRole => page.sign_out(asker).start("Try again", asker),
            Reason::RoleMissing => page.link("Back to Prefect", asker.home).sign_out(asker),
            Reason::SessionEnded => page.start("Sign in", asker),
            Reason::AmbiguousTarget | Reason::NotFound | Reason::NotEnabled => {
                page.link("Go to Prefect", asker.home)
            }
            // The same address once more.
            Reason::CookiesTooLarge | Reason::PrefectSecret => page.link("Try again", ""),
            _ if meaning.retry_after.is_some() => page.link("Try again now", ""),
            // A login needs the right name.
            Reason::Host => page,
            _ => page.start("Sign in again", asker),
        }
    }

    /// Where else than here and to the provider a form's answer may lead.
    #[must_use]
    pub(crate) fn form_target(&self) -> Option<&str> {
        self.form_target.as_deref()
    }

    /// Seconds after which the page is to be loaded again.
    #[must_use]
    pub(crate) const fn again_after(&self) -> Option<u32> {
        self.again_after
    }
}

const fn heading(reason: Reason) -> (Mood, &'static str) {
    match reason {
        Reason::NoRole | Reason::RoleMissing => (Mood::Stop, "Not allowed"),
        Reason::ProviderUnreachable => (Mood::Wait, "Sign-in is out of reach"),
        Reason::NotReady | Reason::Busy => (Mood::Wait, "One moment"),
        Reason::Internal | Reason::PrefectSecret => (Mood::Fault, "Something is wrong here"),
        Reason::UnknownAttempt
        | Reason::Callback
        | Reason::ProviderAnswer
        | Reason::SessionTooLarge => (Mood::Fault, "Sign-in did not work"),
        Reason::LoginLoop => (Mood::Fault, "Signing in does not work"),
        Reason::ProviderRefused => (Mood::Stop, "Not signed in"),
        Reason::SessionEnded => (Mood::Good, "Signed out"),
        Reason::NotFound | Reason::NotEnabled => (Mood::Ask, "Not found"),
        _ => (Mood::Stop, "Request refused"),
    }
}

const fn advice(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::NoRole => "Ask your administrator for one of these roles, then try again.",
        Reason::RoleMissing => "Ask your administrator if you need it.",
        Reason::Callback | Reason::UnknownAttempt => "Signing in again usually helps.",
        Reason::ProviderRefused => "If you did not cancel it yourself, ask your administrator.",
        Reason::ProviderAnswer | Reason::SessionTooLarge => {
            "If it happens again, tell your administrator."
        }
        _ => return None,
    })
}

/// No script, no foreign content, no framing; the style by its hash.
#[must_use]
pub(crate) fn content_security_policy(provider: &HttpUrl, form_target: Option<&str>) -> String {
    let hash =
        crate::foundation::crypto::to_base64(&crate::foundation::crypto::sha256(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self' {}{}{}; base-uri 'none'; \
         frame-ancestors 'none'",
        // The sign-out form's answer may be a redirect there, which browsers count as its target.
        provider.origin(),
        if form_target.is_some() { " " } else { "" },
        form_target.unwrap_or_default(),
    )
}

/// A span of time in words, rounded down to the unit that fits.
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

    fn asker(provider: &HttpUrl) -> AnswerContext<'_> {
        AnswerContext {
            kind: ClientKind::Navigation,
            request_id: Some("1-2"),
            endpoints: "/oauth2",
            home: "/",
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
        assert!(html.contains("<dt>Needed</dt><dd>admin</dd>"));
    }

    #[test]
    fn pages_are_small_and_carry_no_script() {
        let html = html(&Refusal::new(Reason::ProviderUnreachable));
        assert!(html.len() < 10_000 && !html.contains("<script"));
        assert!(html.contains("tries again every 10 seconds"));
    }
}
