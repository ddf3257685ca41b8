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

mod answer;
mod config;
mod credential;
mod foundation;
mod gate;
mod identity;
mod login;
mod policy;
mod prefect;
mod provider;
mod refusal;
mod sealing;
mod session;
mod site;
mod telemetry;
mod wire;
mod workers;

/// What this crate's tests stand on, for the tests, benchmarks and fuzzers of others: only with the feature
/// `testing`, which the filter never has.
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
#[path = "../tests/world/mod.rs"]
pub mod testing;
#[cfg(test)]
#[path = "../tests/mod.rs"]
mod tests;

pub use answer::reply::Reply;
pub use config::Config;
pub use config::error::ConfigErrors;
pub use foundation::crypto::{Entropy, Hash, NoEntropy};
pub use foundation::stream::StreamId;
pub use foundation::time::UnixTime;
pub use gate::decision::{DataStep, Decision, ResponseStep};
pub use gate::{Body, Cx, Gate, Interest};
pub use identity::role::Role;
pub use policy::authorize::Permit;
pub use provider::callout::{Callout, CalloutReply};
pub use site::{Services, Site, SiteCall, Task};
pub use telemetry::event::Event;
pub use telemetry::metrics::Metric;
pub use wire::http::edit::HeaderEdit;
pub use wire::http::request::{RequestView, ResponseView};
pub use wire::jose::signature::HostVerifier;
pub use wire::peer::{Certificate, Peer};
pub use workers::{SharedStore, Stored, Written};
