//! The browser login, as steps of one request.

use super::authenticate::{Proof, identity_of};
use super::incoming::Incoming;
use super::unknown_key::NoKey;
use super::{Attempt, Cx, Gate, State, WaitFor};
use crate::answer::reply::Reply;
use crate::config::LOGIN;
use crate::gate::decision::Decision;
use crate::login::callback;
use crate::login::callback::{Failure, LoggedIn, NoSession};
use crate::login::failures::{Counted, Failures};
use crate::login::start;
use crate::login::ticket::{LoginOptions, Remembered, Ticket, Tickets};
use crate::login::{return_path, role};
use crate::provider::callout::CalloutReply;
use crate::provider::metadata::Provider;
use crate::provider::token_endpoint;
use crate::provider::token_endpoint::{Client, Tokens};
use crate::provider::userinfo;
use crate::refusal::{Reason, Refusal};
use crate::session::cookie::NoCookie;
use crate::session::model::Session;
use crate::site::Site;
use crate::wire::http::client::ClientKind;
use crate::wire::http::cookies::Cookies;
use crate::wire::http::query::only;
use crate::wire::http::request::RequestView;
use crate::workers::tombstones::Added;

/// The step of a login that waits.
pub(crate) enum LoginStep {
    /// The token endpoint has the code. The step holds one of the bounded slots for logins.
    Redeeming(Box<Ticket>),
    /// The provider gets the parameters of the login, which sets these cookies when it begins. The
    /// step holds one of the bounded slots for pushes.
    Pushing(Vec<String>),
    /// The tokens are present, and the key that verifies them is being fetched.
    AwaitingKey(Box<Ticket>, Box<Tokens>),
    /// The session is made, and userinfo is asked for its role. The text is the return path.
    AskingUserinfo(Box<Session>, String),
}

impl LoginStep {
    /// Gives back the slot that this step holds, if any.
    pub(crate) const fn abandon(&self, site: &mut Site) {
        match self {
            Self::Redeeming(_) => site.release_login_slot(),
            Self::Pushing(_) => site.release_push_slot(),
            Self::AwaitingKey(..) | Self::AskingUserinfo(..) => {}
        }
    }
}

impl Gate {
    /// Begins a login that ends at `return_to`, or at a default path if that is not acceptable.
    pub(super) fn begin_login(
        &mut self,
        return_to: Option<&str>,
        cookies: &Cookies<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        let return_to = return_path::checked(return_to, &cx.site.config());
        self.send_to_provider(LoginOptions { return_to, again: false, fresh: false }, cookies, cx)
    }

    pub(super) fn send_to_provider(
        &mut self,
        options: LoginOptions,
        cookies: &Cookies<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        let config = cx.site.config();
        let provider = ready_provider(cx)?;
        if !cx.site.has_contact(cx.now) {
            // If the provider is down, Lictor's page, which retries by itself, is better than the
            // browser's error page.
            if !self.awaited_provider && cx.site.await_provider(self.stream, cx.now) {
                self.awaited_provider = true;
                return Ok(self.wait(WaitFor::Provider, cx.now));
            }
            return Err(Refusal::new(Reason::ProviderUnreachable)
                .seen("a login while the provider does not answer")
                .wanted("an answer of the provider"));
        }
        let ticket = Ticket::new(options, cx.now, cx.entropy)?;
        let set_cookies = cx.site.tickets.keep(&config, &ticket, cookies, cx.entropy)?;
        let Some(endpoint) = &provider.pushed else {
            let location = start::location(&config, &provider, &ticket);
            return Ok(self.go_to_provider(&location, set_cookies));
        };
        if !cx.site.take_push_slot(&cx.peer.address(), cx.now) {
            return Err(Refusal::busy("too many logins that begin"));
        }
        let client = Client::new(&config, cx.now, cx.entropy);
        let callout = start::push(&client, &config, endpoint, &ticket);
        self.state = State::Login(LoginStep::Pushing(set_cookies));
        Ok(Decision::Await(callout))
    }

    fn go_to_provider(&mut self, location: &str, set_cookies: Vec<String>) -> Decision {
        self.reply(Reply::redirect(location, "login").with_cookies(set_cookies))
    }

    /// Redirects to the provider after it has got the parameters of the login.
    ///
    /// A refusal is about Lictor's request, so no other login begins by itself.
    fn pushed(
        &mut self,
        set_cookies: Vec<String>,
        reply: CalloutReply<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        let config = cx.site.config();
        let provider = ready_provider(cx)?;
        let location = start::pushed(&config, &provider, reply)?;
        Ok(self.go_to_provider(&location, set_cookies))
    }

    /// Handles the provider's answer to a login.
    pub(super) fn callback(
        &mut self,
        incoming: &Incoming<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        let config = cx.site.config();
        let (request, cookies) = (incoming.view, incoming.cookies()?);
        let query = incoming.target.query().unwrap_or_default();
        let state = only(query, "state").ok().flatten().unwrap_or_default();
        // The address works once. Whatever fails from here on leads to the page that was asked for.
        let Remembered { return_to, again } = Remembered::of(&state);
        self.asked.return_to = Some(return_path::checked(return_to.as_deref(), &config));
        self.asked.attempt = Some(Attempt { again, fresh: false });
        let result = match cx.site.tickets.claim(&config, cookies, &state, cx.now) {
            Some(ticket) => {
                self.asked.attempt = Some(Attempt { again: ticket.again, fresh: ticket.fresh });
                // The login attempt has ended, whatever its result is.
                self.set_cookies = Tickets::end(&config, &state).into_iter().collect();
                self.redeem(query, ticket, cx)
            }
            None if query.is_empty() => Err(Failure::again(stray())),
            None => match callback::read(query) {
                Ok(_) => Err(Failure::again(stray())),
                Err(malformed) => Err(malformed.into()),
            },
        };
        result.or_else(|failure| self.login_failed(failure, request, cookies, cx))
    }

    /// Sends the code of a callback to the token endpoint, once.
    fn redeem(
        &mut self,
        query: &str,
        ticket: Ticket,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Failure> {
        let config = cx.site.config();
        let answer = callback::read(query)?;
        let provider = ready_provider(cx)?;
        answer.check_issuer(&config, &provider)?;
        let code = answer.result.map_err(|error| callback::provider_error(&error))?;
        if !cx.site.take_login_slot() {
            return Err(Refusal::busy("too many logins").into());
        }
        let failure = match cx.site.use_state(&answer.state, cx.now) {
            Added::New => {
                let client = Client::new(&config, cx.now, cx.entropy);
                let callout = token_endpoint::redeem(&client, &provider, &code, &ticket.verifier);
                self.state = State::Login(LoginStep::Redeeming(Box::new(ticket)));
                return Ok(Decision::Await(callout));
            }
            Added::Known => Failure::again(stray()),
            Added::Busy => Refusal::busy("too many callbacks").into(),
        };
        cx.site.release_login_slot();
        Err(failure)
    }

    /// Ends a login that failed. A person who has a session nevertheless is sent to the page that
    /// was asked for. A login that may succeed is started again.
    fn login_failed(
        &mut self,
        failure: Failure,
        request: RequestView<'_>,
        cookies: &Cookies<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        let Failure { refusal, try_again } = failure;
        if ClientKind::of(request) != ClientKind::Navigation {
            return Err(refusal);
        }
        let config = cx.site.config();
        let return_to = self.asked.return_to.clone().unwrap_or_else(|| config.home().to_owned());
        let attempt = self.asked.attempt.unwrap_or_default();
        // The page for personal tokens would only start the same login again.
        if !attempt.fresh && !return_to.starts_with(&config.endpoints) {
            let ended = core::mem::take(&mut self.set_cookies);
            let proof = self.authenticate_session(request, cookies, cx);
            self.set_cookies.extend(ended);
            match proof {
                Ok(Proof::Wait) => return Ok(self.wait(WaitFor::Verdict, cx.now)),
                Ok(Proof::Identified(_)) => {
                    let there = config.absolute(&return_to);
                    return Ok(self.reply(Reply::redirect(&there, "already_logged_in")));
                }
                Ok(Proof::Nobody(_)) | Err(_) => {}
            }
        }
        if try_again {
            return self.login_again(refusal, attempt.again, return_to, cookies, cx);
        }
        Err(refusal)
    }

    /// Begins another login after a failed one.
    ///
    /// `again` says that the failed login was already the second, automatic one. Then the refusal
    /// is returned.
    fn login_again(
        &mut self,
        refusal: Refusal,
        again: bool,
        return_to: String,
        cookies: &Cookies<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        let config = cx.site.config();
        match cx.site.failures.add(&config, cookies, cx.now, cx.entropy)? {
            Counted::Loop(cookie) => {
                self.set_cookies.push(cookie);
                let about = Some(refusal.reason.meaning().text);
                Err(Refusal { reason: Reason::LoginLoop, about, ..refusal })
            }
            Counted::Few(cookie) if again => {
                self.set_cookies.push(cookie);
                Err(refusal)
            }
            Counted::Few(cookie) => {
                let options = LoginOptions { return_to, again: true, fresh: false };
                // The cookie records a failure of the browser's login. Waiting for an unavailable
                // provider is not one.
                match self.send_to_provider(options, cookies, cx)? {
                    Decision::Reply(reply) => Ok(Decision::Reply(reply.with_cookie(cookie))),
                    Decision::Await(callout) => {
                        self.set_cookies.push(cookie);
                        Ok(Decision::Await(callout))
                    }
                    waiting => Ok(waiting),
                }
            }
        }
    }

    pub(super) fn login_answered(
        &mut self,
        step: LoginStep,
        reply: CalloutReply<'_>,
        request: RequestView<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        cx.site.contacted(reply, cx.now);
        let result = match step {
            LoginStep::Redeeming(ticket) => {
                cx.site.release_login_slot();
                match token_endpoint::read(reply) {
                    Ok(tokens) => self.verify(*ticket, tokens, false, request, cx),
                    Err(why) => Err(callback::no_tokens(&why)),
                }
            }
            LoginStep::Pushing(set_cookies) => {
                cx.site.release_push_slot();
                return self.pushed(set_cookies, reply, cx);
            }
            LoginStep::AskingUserinfo(mut session, return_to) => {
                match userinfo::read(reply, &session.subject) {
                    Ok(claims) => {
                        session.role = role::by_userinfo(claims.as_ref(), &cx.site.config());
                        self.logged_in(&session, &return_to, request, cx).map_err(Into::into)
                    }
                    Err(seen) => Err(Refusal::new(Reason::ProviderUnreachable)
                        .seen(seen)
                        .wanted("userinfo")
                        .into()),
                }
            }
            LoginStep::AwaitingKey(..) => Err(Refusal::new(Reason::Internal)
                .seen("a reply to no call")
                .wanted("a report of this line")
                .into()),
        };
        self.or_failed(result, request, cx)
    }

    pub(super) fn login_woken(
        &mut self,
        step: LoginStep,
        request: RequestView<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        let result = match step {
            LoginStep::AwaitingKey(ticket, tokens) => {
                self.verify(*ticket, *tokens, true, request, cx)
            }
            other => {
                other.abandon(cx.site);
                Err(Refusal::new(Reason::Internal)
                    .seen("woken while calling")
                    .wanted("a report of this line")
                    .into())
            }
        };
        self.or_failed(result, request, cx)
    }

    fn or_failed(
        &mut self,
        result: Result<Decision, Failure>,
        request: RequestView<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        match result {
            Ok(decision) => Ok(decision),
            Err(failure) => self.login_failed(failure, request, &cookies(request)?, cx),
        }
    }

    /// Verifies the tokens and makes a session of them. Asks userinfo for the role if it is still
    /// open. `last_try` says that the keys have been fetched for them already.
    fn verify(
        &mut self,
        ticket: Ticket,
        tokens: Tokens,
        last_try: bool,
        request: RequestView<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Failure> {
        let config = cx.site.config();
        let verifier = cx.site.verifier(&config, cx.now).ok_or_else(Refusal::no_keys)?;
        let logged_in =
            callback::session(&tokens, &ticket, verifier, &config, last_try, cx.now, cx.entropy);
        let LoggedIn { session, notice } = match logged_in {
            Ok(logged_in) => logged_in,
            Err(NoSession::Refused(refusal)) => return Err(refusal.into()),
            Err(NoSession::UnknownKey(_)) if cx.site.keys.take_newer(LOGIN, cx.now) => {
                return self.verify(ticket, tokens, last_try, request, cx);
            }
            Err(NoSession::UnknownKey(kid)) => {
                return Ok(self.await_login_key(&kid, ticket, tokens, cx)?);
            }
        };
        if let Some(notice) = notice {
            cx.site.notice(notice);
        }
        let endpoint = cx.site.provider().and_then(|provider| provider.userinfo.as_ref());
        if let (true, Some(endpoint)) = (role::is_open(session.role, &config), endpoint) {
            let callout = userinfo::request(endpoint, &tokens.access);
            self.state = State::Login(LoginStep::AskingUserinfo(
                Box::new(session),
                ticket.return_to.clone(),
            ));
            return Ok(Decision::Await(callout));
        }
        Ok(self.logged_in(&session, &ticket.return_to, request, cx)?)
    }

    fn logged_in(
        &mut self,
        session: &Session,
        return_to: &str,
        request: RequestView<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        let config = cx.site.config();
        if cx.site.is_ended(session, cx.now) || session.ended(cx.now, &config.session).is_some() {
            // Redirecting to the return path would begin another login, in a loop.
            return Err(Refusal::new(Reason::LoginLoop)
                .seen("a session that was over before it began")
                .wanted("session.not_before in the past, and a clock that has not gone back"));
        }
        let cookies = cookies(request)?;
        let set = cx.site.session_cookie.set(&config, session, &cookies, cx.entropy);
        let set = set.map_err(|why| match why {
            NoCookie::Entropy => crate::foundation::crypto::NoEntropy.into(),
            NoCookie::TooLarge(size) => {
                Refusal::new(Reason::SessionTooLarge).seen(format!("{size} bytes")).wanted(format!(
                    "at most 4 cookies of {}",
                    crate::foundation::limits::COOKIE_PIECE
                ))
            }
        })?;
        let reply = Reply::redirect(&config.absolute(return_to), "logged_in")
            .with_cookies(set)
            .with_cookies(Failures::forget(&config, &cookies));
        self.answered = Some(Box::new(identity_of(session, config.session.absolute)));
        Ok(self.reply(reply))
    }

    fn await_login_key(
        &mut self,
        kid: &str,
        ticket: Ticket,
        tokens: Tokens,
        cx: &mut Cx<'_>,
    ) -> Result<Decision, Refusal> {
        let reason = match self.await_key(LOGIN, cx) {
            Ok(()) => {
                self.state =
                    State::Login(LoginStep::AwaitingKey(Box::new(ticket), Box::new(tokens)));
                return Ok(Decision::AwaitSite);
            }
            Err(NoKey::Unknown) => Reason::ProviderAnswer,
            Err(NoKey::NotFetched | NoKey::Busy) => Reason::ProviderUnreachable,
        };
        Err(Refusal::new(reason)
            .seen(format!("ID token with kid {kid}"))
            .wanted("a key of the issuer"))
    }
}

/// Returns the refusal of a callback without a login attempt: a reload, the back button or a
/// bookmark.
fn stray() -> Refusal {
    Refusal::new(Reason::UnknownAttempt)
        .seen("a callback without its login cookie")
        .wanted("a login started in this browser, once and in time")
}

fn cookies(request: RequestView<'_>) -> Result<Cookies<'_>, Refusal> {
    Cookies::parse(request).map_err(|_| Refusal::too_many_cookies())
}

/// Returns the provider once its metadata and keys are known. A login could not be finished before.
fn ready_provider(cx: &mut Cx<'_>) -> Result<Provider, Refusal> {
    cx.site.catch_up(cx.now);
    let provider = cx.site.provider().filter(|_| cx.site.is_ready(cx.now)).cloned();
    provider.ok_or_else(|| {
        Refusal::new(Reason::NotReady)
            .seen("no metadata or keys of the provider yet")
            .wanted("both, to verify the login")
    })
}
