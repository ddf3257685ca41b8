//! A test module for Envoy: reads what Lictor reads of a request and edits what Lictor edits of a
//! permitted one, the same host calls with constant values. What it costs is what any such module
//! pays before it has decided anything (docs/benchmarks.md). It lets everybody in: only for
//! `make bench`.
#![allow(missing_docs, reason = "the SDK's macro makes an undocumented public function")]

use proxy_wasm::hostcalls::{get_map_bytes, remove_map_value, set_map_value_bytes};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, MapType, Status};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

/// What Lictor sets for a service account's request to Prefect's API.
const SET: [(&str, &str); 6] = [
    (":authority", "prefect.example.com"),
    ("authorization", "Basic YWRtaW46cHJlZmVjdC1hdXRoLXN0cmluZy1vZi10aGUtYmVuY2htYXJr"),
    ("x-auth-request-user", "client:etl-worker"),
    ("x-auth-request-preferred-username", "service-account-etl-worker"),
    ("x-forwarded-user", "service-account-etl-worker"),
    ("x-auth-request-groups", "worker"),
];

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Floor))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Floor;

impl Context for Floor {}

impl HttpContext for Floor {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        match edit() {
            Ok(()) => Action::Continue,
            Err(_) => Action::Pause,
        }
    }
}

fn edit() -> Result<(), Status> {
    let map = MapType::HttpRequestHeaders;
    let headers = get_map_bytes(map)?;
    if headers.iter().any(|(name, _)| name == "authorization") {
        remove_map_value(map, "authorization")?;
    }
    for (name, value) in SET {
        set_map_value_bytes(map, name, Some(value.as_bytes()))?;
    }
    Ok(())
}
