//! Lictor's metrics, as Envoy's statistics show them. docs/operations.md lists them for operators.
//!
//! The shell defines a metric by [`Metric::name`] at its first use. Envoy keeps no labels for a
//! module, so labels are part of the name. `stats_tags` in the bootstrap configuration extract
//! them.

/// A metric with its labels.
///
/// Label values come from fixed sets, so that the number of metrics is bounded. They have no dot.
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

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// One metric of each variant; a new one does not compile here before it has its place.
    const fn next(metric: Option<Metric>) -> Option<Metric> {
        match metric {
            None => Some(Metric::Requests { outcome: "answered", method: "none", reason: "live" }),
            Some(Metric::Requests { .. }) => None,
        }
    }

    #[test]
    fn the_samples_extract_every_label() {
        let names: Vec<String> = core::iter::successors(next(None), |metric| next(Some(*metric)))
            .map(Metric::name)
            .collect();
        let parts = names.iter().flat_map(|name| name.split('.'));
        // A label's value has no dot: what follows it would be part of the name.
        assert!(names.iter().all(|name| name.split('.').skip(1).all(|part| part.contains('='))));
        let mut labels: Vec<&str> = Vec::new();
        for (label, _) in parts.filter_map(|part| part.split_once('=')) {
            if !labels.contains(&label) {
                labels.push(label);
            }
        }
        let tag = |label: &&str| {
            format!("  - {{ tag_name: {label}, regex: 'lictor_[a-z_]+.*?(\\.{label}=([^.]+))' }}")
        };
        let wanted: Vec<String> = labels.iter().map(tag).collect();
        for sample in crate::testing::SAMPLES {
            let tags: Vec<&str> =
                sample.lines().filter(|line| line.contains("tag_name: ")).collect();
            assert_eq!(tags, wanted);
        }
    }
}
