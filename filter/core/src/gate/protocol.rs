//! Checks of a request that do not depend on who sends it.

use crate::refusal::{Reason, Refusal};
use crate::wire::http::request::RequestView;
use crate::wire::http::target::Target;

/// Reads the canonical target.
pub(crate) fn target(request: RequestView<'_>) -> Result<Target<'_>, Refusal> {
    let path = request.only(":path").ok_or_else(|| Refusal::ambiguous("no path"))?;
    Target::parse(path).map_err(|ambiguous| Refusal::ambiguous(ambiguous.0))
}

/// Accepts the methods that Prefect has, exactly as it writes them. Another spelling passed checks
/// of other gateways (CVE-2020-14359).
pub(crate) fn method(request: RequestView<'_>) -> Result<(), Refusal> {
    match request.method() {
        "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => Ok(()),
        _ => Err(Refusal::new(Reason::Method)
            .seen("another method")
            .wanted("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")),
    }
}

/// Returns whether the request is a WebSocket upgrade, and refuses any other upgrade.
pub(crate) fn is_websocket(request: RequestView<'_>) -> Result<bool, Refusal> {
    if !request.has("upgrade") {
        return Ok(false);
    }
    let websocket = request.text("upgrade").is_some_and(|u| u.eq_ignore_ascii_case("websocket"));
    let connection = request.text("connection").is_some_and(|value| {
        value.split(',').any(|token| token.trim().eq_ignore_ascii_case("upgrade"))
    });
    // A handshake has no body. Announced bytes would precede the first frame.
    let bodiless = !request.has("transfer-encoding")
        && request.all("content-length").all(|length| length == b"0");
    if websocket && connection && bodiless && request.method() == "GET" {
        return Ok(true);
    }
    Err(Refusal::new(Reason::Upgrade)
        .seen("another upgrade")
        .wanted("GET with Upgrade: websocket, Connection: upgrade and no body"))
}

/// Refuses CORS preflights, which carry no credentials.
///
/// Envoy's CORS filter answers those of the listed origins before Lictor sees them.
pub(crate) fn not_a_preflight(request: RequestView<'_>) -> Result<(), Refusal> {
    let preflight = request.method() == "OPTIONS"
        && request.has("origin")
        && request.has("access-control-request-method");
    if preflight {
        Err(Refusal::new(Reason::Preflight)
            .seen("a CORS preflight")
            .wanted("a listed origin in Envoy's CORS filter"))
    } else {
        Ok(())
    }
}
