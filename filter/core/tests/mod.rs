//! The core's tests, by concept. They are part of the crate, in one binary, and so see what is
//! private to it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::type_complexity,
    reason = "a test fails by panicking"
)]

mod configuration;
mod conformance;
mod credentials;
mod gate;
#[cfg(not(target_family = "wasm"))]
mod generated_requests;
#[cfg(not(target_family = "wasm"))]
mod invariants;
mod login;
mod roles;
mod sealing;
mod sessions;
mod sockets;
mod workers;
