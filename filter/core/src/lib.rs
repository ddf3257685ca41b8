//! Lictor's decisions: who asks, and may they do that to Prefect?
//!
//! Rules of use, for the shell that owns the host's calls:
//! 1. One [`Gate`] a request, one [`Site`] a VM. One event in, one [`decision::Decision`] out,
//!    applied completely before the next event.
//! 2. Every callout gets exactly one reply, or the request is dropped.
//! 3. Time and randomness are passed in. `now` may stand still or go back: nothing becomes more
//!    permitted by that.
//! 4. Nothing is forwarded but by `Decision::Forward`, which holds a `Permit`, which only
//!    `policy::authorize` makes.
//! 5. There is no panic here: inputs are whatever the network sent.
//!
//! The invariants I1 to I13 are listed in `docs/architecture.md`, each with its test.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

pub mod answer;
pub mod config;
pub mod credential;
pub mod foundation;
pub mod gate;
pub mod identity;
pub mod login;
pub mod policy;
pub mod prefect;
pub mod provider;
pub mod refusal;
pub mod sealing;
pub mod session;
pub mod site;
pub mod telemetry;
pub mod wire;
pub mod workers;

#[cfg(test)]
#[path = "../tests/mod.rs"]
mod tests;

pub use config::Config;
pub use gate::{Cx, Gate};
pub use site::Site;
