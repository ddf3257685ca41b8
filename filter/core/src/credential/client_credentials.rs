//! Client credentials that a machine sends in Basic. Lictor checks them by requesting a token with
//! them at the provider.
//!
//! The token of the client credentials grant (RFC 6749 §4.4) yields the client's role. A Prefect
//! worker therefore needs neither a sidecar nor code that renews tokens.

use crate::config::{Config, LOGIN};
use crate::credential::bearer;
use crate::credential::grant::{Grant, GrantKind, GrantReply};
use crate::foundation::limits::PROVIDER_TOKEN;
use crate::foundation::secret::Secret;
use crate::foundation::time::UnixTime;
use crate::identity::principal::Identity;
use crate::provider::callout::CalloutReply;
use crate::provider::token_endpoint;
use crate::provider::token_endpoint::NoTokens;
use crate::refusal::{Reason, Refusal};
use crate::wire::jose::claims::Mismatch;
use crate::wire::jose::verify::{Unverified, Verifier};
use crate::wire::peer::NoPeer;

/// Interprets the provider's answer to a client credentials request.
///
/// The token in it must pass the checks of any access token, and it must be issued to the client
/// that asked. A client therefore never gets another client's identity, even if answers are mixed
/// up.
#[must_use]
pub(crate) fn read_reply(
    client: &str,
    reply: CalloutReply<'_>,
    verifier: Option<Verifier<'_>>,
    config: &Config,
    now: UnixTime,
) -> GrantReply {
    let no_verdict =
        |seen: String, silent, unknown_key| GrantReply::NoVerdict { seen, silent, unknown_key };
    let access = match token_endpoint::read(reply) {
        Ok(tokens) => tokens.access,
        Err(NoTokens::InvalidGrant(_) | NoTokens::InvalidClient(_)) => {
            return GrantReply::Refused(
                Refusal::new(Reason::ClientCredentials)
                    .seen(format!("client {client}, refused by the provider"))
                    .wanted("the current secret of a client that may request tokens for itself"),
            );
        }
        Err(NoTokens::OurFault(seen) | NoTokens::Unavailable(seen)) => {
            return no_verdict(seen, false, false);
        }
        Err(NoTokens::NoAnswer(seen)) => return no_verdict(seen, true, false),
    };
    let Some(verifier) = verifier else { return no_verdict("no keys".to_owned(), false, true) };
    match verify(client, &access, verifier, config, now) {
        Ok(grant) => GrantReply::Good(grant),
        Err(Unverified::UnknownKey(kid)) => no_verdict(
            format!("unknown key {}", crate::foundation::log_text::shown(&kid)),
            false,
            true,
        ),
        Err(Unverified::Mismatch(mismatch)) => {
            let about = mismatch.claim;
            let seen = mismatch.of(&format!("token of client {client}"));
            GrantReply::Refused(
                Refusal::new(Reason::InvalidToken).about(about).seen(seen).wanted(mismatch.wanted),
            )
        }
    }
}

/// Verifies the access token that the provider granted to a client.
fn verify(
    client: &str,
    access: &Secret,
    verifier: Verifier<'_>,
    config: &Config,
    now: UnixTime,
) -> Result<Grant, Unverified> {
    let claimed = bearer::read(access.expose(), PROVIDER_TOKEN, config)?;
    if claimed.issuer != LOGIN {
        return Err(Mismatch::new("iss", None, "the issuer that was asked").into());
    }
    let issued_to_client = claimed.is_issued_to(client, config);
    let verified = claimed.verify(verifier, &NoPeer, config, now)?;
    if !issued_to_client {
        return Err(Mismatch::new("azp", None, "the client that asked").into());
    }
    let Identity { role, until, .. } = verified.identity;
    Ok(Grant {
        id: format!("client:{client}"),
        name: client.to_owned(),
        kind: GrantKind::ClientCredentials,
        role,
        at: now,
        end: until.unwrap_or(now),
    })
}
