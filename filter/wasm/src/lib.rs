//! Lictor as a proxy-wasm module.
//!
//! The shell reads Envoy's callbacks, asks the core, and applies the core's decisions. It decides
//! nothing itself.
#![allow(missing_docs, reason = "the SDK's macro makes an undocumented public function")]

mod apply;
mod host;
mod http;
mod root;
mod shared;
mod shared_data;
mod signatures;
mod work;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
    proxy_wasm::set_root_context(|id| Box::new(root::Root::new(id)));
}}
