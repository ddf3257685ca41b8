//! The core's tests, by concept. They are part of the crate, in one binary, and so see what is private to it.
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

mod auth_request;
mod backchannel_logout;
mod certificates;
mod companion;
mod configuration;
mod conformance;
mod cookie_pieces;
mod cross_site;
mod exchanges;
mod failed_logins;
mod frames;
#[cfg(not(target_family = "wasm"))]
mod invariants;
mod issuers;
mod leaving;
mod long_days;
mod machine_regressions;
mod normative;
mod odd_cookies;
mod personal_tokens;
mod provider_answers;
mod providers;
mod regressions;
mod roles;
mod scenarios;
mod session_regressions;
mod shared_refreshes;
mod sign_out;
mod single_flight;
mod userinfo;
mod verified;
mod workers;
