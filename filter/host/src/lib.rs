//! A proxy-wasm host for tests. It loads the built module into an interpreter and plays the part of
//! Envoy: it calls the module's callbacks in Envoy's order, keeps headers and bodies while the
//! module holds them, and records what reached the upstream and what the client was answered.
//!
//! Time stands still until the test moves it, randomness repeats itself, and calls to clusters are
//! answered by the test. Every call of the module to its host is recorded, with the bytes that
//! crossed the border, and any of them can be made to fail ([`Vm::fail`]).
//!
//! The rules are those of Envoy 1.40 with ABI 0.2.1: see [`stream`] for a request's life.

mod abi;
mod calls;
mod chain;
mod exports;
mod failures;
mod foreign;
mod fork;
mod guest;
pub mod headers;
mod host;
mod module;
mod record;
mod shared_data;
pub mod stream;
mod vm;
mod wasi;

pub use calls::{HttpCall, Token};
pub use failures::Fault;
pub use headers::Headers;
pub use module::{LoadError, Module};
pub use record::HostCall;
pub use shared_data::SharedData;
pub use stream::{Answer, By, Stream, StreamId, Upstream};
pub use vm::Vm;

/// Results of host calls, as the ABI numbers them.
pub mod status {
    /// Done.
    pub const OK: u32 = 0;
    /// There is no such thing.
    pub const NOT_FOUND: u32 = 1;
    /// An argument that the host cannot use, or no such map at this moment.
    pub const BAD_ARGUMENT: u32 = 2;
    /// A value that has no form as bytes.
    pub const SERIALIZATION_FAILURE: u32 = 3;
    /// Nothing is queued.
    pub const EMPTY: u32 = 7;
    /// Somebody else has written meanwhile.
    pub const CAS_MISMATCH: u32 = 8;
    /// The host could not do it.
    pub const INTERNAL_FAILURE: u32 = 10;
}
