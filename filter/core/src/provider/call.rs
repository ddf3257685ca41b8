//! Construction of HTTP calls to the provider.

use crate::config::Endpoint;
use crate::foundation::limits::CALLOUT_TIMEOUT;
use crate::provider::callout::Callout;

/// Creates the call that fetches a document.
pub(crate) fn get(endpoint: &Endpoint) -> Callout {
    call(endpoint, "GET", Vec::new())
}

/// Creates the call that sends a form.
pub(crate) fn post(endpoint: &Endpoint, form: Vec<u8>) -> Callout {
    let mut callout = call(endpoint, "POST", form);
    callout.headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
    callout
}

fn call(Endpoint { cluster, url }: &Endpoint, method: &'static str, body: Vec<u8>) -> Callout {
    let scheme = if url.https { "https" } else { "http" };
    let headers = vec![
        (":method", method.to_owned()),
        (":scheme", scheme.to_owned()),
        (":authority", url.authority.clone()),
        (":path", url.path.clone()),
        ("accept", "application/json".to_owned()),
        // A compressed response could be a decompression bomb.
        ("accept-encoding", "identity".to_owned()),
    ];
    Callout { cluster: cluster.clone(), headers, body, timeout: CALLOUT_TIMEOUT }
}
