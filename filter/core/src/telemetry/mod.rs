//! Telemetry for operators: access log fields, counters and log lines.

pub(crate) mod event;
pub(crate) mod line_budget;
pub(crate) mod metrics;
