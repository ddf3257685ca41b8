//! Where a story's time goes: starting parts, waiting for something to happen, or its own work.

use std::cell::Cell;
use std::collections::HashSet;
use std::fs;
use std::process;
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
    let _measured = Measurement::begin(|parts, took| parts.start += took);
    work()
}

/// Sleeps; counts as waiting.
pub fn pause(duration: Duration) {
    let _measured = Measurement::begin(|parts, took| parts.wait += took);
    thread::sleep(duration);
}

/// Counts until it is dropped, by a panic as well.
struct Measurement {
    begun: Instant,
    add: fn(&mut Parts, Duration),
}

impl Measurement {
    fn begin(add: fn(&mut Parts, Duration)) -> Option<Self> {
        (!MEASURING.replace(true)).then(|| Self { begun: Instant::now(), add })
    }
}

impl Drop for Measurement {
    fn drop(&mut self) {
        let mut parts = PARTS.get();
        (self.add)(&mut parts, self.begun.elapsed());
        PARTS.set(parts);
        MEASURING.set(false);
    }
}

/// The processor time of this process and of all that it has started: those that run, those that
/// have ended and are not forgotten, and their children that have ended.
pub fn processor_time() -> Duration {
    let processes: Vec<Process> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Process::parse(&fs::read_to_string(entry.path().join("stat")).ok()?))
        .collect();
    let mut ours = HashSet::from([process::id()]);
    loop {
        let before = ours.len();
        let children = processes.iter().filter(|process| ours.contains(&process.parent));
        ours.extend(children.map(|process| process.id).collect::<Vec<_>>());
        if ours.len() == before {
            break;
        }
    }
    processes.iter().filter(|process| ours.contains(&process.id)).map(|process| process.used).sum()
}

struct Process {
    id: u32,
    parent: u32,
    used: Duration,
}

impl Process {
    /// A line of `/proc/<pid>/stat`.
    fn parse(stat: &str) -> Option<Self> {
        // The name in parentheses may hold anything.
        let (id, rest) = (stat.split(' ').next()?, stat.rsplit_once(") ")?.1);
        let fields: Vec<&str> = rest.split(' ').collect();
        // In hundredths of a second: its own in user mode and in the kernel, the same of its
        // children.
        let used =
            fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
        let parent = fields.get(1)?.parse().ok()?;
        Some(Self { id: id.parse().ok()?, parent, used: Duration::from_millis(used * 10) })
    }
}
