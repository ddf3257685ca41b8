//! A call to the provider.

use crate::config::Config;
use crate::decision::Callout;
use crate::limits::CALLOUT_TIMEOUT;

/// A call to the provider as Envoy makes it.
#[must_use]
pub fn call(config: &Config, method: &'static str, path: String, body: Vec<u8>) -> Callout {
    let inside = &config.idp.internal;
    let scheme = if inside.https { "https" } else { "http" };
    let mut headers = vec![
        (":method", method.to_owned()),
        (":scheme", scheme.to_owned()),
        (":authority", inside.authority.clone()),
        (":path", path),
        ("accept", "application/json".to_owned()),
        // A compressed answer could be a bomb (docs/threats.md T-D6).
        ("accept-encoding", "identity".to_owned()),
    ];
    if !body.is_empty() {
        headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
    }
    Callout { cluster: config.idp.cluster.clone(), headers, body, timeout: CALLOUT_TIMEOUT }
}
