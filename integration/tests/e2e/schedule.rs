//! Runs stories side by side as far as they allow it, and reports where the time went.
//!
//! Results are reported in the order of the list, whatever the order in which the stories ran.

use std::any::Any;
use std::cell::RefCell;
use std::cmp::Reverse;
use std::env;
use std::fs;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};

use crate::clock::{self, Parts};
use crate::world::say;

/// How many slots for stories there are. Most stories wait for something most of the time.
const AT_ONCE: usize = 4;
/// How many slots a heavy story takes. Others take one.
const HEAVY: usize = 2;
/// How many of the slowest stories are reported.
const REPORTED: usize = 10;

/// One test: a sentence, what proves it, and what may run beside it.
pub struct Story {
    name: String,
    needs: Needs,
    /// Whether it is told only to those who ask for it.
    long: bool,
    proof: Box<dyn FnOnce() + Send>,
}

/// How a story uses something that there is only once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    None,
    /// Beside others that do the same.
    Shared,
    /// Nobody else may use it meanwhile.
    Exclusive,
}

#[derive(Clone, Copy)]
struct Needs {
    /// Prefect by way of the shared Envoy, whose counters some stories read.
    gate: Use,
    /// The realm of the shared Keycloak.
    realm: Use,
    /// The computer.
    machine: Use,
    /// Stories of one group run one after the other.
    group: Option<&'static str>,
    turn: Turn,
    /// How many slots it takes.
    slots: usize,
}

/// The order in which stories are considered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// Stories that change the shared realm. Others can't use it meanwhile.
    Realm,
    /// Long stories, beside which others run.
    Early,
    /// Stories that need the shared Envoy for themselves.
    Counting,
    Usual,
    /// Stories that need the machine for themselves.
    Alone,
}

impl Story {
    pub fn new(name: String, proof: impl FnOnce() + Send + 'static) -> Self {
        let needs = Needs {
            gate: Use::Shared,
            realm: Use::Shared,
            machine: Use::Shared,
            group: None,
            turn: Turn::Usual,
            slots: 1,
        };
        Self { name, needs, long: false, proof: Box::new(proof) }
    }

    /// It counts what passes the shared Envoy: nobody else may send anything to Prefect that way.
    pub fn counting(mut self) -> Self {
        self.needs.gate = Use::Exclusive;
        self.needs.turn = Turn::Counting;
        self
    }

    /// Nothing of it reaches Prefect through the shared Envoy.
    pub fn apart(mut self) -> Self {
        self.needs.gate = Use::None;
        self
    }

    /// [`Self::apart`], and nobody of it is known to the shared realm.
    pub fn own_provider(mut self) -> Self {
        self.needs.realm = Use::None;
        self.apart()
    }

    /// It changes the shared realm: its keys, settings or people.
    pub fn changing_realm(mut self) -> Self {
        self.needs.realm = Use::Exclusive;
        self.needs.turn = Turn::Realm;
        self
    }

    /// It measures times, or stops a shared part: nothing else runs meanwhile.
    pub fn alone(mut self) -> Self {
        self.needs.machine = Use::Exclusive;
        self.needs.turn = Turn::Alone;
        self
    }

    /// It waits for long: the earlier it begins, the more can run beside it.
    pub fn early(mut self) -> Self {
        self.needs.turn = Turn::Early;
        self
    }

    /// It takes many minutes the first time. It counts as ignored without `--include-ignored`.
    pub fn long(mut self) -> Self {
        self.long = true;
        self
    }

    /// It keeps a core busy by itself.
    pub fn heavy(mut self) -> Self {
        self.needs.slots = HEAVY;
        self
    }

    /// One after the other with those of the same group, in the order of the list.
    pub fn in_group(mut self, group: &'static str) -> Self {
        self.needs.group = Some(group);
        self
    }
}

impl Needs {
    fn allows(self, other: Self) -> bool {
        let allows = |a: Use, b: Use| {
            a == Use::None || b == Use::None || (a, b) == (Use::Shared, Use::Shared)
        };
        allows(self.gate, other.gate)
            && allows(self.realm, other.realm)
            && allows(self.machine, other.machine)
            && (self.group.is_none() || self.group != other.group)
    }
}

/// Runs the stories that the arguments choose. Stories that run alone come last, in their order.
pub fn run(arguments: &Arguments, stories: Vec<Story>) -> Conclusion {
    let mut pending = Vec::new();
    let mut trials = Vec::new();
    for story in stories {
        let outcome = Arc::new(Outcome::default());
        let told = Arc::clone(&outcome);
        let trial = Trial::test(story.name.clone(), move || told.wait());
        let trial = trial.with_ignored_flag(story.long);
        let is_wanted = !story.long || arguments.ignored || arguments.include_ignored;
        if !arguments.list && is_wanted && !arguments.is_filtered_out(&trial) {
            pending.push(Job { story, outcome });
        }
        trials.push(trial);
    }
    // Stable: within a turn the order of the list.
    pending.sort_by_key(|job| job.story.needs.turn);
    let schedule = Schedule {
        state: Mutex::new(State { pending, running: Vec::new(), done: Vec::new() }),
        changed: Condvar::new(),
    };
    let begun = Instant::now();
    let conclusion = thread::scope(|scope| {
        for _ in 0..at_once() {
            scope.spawn(|| schedule.work());
        }
        libtest_mimic::run(&single(arguments), trials)
    });
    if !arguments.list {
        report(std::mem::take(&mut lock(&schedule.state).done), begun.elapsed());
    }
    conclusion
}

/// Results are waited for and told in order.
fn single(arguments: &Arguments) -> Arguments {
    Arguments { test_threads: Some(1), ..arguments.clone() }
}

fn at_once() -> usize {
    let chosen = env::var("LICTOR_AT_ONCE").ok().and_then(|number| number.parse().ok());
    chosen.filter(|number| *number > 0).unwrap_or(AT_ONCE)
}

struct Job {
    story: Story,
    outcome: Arc<Outcome>,
}

/// How a story has ended.
#[derive(Default)]
struct Outcome {
    result: Mutex<Option<Result<(), Failed>>>,
    known: Condvar,
}

impl Outcome {
    fn tell(&self, result: Result<(), Failed>) {
        *lock(&self.result) = Some(result);
        self.known.notify_all();
    }

    fn wait(&self) -> Result<(), Failed> {
        let known = self.known.wait_while(lock(&self.result), |result| result.is_none());
        known.unwrap_or_else(PoisonError::into_inner).take().unwrap()
    }
}

struct Schedule {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    pending: Vec<Job>,
    running: Vec<(ThreadId, Needs)>,
    done: Vec<Done>,
}

/// What is reported of a story at the end.
struct Done {
    name: String,
    took: Duration,
    parts: Parts,
}

impl State {
    /// The first that may run beside all that run now, and does not overtake one of its group.
    fn next(&self) -> Option<usize> {
        let mut groups = Vec::new();
        let at = self.pending.iter().position(|job| {
            let needs = job.story.needs;
            let overtakes = needs.group.is_some_and(|group| groups.contains(&group));
            groups.extend(needs.group);
            !overtakes && self.running.iter().all(|(_, other)| needs.allows(*other))
        })?;
        // A heavy story waits for its slots, and so do lighter ones behind it. Otherwise it would
        // be the last.
        let taken: usize = self.running.iter().map(|(_, needs)| needs.slots).sum();
        let fits = taken == 0 || taken + self.pending[at].story.needs.slots <= at_once();
        fits.then_some(at)
    }
}

impl Schedule {
    /// Takes one story after the other until there are no more.
    fn work(&self) {
        while let Some(Job { story, outcome }) = self.take() {
            NAME.set(story.name.clone());
            clock::begin();
            let begun = Instant::now();
            let result = catch_unwind(AssertUnwindSafe(story.proof));
            let done = Done { name: story.name, took: begun.elapsed(), parts: clock::parts() };
            note(&done);
            let mut state = lock(&self.state);
            state.running.retain(|(thread, _)| *thread != thread::current().id());
            state.done.push(done);
            drop(state);
            self.changed.notify_all();
            outcome.tell(result.map_err(|panic| Failed::from(said(&*panic))));
        }
    }

    fn take(&self) -> Option<Job> {
        let mut state = lock(&self.state);
        while !state.pending.is_empty() {
            if let Some(at) = state.next() {
                let job = state.pending.remove(at);
                state.running.push((thread::current().id(), job.story.needs));
                return Some(job);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }
}

thread_local! {
    static NAME: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The story that runs on this thread; empty on threads that a story has started.
pub fn name() -> String {
    NAME.with_borrow(Clone::clone)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked").to_owned()
}

/// The slowest stories, and how well the machine was used.
fn report(mut done: Vec<Done>, took: Duration) {
    let all: Duration = done.iter().map(|story| story.took).sum();
    let count = done.len();
    done.sort_by_key(|story| Reverse(story.took));
    let mut lines =
        format!("the slowest of {count} stories, in seconds\n   all start  wait  work\n");
    for Done { name, took, parts } in done.iter().take(REPORTED) {
        let work = took.saturating_sub(parts.start + parts.wait);
        let columns = [*took, parts.start, parts.wait, work].map(|time| time.as_secs_f64());
        let columns = columns.map(|seconds| format!("{seconds:6.1}")).concat();
        lines += &format!("{columns}  {name}\n");
    }
    lines += &format!(
        "{:.0} s of stories in {:.0} s, up to {} at once, with {:.0} s of processor time",
        all.as_secs_f64(),
        took.as_secs_f64(),
        at_once(),
        clock::processor_time().as_secs_f64()
    );
    say(&lines);
}

/// Adds a line to the file that `LICTOR_TIMES` names: seconds in all, of starts, of waits; the
/// name.
fn note(done: &Done) {
    let Some(file) = env::var_os("LICTOR_TIMES") else { return };
    let Done { name, took, parts } = done;
    let columns = [*took, parts.start, parts.wait].map(|time| format!("{:.1}", time.as_secs_f64()));
    let mut line = columns.join("\t");
    line += &format!("\t{name}\n");
    let file = fs::OpenOptions::new().create(true).append(true).open(file);
    let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
    written.unwrap_or_else(|cause| say(&format!("LICTOR_TIMES: {cause}")));
}
