//! Where a story's time goes: starting parts, waiting for something to happen, or its own work.

use std::cell::Cell;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// What a story's time went into. What is neither of the two is its own work.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts {
    /// Starting and stopping processes.
    pub start: Duration,
    /// Waiting for a condition, or for real time to pass.
    pub wait: Duration,
}

thread_local! {
    static PARTS: Cell<Parts> = const { Cell::new(Parts { start: Duration::ZERO, wait: Duration::ZERO }) };
    /// Whether a measurement is under way: what is nested in it counts once.
    static MEASURING: Cell<bool> = const { Cell::new(false) };
}

/// Begins a story on this thread.
pub fn begin() {
    PARTS.set(Parts::default());
    MEASURING.set(false);
}

/// What has been measured on this thread since [`begin`].
pub fn parts() -> Parts {
    PARTS.get()
}

/// Counts as the start of a part.
pub fn starting<T>(work: impl FnOnce() -> T) -> T {
    measure(work, |parts, took| parts.start += took)
}

/// Sleeps; counts as waiting.
pub fn pause(duration: Duration) {
    measure(|| thread::sleep(duration), |parts, took| parts.wait += took);
}

fn measure<T>(work: impl FnOnce() -> T, add: impl FnOnce(&mut Parts, Duration)) -> T {
    if MEASURING.replace(true) {
        return work();
    }
    let begun = Instant::now();
    let result = work();
    let mut parts = PARTS.get();
    add(&mut parts, begun.elapsed());
    PARTS.set(parts);
    MEASURING.set(false);
    result
}

/// How long all cores of the machine together have been busy since its start.
pub fn busy() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let fields: Vec<u64> =
        stat.lines().next()?.split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq; in hundredths of a second.
    let used = [0, 1, 2, 5, 6].iter().filter_map(|at| fields.get(*at)).sum::<u64>();
    Some(Duration::from_millis(used * 10))
}
