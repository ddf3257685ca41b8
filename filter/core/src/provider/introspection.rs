//! Token introspection (RFC 7662), for access tokens that only the provider can read.

use serde_json::{Map, Value};

use crate::config::Endpoint;
use crate::foundation::secret::Secret;
use crate::provider::callout::{Callout, CalloutReply};
use crate::provider::token_endpoint::{self, Client, NoTokens};

/// What the provider says about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Introspected {
    /// The token is active, with these members (RFC 7662 §2.2).
    Active(Map<String, Value>),
    /// The token has expired, is revoked, or is unknown to the provider.
    Inactive,
}

/// Creates the introspection request for a token (RFC 7662 §2.1), with the credentials of the
/// login's client.
#[must_use]
pub(crate) fn request(client: &Client<'_>, endpoint: &Endpoint, token: &Secret) -> Callout {
    let form = vec![("token", token.expose_str()), ("token_type_hint", "access_token")];
    client.call(endpoint, form)
}

/// Reads an introspection response.
///
/// # Errors
/// [`NoTokens`] unless it is a JSON object with status 200 and a boolean `active`.
pub(crate) fn read(reply: CalloutReply<'_>) -> Result<Introspected, NoTokens> {
    let members = token_endpoint::answer(reply, &[200])?;
    match members.get("active") {
        Some(Value::Bool(true)) => Ok(Introspected::Active(members)),
        Some(Value::Bool(false)) => Ok(Introspected::Inactive),
        _ => Err(NoTokens::Unavailable("an answer without active: true or false".to_owned())),
    }
}
