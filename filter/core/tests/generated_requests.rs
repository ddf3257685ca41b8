//! Requests made at random, of parts that mean something to the filter.

use crate::testing::{Headers, request};
use crate::wire::http::authorization::HEADERS;
use proptest::prelude::*;

/// Header names and values that mean something to some part of the filter.
fn header_lines() -> impl Strategy<Value = Headers> {
    let others = [
        "cookie",
        "origin",
        "sec-fetch-site",
        "sec-fetch-mode",
        "sec-fetch-dest",
        "accept",
        "upgrade",
        "connection",
        "x-forwarded-user",
        "x_auth_request_user",
        "x-request-id",
        "host",
        "x-forwarded-uri",
        "x-original-url",
        "x-http-method-override",
        "sec-purpose",
        "access-control-request-method",
    ];
    let name = prop::sample::select(HEADERS.into_iter().chain(others).collect::<Vec<_>>());
    let known = prop::sample::select(vec![
        "Bearer x.y.z",
        "Bearer lk_wrong",
        "Basic eDp5",
        "Basic !",
        "lk_wrong",
        "websocket",
        "Upgrade",
        "h2c",
        "same-origin",
        "none",
        "cross-site",
        "navigate",
        "document",
        "text/html",
        "https://prefect.example.com",
        "__Host-lictor=AAAA",
        "__Host-lictor-login-a=b; lictor=c",
        "/api/health",
        "GET",
        "Bearer eyJhbGciOiJub25lIn0.e30.",
    ]);
    let value = prop_oneof![
        known.prop_map(|v| v.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..40)
    ];
    prop::collection::vec((name.prop_map(str::to_owned), value), 0..8)
}

fn target() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "/",
        "/api/flows/filter",
        "/api/health",
        "/api/ready",
        "/api/health/",
        "/api/health?x",
        "/api//health",
        "/API/health",
        "/api/%68ealth",
        "/oauth2/live",
        "/oauth2/callback?state=a.b&code=c",
        "/oauth2/../api/flows",
        "/oauth2/backchannel_logout",
        "/oauth2/token",
        "/ui-settings",
        "/api/events/in",
        "/api/admin/settings",
        "*",
        "http://x/api/health",
    ]);
    prop_oneof![4 => known.prop_map(|v| v.as_bytes().to_vec()), 1 => prop::collection::vec(any::<u8>(), 0..60)]
}

/// A request of any client.
pub fn any_request() -> impl Strategy<Value = Headers> {
    let method = prop::sample::select(vec![
        "GET", "HEAD", "POST", "DELETE", "OPTIONS", "get", "TRACE", "CONNECT", "",
    ]);
    let host = prop::sample::select(vec![
        "prefect.example.com",
        "api.prefect.example.com",
        "PREFECT.example.com:443",
        "evil",
        "",
    ]);
    (method, host, target(), header_lines()).prop_map(|(method, host, path, lines)| {
        let mut headers = request(method, "", &[]);
        headers[1].1 = path;
        headers[2].1 = host.as_bytes().to_vec();
        headers.extend(lines);
        headers
    })
}
