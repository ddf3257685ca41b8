//! Lictor's metrics, as Envoy's statistics show them. docs/operations.md lists them for operators.
//!
//! The shell defines a metric by [`Metric::name`] at its first use. Envoy keeps no labels for a
//! module, so labels are part of the name. `stats_tags` in the bootstrap configuration extract
//! them.

/// A metric with its labels.
///
/// Label values come from fixed sets, so that the number of metrics is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Counts the requests that Lictor decided about.
    Requests {
        /// `forwarded`, `reported`, `refused` or `answered`.
        outcome: &'static str,
        /// Label of the authentication method.
        method: &'static str,
        /// Code of the refusal or of the local answer; `ok` for a forwarded request.
        reason: &'static str,
    },
}

impl Metric {
    /// Returns the metric's name, which includes its labels.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Requests { outcome, method, reason } => {
                format!("lictor_requests.outcome={outcome}.method={method}.reason={reason}")
            }
        }
    }
}
