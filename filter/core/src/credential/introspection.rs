//! Access tokens that the provider verifies by introspection (RFC 7662): opaque ones, and the
//! login issuer's JWTs if the settings say so.

use serde_json::{Map, Value};

use crate::config::Config;
use crate::credential::bearer;
use crate::credential::grant::{Grant, GrantKind, GrantReply};
use crate::foundation::limits::TOKEN;
use crate::foundation::secret::Secret;
use crate::foundation::time::UnixTime;
use crate::provider::callout::CalloutReply;
use crate::provider::introspection;
use crate::provider::introspection::Introspected;
use crate::provider::token_endpoint::NoTokens;
use crate::refusal::{Reason, Refusal};
use crate::wire::jose::claims::Mismatch;
use crate::wire::jose::compact::Compact;

/// Interprets the provider's answer about a token.
#[must_use]
pub(crate) fn read_reply(
    token: &Secret,
    reply: CalloutReply<'_>,
    config: &Config,
    now: UnixTime,
) -> GrantReply {
    let no_verdict = |seen, silent| GrantReply::NoVerdict { seen, silent, unknown_key: false };
    let members = match introspection::read(reply) {
        Ok(Introspected::Active(members)) => members,
        Ok(Introspected::Inactive) => {
            let refusal = Refusal::new(Reason::InvalidToken).about("active");
            return GrantReply::Refused(
                refusal.seen("a token that is not active").wanted("an active access token"),
            );
        }
        Err(NoTokens::NoAnswer(seen)) => return no_verdict(seen, true),
        Err(
            NoTokens::InvalidGrant(seen)
            | NoTokens::InvalidClient(seen)
            | NoTokens::OurFault(seen)
            | NoTokens::Unavailable(seen),
        ) => return no_verdict(seen, false),
    };
    let verified = is_about(token, &members)
        .and_then(|()| bearer::introspected(members, config, now))
        .map_err(Refusal::from)
        .and_then(|verified| verified.admission.map(|()| verified.identity));
    match verified {
        Err(refusal) => GrantReply::Refused(refusal),
        Ok(identity) => GrantReply::Good(Grant {
            id: identity.principal.id.clone(),
            name: identity.principal.name.clone(),
            kind: GrantKind::OpaqueToken,
            role: identity.role,
            at: now,
            end: identity.until.unwrap_or(now),
        }),
    }
}

/// Checks that a response is about this token, as far as the token's text tells.
fn is_about(token: &Secret, members: &Map<String, Value>) -> Result<(), Mismatch> {
    let Ok(token) = Compact::parse(token.expose(), TOKEN) else { return Ok(()) };
    for name in ["iss", "sub", "jti"] {
        if let (Some(ours), Some(theirs)) = (token.claims.get(name), members.get(name))
            && ours != theirs
        {
            return Err(Mismatch::new(name, None, "the same as in the token itself"));
        }
    }
    Ok(())
}
