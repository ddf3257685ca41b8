//! The userinfo endpoint (OpenID Connect Core §5.3): asked for roles when no token has them.

use serde_json::Value;

use crate::config::Config;
use crate::foundation::limits::IDP_ANSWER;
use crate::foundation::secret::Secret;
use crate::provider::call::call;
use crate::provider::callout::{Callout, CalloutReply};

/// Asks about the person whose access token this is.
#[must_use]
pub(crate) fn request(config: &Config, path: &str, access: &Secret) -> Callout {
    let mut callout = call(config, "GET", path.to_owned(), Vec::new());
    callout.headers.push(("authorization", format!("Bearer {}", access.expose_str())));
    callout
}

/// The claims of an answer, if they are about this subject: an answer about somebody else is
/// dropped (§5.3.2, §5.3.4), and so are signed or encrypted ones, which nobody asked for.
///
/// # Errors
/// What was seen instead of an answer.
pub(crate) fn read(reply: CalloutReply<'_>, subject: &str) -> Result<Option<Value>, String> {
    let body = reply.ok_body(IDP_ANSWER).map_err(|seen| format!("userinfo: {seen}"))?;
    let Ok(claims @ Value::Object(_)) = crate::foundation::json::parse(body) else {
        return Ok(None);
    };
    let same = claims.get("sub").and_then(Value::as_str) == Some(subject);
    Ok(same.then_some(claims))
}
