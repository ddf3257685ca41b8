//! What is shown while work goes on: bars and spinners on a terminal, one plain line a step
//! elsewhere. Also carries the wish to stop, since everything that takes long shows itself here.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::error::{Error, Result};

/// Where progress goes, and whether to go on. Cheap to clone; clones share both.
#[derive(Clone)]
pub struct Progress {
    output: Output,
    cancelled: Arc<AtomicBool>,
}

#[derive(Clone)]
enum Output {
    Terminal(MultiProgress),
    Plain,
    Silent,
}

impl Progress {
    /// To stderr, with bars if that is a terminal.
    #[must_use]
    pub fn to_stderr(cancelled: Arc<AtomicBool>) -> Self {
        let output = if io::stderr().is_terminal() {
            Output::Terminal(MultiProgress::new())
        } else {
            Output::Plain
        };
        Self { output, cancelled }
    }

    /// Shows nothing: for tests.
    #[must_use]
    pub fn silent() -> Self {
        Self { output: Output::Silent, cancelled: Arc::default() }
    }

    /// Asks everything that shares this to give up soon.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Fails once [`Progress::cancel`] was called; long work asks this often.
    ///
    /// # Errors
    /// The work is to be given up.
    pub fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) { Err(Error::cancelled()) } else { Ok(()) }
    }

    /// One line that stays.
    pub fn say(&self, text: &str) {
        match &self.output {
            Output::Terminal(bars) => drop(bars.println(text)),
            // Nobody is left to tell that stderr is closed.
            Output::Plain => drop(writeln!(io::stderr(), "{text}")),
            Output::Silent => {}
        }
    }

    /// Begins a step, shown until it is done or dropped.
    #[must_use]
    pub fn step(&self, part: &str, doing: &str) -> Step {
        let bar = match &self.output {
            Output::Terminal(bars) => {
                let bar = bars.add(ProgressBar::new_spinner());
                bar.set_style(style("{spinner} {prefix:20} {msg}  {elapsed}"));
                bar.set_prefix(part.to_owned());
                bar.set_message(doing.to_owned());
                bar.enable_steady_tick(Duration::from_millis(120));
                Some(bar)
            }
            Output::Plain | Output::Silent => None,
        };
        Step { progress: self.clone(), bar, part: part.to_owned(), begun: Instant::now() }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// One step under way.
pub struct Step {
    progress: Progress,
    bar: Option<ProgressBar>,
    part: String,
    begun: Instant,
}

impl Step {
    /// Whether somebody watches: measuring a download is worth its cost only then.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.bar.is_some()
    }

    /// Changes what is shown.
    pub fn doing(&self, doing: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(doing.to_owned());
        }
    }

    /// Shows a bar of `done` out of about `expected` bytes.
    pub fn bytes(&self, done: u64, expected: u64) {
        let Some(bar) = &self.bar else { return };
        if bar.length() != Some(expected) {
            bar.set_length(expected);
            bar.set_style(style(
                "{spinner} {prefix:20} {msg} [{bar:24}] {decimal_bytes}/{decimal_total_bytes}  {elapsed}",
            ));
        }
        bar.set_position(done.min(expected));
    }

    /// Ends the step with a line that says what came of it and how long it took.
    pub fn done(mut self, outcome: &str) {
        self.clear();
        let seconds = self.begun.elapsed().as_secs_f64();
        self.progress.say(&format!("{:<20} {outcome:<44} {seconds:>6.1} s", self.part));
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A size for people, in decimal units as package indexes show it.
#[must_use]
pub fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.saturating_add(500_000) / 1_000_000)
}
