//! The start of a login: the redirect to the provider's authorization endpoint.

use crate::answer::reply::Reply;
use crate::config::Config;
use crate::foundation::limits::FRESH_LOGIN;
use crate::login::ticket::Ticket;
use crate::provider::metadata::Provider;
use crate::wire::http::query::encode;

/// Returns the redirect to the provider, with the cookies that store the login attempt.
#[must_use]
pub(crate) fn redirect(
    config: &Config,
    provider: &Provider,
    ticket: &Ticket,
    set_cookies: Vec<String>,
) -> Reply {
    Reply::redirect(&location(config, provider, ticket), "login").with_cookies(set_cookies)
}

fn location(config: &Config, provider: &Provider, ticket: &Ticket) -> String {
    let (redirect_uri, state, challenge) =
        (config.redirect_uri(), ticket.state(), ticket.challenge());
    let standard = [
        ("response_type", "code"),
        ("client_id", &config.client_id),
        ("redirect_uri", &redirect_uri),
        ("scope", &config.idp.scopes),
        ("state", &state),
        ("nonce", &ticket.nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let extra = config.idp.extra_auth_params.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    let max_age = FRESH_LOGIN.as_secs().to_string();
    let fresh = ticket.fresh.then_some(("max_age", max_age.as_str()));
    let extra = extra.filter(|(name, _)| fresh.is_none() || *name != "max_age");
    format!("{}?{}", provider.authorization, encode(standard.into_iter().chain(fresh).chain(extra)))
}
