//! Knowledge about Prefect: its operations, sockets, credential, responses and UI.

pub(crate) mod block_events;
mod bodies;
pub(crate) mod companion;
pub(crate) mod event_filter;
pub(crate) mod first_frame;
pub(crate) mod masks;
pub(crate) mod operations;
pub(crate) mod place;
pub(crate) mod response;
pub(crate) mod rewrite;
pub(crate) mod sockets;
mod table;
pub(crate) mod ui_settings;
pub(crate) mod upstream;
