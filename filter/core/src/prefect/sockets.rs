//! Prefect's websockets. Only these are opened; any other upgrade is refused.

use crate::config::Config;
use crate::http::target::Target;
use crate::prefect::operations::Operation;

/// A socket that Prefect is known to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownSocket {
    path: String,
}

impl KnownSocket {
    /// The known socket at a target, if it is one.
    #[must_use]
    pub fn at(target: &Target<'_>, config: &Config) -> Option<Self> {
        let path = target.decoded().strip_prefix(&config.prefect.api_path)?;
        let known = crate::prefect::operations::is_socket(path);
        known.then(|| Self { path: path.to_owned() })
    }

    /// Whether it is the one that clients send events to.
    #[must_use]
    pub fn is_events_in(&self) -> bool {
        self.path == "/events/in"
    }

    /// What opening it means for the policy.
    #[must_use]
    pub fn operation(&self) -> Operation<'_> {
        Operation::socket(&self.path)
    }
}
