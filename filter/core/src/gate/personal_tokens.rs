//! `token`: the page on which people make personal tokens, and the exchange of a program's code for
//! one.

use std::rc::Rc;

use serde_json::json;

use super::authenticate::Proof;
use super::endpoint_body::BodyEndpoint;
use super::incoming::Incoming;
use super::{Cx, Gate, WaitFor};
use crate::answer::pages::Page;
use crate::answer::reply::Reply;
use crate::config::PersonalTokenSettings;
use crate::credential::personal_token;
use crate::credential::personal_token::Code;
use crate::credential::personal_token::native_app;
use crate::credential::personal_token::native_app::{NativeApp, TokenRequest};
use crate::gate::decision::Decision;
use crate::identity::personal_token::PersonalToken;
use crate::identity::principal::{Identity, Method};
use crate::identity::role::Role;
use crate::identity::role_set::RoleSet;
use crate::login::id_token::is_fresh;
use crate::login::ticket::LoginOptions;
use crate::refusal::{Reason, Refusal};
use crate::session::model::Session;
use crate::telemetry::event::Event;
use crate::wire::http::client::{ClientKind, is_from_a_browser, is_from_our_page};
use crate::wire::http::cookies::Cookies;
use crate::workers::tombstones::Added;

impl Gate {
    pub(super) fn personal_tokens(
        &mut self,
        incoming: &Incoming<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        let config = cx.site.config();
        let request = incoming.view;
        let host = incoming.host.known()?;
        let off = || {
            Refusal::new(Reason::NotFound)
                .seen("the page for personal tokens, while machines.personal_tokens is off")
                .wanted("machines.personal_tokens")
        };
        let settings = config.machines.personal_tokens.as_ref().ok_or_else(off)?;
        let post = incoming.method() == "POST";
        if post && !is_from_a_browser(request) {
            return self.begin_endpoint_body(BodyEndpoint::TokenRequest, request, cx);
        }
        if !host.is_public() {
            return Err(Refusal::new(Reason::NotFound)
                .seen("a page on a host for machines")
                .wanted("the host of public_url"));
        }
        let cookies = incoming.cookies()?;
        let terminal = NativeApp::read(incoming.target.query())?;
        if post && !is_from_our_page(request, config.public.origin()) {
            return Err(Refusal::new(Reason::CrossSite)
                .seen("a personal token for another site")
                .wanted("a form of our own page"));
        }
        if !post && !incoming.is_page_load() {
            return Err(Refusal::new(Reason::CrossSite)
                .seen("a personal token by no page load")
                .wanted("a page load"));
        }
        let page = native_app::page_path(terminal.as_ref(), &config);
        let (identity, session) = match self.authenticate_session(request, cookies, cx)? {
            Proof::Wait => return Ok(self.wait(WaitFor::Verdict, cx.now)),
            Proof::Identified(identity) => (identity, self.session.clone()),
            Proof::Nobody(_) if post => {
                return Err(Refusal::new(Reason::SessionEnded)
                    .seen("a form for a personal token without a session")
                    .wanted("a login"));
            }
            Proof::Nobody(_) => return self.begin_fresh_login(page, cookies, cx),
        };
        let role = role(&identity, settings)?;
        let Some(session) = session.filter(|session| is_fresh(session.auth_time, cx.now)) else {
            if post {
                let reply = Reply::redirect(&config.absolute(&page), "login");
                return Ok(self.reply(reply));
            }
            return self.begin_fresh_login(page, cookies, cx);
        };
        if post {
            let is_confirmed =
                native_app::form_token(incoming.target.query()).is_some_and(|token| {
                    cx.site.personal_tokens.is_form_token(&token, &session, &page, cx.now)
                });
            if is_confirmed {
                return self.make_token(&session, role, terminal.as_ref(), incoming.client, cx);
            }
            let reply = Reply::redirect(&config.absolute(&page), "personal_token_asked");
            return Ok(self.reply(reply));
        }
        let context = self.answer_context(incoming.client, &config);
        let form_token =
            cx.site.personal_tokens.seal_form_token(&session, &page, cx.now, cx.entropy)?;
        let answer = native_app::form_action(&page, &form_token);
        let page =
            Page::ask_token(context, &session.name, role, settings.max, terminal.as_ref(), answer);
        let reply = Reply::page(200, "personal_token_asked", &page, context);
        Ok(self.reply(reply))
    }

    fn begin_fresh_login(
        &mut self,
        return_to: String,
        cookies: &Cookies<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        self.send_to_provider(LoginOptions { return_to, again: false, fresh: true }, cookies, cx)
    }

    fn make_token(
        &mut self,
        session: &Rc<Session>,
        role: Role,
        terminal: Option<&NativeApp>,
        client: ClientKind,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        let config = cx.site.config();
        let Some(settings) = &config.machines.personal_tokens else {
            return Err(Refusal::new(Reason::Internal)
                .seen("no settings of personal tokens")
                .wanted("a report of this line"));
        };
        let token = personal_token::make(session, role, settings, cx.now, cx.entropy)?;
        let context = self.answer_context(client, &config);
        let (reply, code) = match terminal {
            None => {
                let text = cx.site.personal_tokens.seal(&token, cx.entropy)?;
                let page =
                    Page::token_made(context, &token, &auth_string(&token, text.expose_str()));
                (Reply::page(200, "personal_token", &page, context), "personal_token")
            }
            Some(terminal) => {
                let code = Code { challenge: terminal.challenge, token: token.clone() };
                let code = cx.site.personal_tokens.seal_code(&code, cx.entropy)?;
                let reply = match terminal.address(code.expose_str()) {
                    Some(address) => Reply::redirect(&address, "personal_token_code"),
                    None => {
                        let page = Page::token_code(context, code.expose_str());
                        Reply::page(200, "personal_token_code", &page, context)
                    }
                };
                (reply, "personal_token_code")
            }
        };
        cx.site.notice(format!("{code}: {}", described(&token)));
        self.event = Some(Event::answered(code).about(&token, Method::Session));
        Ok(self.reply(reply))
    }

    /// Exchanges a program's code for a personal token (RFC 7636 §4.6).
    ///
    /// A code is valid once, and only with the verifier of its challenge. A request with another
    /// verifier uses the code up.
    pub(super) fn token_request(&mut self, form: &str, cx: &mut Cx<'_>) -> Result<Reply, Refusal> {
        let request = TokenRequest::read(form)?;
        let refused = |seen: &str| {
            let wanted =
                "a code of this gate, once, in 5 minutes, with the verifier of its challenge";
            Refusal::new(Reason::TokenCode).seen(seen).wanted(wanted)
        };
        let code = cx.site.personal_tokens.open_code(request.code.as_bytes());
        let Code { challenge, token } = code.ok_or_else(|| refused("a code that does not open"))?;
        match cx.site.use_terminal_code(&token, cx.now) {
            Added::New => {}
            Added::Known => return Err(refused("a code for the second time, or too late")),
            Added::Busy => return Err(Refusal::busy("too many codes of personal tokens")),
        }
        if !request.fits(&challenge) {
            return Err(refused("another verifier"));
        }
        let token = Rc::new(token);
        cx.site.verify_personal_token(&token, cx.now)?;
        let text = cx.site.personal_tokens.seal(&token, cx.entropy)?;
        cx.site.notice(format!("personal_token: {}", described(&token)));
        self.event = Some(Event::answered("personal_token").about(&token, Method::PersonalToken));
        let body = json!({
            "access_token": text.expose_str(),
            "token_type": "Bearer",
            "expires_in": token.expires.since(cx.now).as_secs(),
            "id": token.id_text(),
            "role": token.role.name(),
            "auth_string": auth_string(&token, text.expose_str()),
        });
        Ok(Reply::json(200, "personal_token", &body))
    }
}

fn role(identity: &Identity, settings: &PersonalTokenSettings) -> Result<Role, Refusal> {
    let held = identity.role;
    let refused = |reason, seen: String| {
        let gets_one = |role: &Role| personal_token::role(*role, settings).is_some();
        let roles: Vec<Role> = Role::ALL.into_iter().filter(gets_one).collect();
        let refusal = Refusal::new(reason).seen(seen).wanted(RoleSet::of(&roles).names());
        refusal.by(&identity.principal, identity.role)
    };
    let held = held.ok_or_else(|| refused(Reason::NoRole, "no role".to_owned()))?;
    personal_token::role(held, settings).ok_or_else(|| {
        let seen = format!("role {}, and at most {}", held.name(), settings.role.name());
        refused(Reason::RoleMissing, seen)
    })
}

/// Returns the auth string for Prefect's clients: a name, a colon and the token.
fn auth_string(token: &PersonalToken, text: &str) -> String {
    // People paste the text into a shell.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '-');
    let name: String = token.name.chars().map(|c| if plain(c) { c } else { '-' }).collect();
    format!("{name}:{text}")
}

/// Describes a token for the operator's log, without its secret text.
fn described(token: &PersonalToken) -> String {
    let (id, subject) = (token.id_text(), crate::foundation::log_text::shown(&token.subject));
    format!("id={id} principal=\"user:{subject}\" role={}", token.role.name())
}
