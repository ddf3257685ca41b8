//! What operators see: access log fields, counters, log lines.

pub mod event;
