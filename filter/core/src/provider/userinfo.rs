//! The userinfo endpoint (OpenID Connect Core §5.3), for roles that no token contains.

use serde_json::Value;

use crate::config::Endpoint;
use crate::foundation::limits::IDP_ANSWER;
use crate::foundation::secret::Secret;
use crate::provider::call;
use crate::provider::callout::{Callout, CalloutReply};

/// Creates the request for the claims of the person with this access token.
#[must_use]
pub(crate) fn request(endpoint: &Endpoint, access: &Secret) -> Callout {
    let mut callout = call::get(endpoint);
    callout.headers.push(("authorization", format!("Bearer {}", access.expose_str())));
    callout
}

/// Reads the claims of a response; `None` if they are not about this subject.
///
/// A response about another subject is dropped (OpenID Connect Core §5.3.2, §5.3.4). So are
/// signed and encrypted responses, which Lictor never requests.
///
/// # Errors
/// A text that says what came instead of a response with status 200.
pub(crate) fn read(reply: CalloutReply<'_>, subject: &str) -> Result<Option<Value>, String> {
    let body = reply.ok_body(IDP_ANSWER).map_err(|seen| format!("userinfo: {seen}"))?;
    let Ok(claims @ Value::Object(_)) = crate::foundation::json::parse(body) else {
        return Ok(None);
    };
    let same = claims.get("sub").and_then(Value::as_str) == Some(subject);
    Ok(same.then_some(claims))
}
