//! Websockets: the first frame is held, judged and rewritten; then bytes pass unparsed.

pub mod event_filter;
pub mod first_frame;
pub mod frame;
pub mod open;
pub mod pending;
