//! Lictor's decisions: who sends a request, and may they do this in Prefect?
//!
//! The crate has no host, no clock and no source of randomness. A shell (`filter/wasm`) turns the
//! host's callbacks into events and applies what the core decides.
//!
//! # Rules for the shell
//!
//! 1. Create one [`Gate`] for each request, and one [`Site`] for each accepted configuration of a
//!    VM. Call [`Gate::finish`] when the request is gone.
//! 2. Each event of a request returns one [`Decision`], [`DataStep`] or [`ResponseStep`]. Apply it
//!    completely before the next event. While an event is handled, [`Gate::refusing`] takes the
//!    place of the gate, so a callback in between would be refused.
//! 3. Give every [`Callout`] exactly one reply, unless its request is gone. A call that can't be
//!    sent, or whose reply can't be read, gets [`CalloutReply::NoAnswer`].
//! 4. Do the work of the site from the root context: call [`Site::next_task`] until it returns
//!    `None`, then [`Site::sockets_to_end`]. [`Site::next_poll`] says when to do so again. The
//!    calls of the site are not tied to a request; their replies go to [`Site::on_callout`].
//! 5. Pass time and randomness in. `now` may repeat or go back; no request becomes more permitted
//!    because of that.
//! 6. Let a request reach Prefect only by [`Decision::Forward`] or [`Decision::ForwardWithBody`].
//!    Both hold a [`Permit`], which only `policy::authorize` makes. [`Decision::ReadBody`] lets a
//!    head continue, but only to a filter that holds it until the body is complete.
//! 7. Expect no panic. Inputs are any bytes that the network sent.
//!
//! `docs/architecture.md` lists the invariants and what shows each of them.
//!
//! # Layers
//!
//! Each module is a layer, and imports only from the layers below it. `docs/architecture.md` lists
//! them, and `make lint` checks the imports.
//!
//! # Public names
//!
//! All modules are private. The public names are the re-exports at the end of this file. The
//! feature `testing` opens more for tests, benchmarks and fuzzers; the filter never enables it.
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
#[warn(clippy::arithmetic_side_effects)]
mod session;
mod site;
mod telemetry;
mod wire;
mod workers;

/// The test support of this crate, for tests, benchmarks and fuzzers of other crates.
///
/// It exists only in unit tests and with the feature `testing`, which the filter never enables.
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
