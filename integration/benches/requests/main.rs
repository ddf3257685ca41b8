//! What a request costs in Envoy, with Lictor and beside it; `make bench`, docs/benchmarks.md.
//!
//! One real Envoy with one worker has a listener for each way to judge a request, and answers
//! itself what is let through, so that nothing but the filter differs. All variants take turns in
//! random order; what counts is the CPU time of Envoy's worker thread. Before anything is measured
//! each variant must let the right requests through and no others.

// What is indexed here was made here, in ASCII; a failure ends the run with a message.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "only `make bench`"
)]

mod connection;
mod figures;
mod gateway;
#[allow(dead_code, clippy::expect_used, clippy::panic, reason = "the tests' client, used in part")]
#[path = "../../tests/e2e/http1.rs"]
mod http1;
mod login;
mod provider;
mod sessions;
mod shuffle;
mod tokens;
mod variants;

use std::env;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{ExitCode, exit};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lictor_integration::cache::lock;
use lictor_integration::error::{Error, Result};
use lictor_integration::layout::{Layout, find_checkout};
use lictor_integration::ports::Ports;
use lictor_integration::progress::Progress;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use figures::Figures;
use shuffle::Shuffle;
use variants::Variant;

/// Rounds that are not counted: V8 compiles what is hot, caches fill.
const WARM_UP: usize = 5;
const ROUNDS: usize = 400;
/// Requests of one variant in one round.
const REQUESTS: usize = 200;
/// After that no further round begins.
const LIMIT: Duration = Duration::from_secs(150);

fn main() -> ExitCode {
    let cancelled = Arc::new(AtomicBool::new(false));
    let progress = Progress::to_stderr(Arc::clone(&cancelled));
    let result = layout().and_then(|layout| {
        end_on_a_signal(&layout, &cancelled)?;
        let _lock = lock(&layout.state.join("lock"), &progress)?;
        // A run that was killed may have left an Envoy.
        gateway::stop(&layout)?;
        let result = run(&layout, &progress);
        gateway::stop(&layout).and(result)
    });
    let shown = result.and_then(|table| {
        io::stdout().write_all(table.as_bytes()).map_err(|cause| Error::new(cause.to_string()))
    });
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress.say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn layout() -> Result<Layout> {
    let checkout = find_checkout(Path::new(env!("CARGO_MANIFEST_DIR")))?;
    Layout::new(&checkout, &checkout.join(".lictor/bench"), Ports::unused()?)
}

/// Long work looks at the flag; what blocks is ended here.
fn end_on_a_signal(layout: &Layout, cancelled: &Arc<AtomicBool>) -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register(signal, Arc::clone(cancelled))
            .map_err(|cause| Error::new(format!("cannot watch for signals: {cause}")))?;
    }
    let (layout, cancelled) = (layout.clone(), Arc::clone(cancelled));
    thread::spawn(move || {
        while !cancelled.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(50));
        }
        // Whatever starts Envoy at this moment gives up at its next look at the flag.
        thread::sleep(Duration::from_secs(2));
        let _reported_by_main = gateway::stop(&layout);
        exit(130);
    });
    Ok(())
}

fn run(layout: &Layout, progress: &Progress) -> Result<String> {
    let (mut variants, gateway) = variants::start(layout, progress)?;
    let step = progress.step("variants", "proving that each does its work");
    for variant in &mut variants {
        progress.check()?;
        variant.prove()?;
    }
    step.done("each does its work");
    let step = progress.step("rounds", "measuring");
    let begun = Instant::now();
    let mut shuffle = Shuffle::new()?;
    let mut figures = Figures::new(variants.iter().map(Variant::name).collect());
    for round in 0..WARM_UP + ROUNDS {
        if begun.elapsed() > LIMIT {
            break;
        }
        step.doing(&format!("round {round} of {}", WARM_UP + ROUNDS));
        let mut costs = vec![0.0; variants.len()];
        for at in shuffle.order(variants.len()) {
            progress.check()?;
            let before = gateway.worker_time()?;
            variants[at].requests(REQUESTS)?;
            let spent = gateway.worker_time()?.saturating_sub(before);
            costs[at] = spent.as_secs_f64() * 1e6 / REQUESTS as f64;
        }
        if round >= WARM_UP {
            figures.add(costs);
        }
    }
    step.done("measured");
    Ok(figures.table(REQUESTS))
}
