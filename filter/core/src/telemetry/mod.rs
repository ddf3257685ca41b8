//! What operators see: access log fields, counters, log lines.

pub(crate) mod event;
pub(crate) mod metrics;
