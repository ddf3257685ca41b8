//! What is Prefect's own: its operations, its sockets, its credential, its UI settings.

pub mod block_events;
mod bodies;
pub mod companion;
pub mod event_filter;
pub mod first_frame;
pub mod masks;
pub mod operations;
pub mod place;
pub mod response;
pub mod rewrite;
pub mod sockets;
mod table;
pub mod ui_settings;
pub mod upstream;
