//! Every metric of Lictor, as Envoy's statistics show it (docs/operations.md lists them for operators).
//!
//! The shell defines a metric at its first use, by [`Metric::name`]. Envoy keeps no labels for a module:
//! they are part of the name, and `stats_tags` in the bootstrap configuration take them apart.

/// A metric with its labels. The values of labels come from fixed sets, so that the number of metrics is
/// bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// A counter of decided requests.
    Requests {
        /// `forwarded`, `reported`, `refused` or `answered`.
        outcome: &'static str,
        /// The kind of credential.
        method: &'static str,
        /// The code of the refusal or reply; `ok` for what is forwarded.
        reason: &'static str,
    },
}

impl Metric {
    /// The name with its labels.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Requests { outcome, method, reason } => {
                format!("lictor_requests.outcome={outcome}.method={method}.reason={reason}")
            }
        }
    }
}
