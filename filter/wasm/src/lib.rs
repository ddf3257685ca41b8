//! Lictor as a proxy-wasm module: it reads what Envoy says, asks the core, and applies what the
//! core decides. Nothing is decided here.
#![allow(missing_docs, reason = "the SDK's macro makes an undocumented public function")]

mod apply;
mod host;
mod http;
mod root;
mod shared;
mod shared_data;
mod signatures;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
    proxy_wasm::set_root_context(|id| Box::new(root::Root::new(id)));
}}
