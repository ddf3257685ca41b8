//! A test module for Envoy: its configuration is a file of Wycheproof vectors, and its log says for
//! each of them what the module's own verification and the host's say. Nothing is decided here.
#![allow(missing_docs, reason = "the SDK's macro makes an undocumented public function")]
#![allow(clippy::indexing_slicing, reason = "a test module; JSON values give null, not a panic")]

use std::cell::Cell;

use lictor_core::testing::outside::verifies;
use lictor_core::{Hash, HostVerifier};
use proxy_wasm::traits::{Context, RootContext};
use serde_json::Value;

#[path = "../../../filter/wasm/src/signatures.rs"]
mod signatures;

use signatures::HostSignatures;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Warn);
    proxy_wasm::set_root_context(|_| Box::new(Vectors));
}}

struct Vectors;

impl Context for Vectors {}

impl RootContext for Vectors {
    fn on_configure(&mut self, _: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        let Ok(suite) = serde_json::from_slice::<Value>(&text) else { return false };
        for group in list(&suite["testGroups"]) {
            let key = if group["public"].is_null() { &group["private"] } else { &group["public"] };
            for test in list(&group["tests"]) {
                let text = test["jws"].as_str().unwrap_or_default();
                let host = Asked::default();
                let key = key.to_string();
                let (own, by_host) =
                    (verifies(text, &key, None), verifies(text, &key, Some(&host)));
                let (id, asked) = (&test["tcId"], host.0.get());
                log::warn!("vector {id} own={own} host={by_host} asked={asked}");
            }
        }
        log::warn!("vectors done");
        true
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The host's verification, and whether it gave a verdict.
#[derive(Default)]
struct Asked(Cell<bool>);

impl HostVerifier for Asked {
    fn verify(&self, hash: Hash, spki: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
        let verdict = HostSignatures.verify(hash, spki, signature, text);
        self.0.set(verdict.is_some());
        verdict
    }
}
