//! The one error type: what was seen, what was wanted, what to do about it.

use std::fmt::{self, Write as _};
use std::fs;
use std::path::{Path, PathBuf};

/// How many lines of a part's log an error quotes.
const QUOTED_LINES: usize = 20;

/// The result of everything here that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure written for the person who typed the command.
#[derive(Debug)]
pub struct Error(Box<Details>);

#[derive(Debug, Default)]
struct Details {
    seen: String,
    wanted: Option<String>,
    remedy: Option<String>,
    log: Option<(PathBuf, String)>,
    cancelled: bool,
}

impl Error {
    /// A failure described by what was seen.
    #[must_use]
    pub fn new(seen: impl Into<String>) -> Self {
        Self(Box::new(Details { seen: seen.into(), ..Details::default() }))
    }

    /// The work was given up because something else failed or the user pressed Ctrl-C.
    #[must_use]
    pub fn cancelled() -> Self {
        let mut error = Self::new("interrupted");
        error.0.cancelled = true;
        error
    }

    /// A failed file operation.
    #[must_use]
    pub fn file(doing: &str, path: &Path, cause: &std::io::Error) -> Self {
        Self::new(format!("cannot {doing} {}: {cause}", path.display()))
    }

    /// Adds what was wanted instead.
    #[must_use]
    pub fn wanted(mut self, wanted: impl Into<String>) -> Self {
        self.0.wanted = Some(wanted.into());
        self
    }

    /// Adds what the user can do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.0.remedy = Some(remedy.into());
        self
    }

    /// Adds the last lines of a log. They are read now: the file may be gone when this is shown.
    #[must_use]
    pub fn log(mut self, path: &Path) -> Self {
        self.0.log = Some((path.to_path_buf(), last_lines(path, QUOTED_LINES)));
        self
    }

    /// Whether this only says that another failure came first.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.seen)?;
        if let Some(wanted) = &self.0.wanted {
            write!(f, "\n  wanted: {wanted}")?;
        }
        if let Some(remedy) = &self.0.remedy {
            write!(f, "\n  do:     {remedy}")?;
        }
        if let Some((path, lines)) = &self.0.log {
            write!(f, "\n  last lines of {}:", path.display())?;
            for line in lines.lines() {
                f.write_str("\n    | ")?;
                f.write_str(line)?;
            }
            if lines.is_empty() {
                f.write_char('\n')?;
                f.write_str("    (the log is empty)")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// The last `count` lines of a file; empty where it can't be read.
#[must_use]
pub fn last_lines(path: &Path, count: usize) -> String {
    let Ok(bytes) = fs::read(path) else { return String::new() };
    let text = String::from_utf8_lossy(&bytes);
    // Cargo's messages for programs; a person wants those for people, which stand between them.
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("{\"reason\":")).collect();
    lines.iter().skip(lines.len().saturating_sub(count)).copied().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_was_seen_wanted_and_what_to_do() {
        let error = Error::new("port 8443 is in use").wanted("a free port").remedy("stop it");
        assert_eq!(
            error.to_string(),
            "port 8443 is in use\n  wanted: a free port\n  do:     stop it"
        );
    }
}
