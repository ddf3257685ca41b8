//! Checks of a request that do not depend on who sends it.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::identity::role::Role;
use crate::testing::{World, reply_header, request};
use crate::tests::roles::{key, settings};

/// The status that an administrator's request gets.
fn status(method: &str, extra: &[(&str, &str)]) -> u16 {
    let admin = key(Role::Admin);
    let headers = [&[("x-api-key", admin.as_str())], extra].concat();
    World::with(&settings()).request(&request(method, "/api/flows/1", &headers)).1.status()
}

#[test]
fn only_prefect_s_methods_are_accepted_as_it_writes_them() {
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        assert_eq!(status(method, &[]), 200, "{method}");
    }
    for method in ["TRACE", "CONNECT", "PROPFIND", "get", "Get", "GET ", "QUERY", ""] {
        assert_eq!(status(method, &[]), 405, "{method:?}");
    }
    let reply = World::new().request(&request("TRACE", "/api/flows/1", &[])).1.reply();
    let wanted = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
    assert_eq!(reply_header(&reply, "allow"), Some(wanted));
}

/// Envoy's CORS filter answers those of listed origins before Lictor.
#[test]
fn preflights_are_refused_and_what_only_looks_like_one_is_not() {
    let (origin, wish) =
        (("origin", "https://app.example.com"), ("access-control-request-method", "POST"));
    let table: [(&str, &[(&str, &str)], u16); 5] = [
        ("OPTIONS", &[origin, wish], 403),
        ("OPTIONS", &[origin], 200),
        ("OPTIONS", &[wish], 200),
        ("OPTIONS", &[], 200),
        ("GET", &[origin, wish], 200),
    ];
    for (method, headers, wanted) in table {
        assert_eq!(status(method, headers), wanted, "{method} {headers:?}");
    }
}
