//! A call to the provider.

use crate::config::{Config, HttpUrl, KeySource};
use crate::foundation::limits::CALLOUT_TIMEOUT;
use crate::provider::callout::Callout;

/// A call to the provider as Envoy makes it.
pub(crate) fn call(config: &Config, method: &'static str, path: String, body: Vec<u8>) -> Callout {
    call_at(&config.idp.cluster, &config.idp.internal, method, path, body)
}

/// The call that fetches keys from where a setting says.
pub(crate) fn keys(source: &KeySource) -> Callout {
    call_at(&source.cluster, &source.url, "GET", source.url.path.clone(), Vec::new())
}

fn call_at(
    cluster: &str,
    inside: &HttpUrl,
    method: &'static str,
    path: String,
    body: Vec<u8>,
) -> Callout {
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
    Callout { cluster: cluster.to_owned(), headers, body, timeout: CALLOUT_TIMEOUT }
}
