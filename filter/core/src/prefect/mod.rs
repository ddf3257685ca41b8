//! What is Prefect's own: its operations, its sockets, its credential, its UI settings.

pub mod answer;
pub mod block_events;
mod bodies;
pub mod companion;
pub mod masks;
pub mod operations;
pub mod rewrite;
pub mod sockets;
mod table;
pub mod ui_settings;
pub mod upstream;
