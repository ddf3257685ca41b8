//! What is wrong with a configuration: all of it at once.

use core::fmt;

/// One problem: where, what was found, what is wanted. Never a secret's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// JSON path (`$.session.idle`) or the name of an environment variable.
    pub(crate) path: String,
    /// What was found there.
    pub(crate) found: String,
    /// What is wanted instead.
    pub(crate) wanted: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: found {}, wanted {}", self.path, self.found, self.wanted)
    }
}

/// Every problem of a configuration; not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub(crate) Vec<Problem>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "the configuration has {count} problem{}:", if count == 1 { "" } else { "s" })?;
        for problem in &self.0 {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl core::error::Error for ConfigErrors {}
