//! Construction of HTTP calls to the provider.

use crate::config::{Config, HttpUrl, KeySource};
use crate::foundation::limits::CALLOUT_TIMEOUT;
use crate::provider::callout::Callout;

/// Creates a call to the provider through the cluster of the setting `idp`.
///
/// A body, if there is one, is a form.
pub(crate) fn call(config: &Config, method: &'static str, path: String, body: Vec<u8>) -> Callout {
    call_at(&config.idp.cluster, &config.idp.internal, method, path, body)
}

/// Creates the call that fetches the keys of an issuer in `machines.issuers`.
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
        // A compressed response could be a decompression bomb.
        ("accept-encoding", "identity".to_owned()),
    ];
    if !body.is_empty() {
        headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
    }
    Callout { cluster: cluster.to_owned(), headers, body, timeout: CALLOUT_TIMEOUT }
}
