//! The problems of a configuration.

use core::fmt;

/// One problem of a configuration. It never contains the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// A JSON path such as `$.session.idle`, or the name of an environment variable.
    pub(crate) path: String,
    /// What the configuration contains at this path.
    pub(crate) found: String,
    /// What Lictor expects instead.
    pub(crate) wanted: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: found {}, wanted {}", self.path, self.found, self.wanted)
    }
}

/// All problems of a configuration, at least one.
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
