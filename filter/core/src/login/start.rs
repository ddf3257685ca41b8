//! The start of a login: the redirect to the provider's authorization endpoint.
//!
//! The parameters of the request are in the redirect, or the provider has got them before (pushed
//! authorization request, RFC 9126).

use std::borrow::Cow;

use serde_json::Value;

use crate::config::{ClientAuth, Config, Endpoint};
use crate::foundation::limits::FRESH_LOGIN;
use crate::login::ticket::Ticket;
use crate::provider::callout::{Callout, CalloutReply};
use crate::provider::metadata::Provider;
use crate::provider::token_endpoint::{self, Client, NoTokens};
use crate::refusal::{Reason, Refusal};
use crate::wire::http::query::encode;

type Parameters<'a> = Vec<(&'a str, Cow<'a, str>)>;

/// Returns the URL of the authorization request, for the browser (OpenID Connect Core §3.1.2.1).
#[must_use]
pub(crate) fn location(config: &Config, provider: &Provider, ticket: &Ticket) -> String {
    let parameters = parameters(config, ticket);
    let own = [("client_id", config.client_id.as_str())];
    at(provider, own.into_iter().chain(pairs(&parameters)))
}

/// Creates the request that pushes the parameters to the provider (RFC 9126 §2.1).
#[must_use]
pub(crate) fn push(
    client: &Client<'_>,
    config: &Config,
    endpoint: &Endpoint,
    ticket: &Ticket,
) -> Callout {
    let parameters = parameters(config, ticket);
    let mut form: Vec<(&str, &str)> = pairs(&parameters).collect();
    // The other methods have it in the form anyway.
    if config.idp.client_auth == ClientAuth::Basic {
        form.push(("client_id", &config.client_id));
    }
    client.call(endpoint, form)
}

/// Reads the provider's answer to pushed parameters, and returns the URL for the browser (RFC 9126
/// §2.2, §4).
///
/// # Errors
/// When there is no `request_uri` in it.
pub(crate) fn pushed(
    config: &Config,
    provider: &Provider,
    reply: CalloutReply<'_>,
) -> Result<String, Refusal> {
    // The RFC wants 201; some answer 200.
    let answer = token_endpoint::answer(reply, &[200, 201]).map_err(|why| not_pushed(&why))?;
    let uri = answer.get("request_uri").and_then(Value::as_str).filter(|uri| !uri.is_empty());
    let missing = || NoTokens::Unavailable("an answer without request_uri".to_owned());
    let uri = uri.ok_or_else(|| not_pushed(&missing()))?;
    Ok(at(provider, [("client_id", config.client_id.as_str()), ("request_uri", uri)].into_iter()))
}

fn not_pushed(why: &NoTokens) -> Refusal {
    match why {
        NoTokens::InvalidGrant(seen) | NoTokens::InvalidClient(seen) | NoTokens::OurFault(seen) => {
            Refusal::new(Reason::ProviderRejectsClient)
                .seen(format!("{seen} for a pushed request"))
                .wanted("a request_uri (check client_id, its secret or key, and idp.client_auth)")
        }
        NoTokens::Unavailable(seen) | NoTokens::NoAnswer(seen) => {
            Refusal::new(Reason::ProviderUnreachable)
                .seen(format!("{seen} for a pushed request"))
                .wanted("a request_uri")
        }
    }
}

fn at<'a>(provider: &Provider, parameters: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    format!("{}?{}", provider.authorization, encode(parameters))
}

fn pairs<'a>(parameters: &'a Parameters<'_>) -> impl Iterator<Item = (&'a str, &'a str)> {
    parameters.iter().map(|(name, value)| (*name, &**value))
}

/// Returns the parameters of the authorization request, but for `client_id`.
fn parameters<'a>(config: &'a Config, ticket: &'a Ticket) -> Parameters<'a> {
    let mut parameters: Parameters<'a> = vec![
        ("response_type", "code".into()),
        ("redirect_uri", config.redirect_uri().into()),
        ("scope", config.idp.scopes.as_str().into()),
        ("state", ticket.state().into()),
        ("nonce", ticket.nonce.as_str().into()),
        ("code_challenge", ticket.challenge().into()),
        ("code_challenge_method", "S256".into()),
    ];
    if !config.idp.require_acr.is_empty() {
        parameters.push(("acr_values", config.idp.require_acr.join(" ").into()));
    }
    if ticket.fresh {
        parameters.push(("max_age", FRESH_LOGIN.as_secs().to_string().into()));
    }
    let extra = config.idp.extra_auth_params.iter();
    let extra = extra.filter(|(name, _)| !ticket.fresh || name != "max_age");
    parameters.extend(extra.map(|(name, value)| (name.as_str(), value.as_str().into())));
    parameters
}
