//! Websockets: the first frame is held, judged and rewritten, and where some events are not for the client
//! its second message as well; then bytes pass unparsed.

pub mod event_filter;
pub mod first_frame;
pub mod frame;
pub mod open;
pub mod pending;
