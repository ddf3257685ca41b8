//! A test module for Envoy: reads what Lictor reads of a request and its answer, and edits what
//! Lictor edits, the same host calls with constant values. What it costs is what any such module
//! pays before it has decided anything (docs/benchmarks.md). It lets everybody in: only for
//! `make bench`. Its configuration says whose edits: `machine`, `session`, or a JWKS, with which it
//! also has the host verify each token's signature.
#![allow(missing_docs, reason = "the SDK's macro makes an undocumented public function")]

use std::rc::Rc;

use lictor_core::testing::outside::SignatureOnly;
use proxy_wasm::hostcalls::{
    add_map_value, get_map_bytes, remove_map_value, set_map_value, set_map_value_bytes,
};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, MapType, Status};

#[path = "../../../filter/wasm/src/signatures.rs"]
mod signatures;

use signatures::HostSignatures;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root(Rc::new(Edits::Machine))));
}}

/// What Lictor sets for a service account's request to Prefect's API.
const MACHINE: [(&str, &str); 6] = [
    (":authority", "prefect.example.com"),
    ("authorization", "Basic YWRtaW46cHJlZmVjdC1hdXRoLXN0cmluZy1vZi10aGUtYmVuY2htYXJr"),
    ("x-auth-request-user", "client:etl-worker"),
    ("x-auth-request-preferred-username", "service-account-etl-worker"),
    ("x-forwarded-user", "service-account-etl-worker"),
    ("x-auth-request-groups", "worker"),
];

/// The same for a person's.
const SESSION: [(&str, &str); 7] = [
    (":authority", "prefect.example.com"),
    ("authorization", "Basic YWRtaW46cHJlZmVjdC1hdXRoLXN0cmluZy1vZi10aGUtYmVuY2htYXJr"),
    ("x-auth-request-user", "user:1f4e7c52-9d3b-4d19-a1a6-3a8d5d0f5f21"),
    ("x-auth-request-preferred-username", "alice"),
    ("x-forwarded-user", "alice"),
    ("x-auth-request-groups", "operator"),
    ("x-auth-request-email", "alice@example.com"),
];

enum Edits {
    Machine,
    Session,
    Signature(SignatureOnly),
}

struct Root(Rc<Edits>);

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        self.0 = Rc::new(match text.as_slice() {
            b"machine" => Edits::Machine,
            b"session" => Edits::Session,
            jwks => match SignatureOnly::parse(jwks) {
                Some(keys) => Edits::Signature(keys),
                None => return false,
            },
        });
        true
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Floor(Rc::clone(&self.0))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Floor(Rc<Edits>);

impl Context for Floor {}

impl HttpContext for Floor {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        action(&edit_request(&self.0))
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        action(&edit_answer(&self.0))
    }
}

const fn action(edited: &Result<(), Status>) -> Action {
    if edited.is_ok() { Action::Continue } else { Action::Pause }
}

fn edit_request(edits: &Edits) -> Result<(), Status> {
    let map = MapType::HttpRequestHeaders;
    let headers = get_map_bytes(map)?;
    let (taken, set) = match edits {
        Edits::Session => ("cookie", SESSION.as_slice()),
        Edits::Machine | Edits::Signature(_) => ("authorization", MACHINE.as_slice()),
    };
    if let Some((_, credential)) = headers.iter().find(|(name, _)| name == taken) {
        if let Edits::Signature(keys) = edits {
            verify(credential, keys).ok_or(Status::BadArgument)?;
        }
        remove_map_value(map, taken)?;
    }
    for (name, value) in set {
        set_map_value_bytes(map, name, Some(value.as_bytes()))?;
    }
    Ok(())
}

/// The signature alone: nothing that the token says is looked at.
fn verify(credential: &[u8], keys: &SignatureOnly) -> Option<()> {
    let token = core::str::from_utf8(credential).ok()?.strip_prefix("Bearer ")?;
    keys.has_signed(token, &HostSignatures).then_some(())
}

fn edit_answer(edits: &Edits) -> Result<(), Status> {
    let map = MapType::HttpResponseHeaders;
    let _looked_at = get_map_bytes(map)?;
    set_map_value(map, "strict-transport-security", Some("max-age=31536000"))?;
    if matches!(edits, Edits::Session) {
        set_map_value(map, "cache-control", Some("private"))?;
        add_map_value(map, "vary", "Cookie, Authorization, X-Api-Key")?;
        add_map_value(map, "content-security-policy", "frame-ancestors 'self'")?;
    }
    Ok(())
}
