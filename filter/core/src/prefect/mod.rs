//! What is Prefect's own: its operations, its sockets, its credential, its UI settings.

pub mod answer;
pub mod companion;
pub mod operations;
pub mod rewrite;
mod secrets;
pub mod sockets;
mod table;
pub mod ui_settings;
pub mod upstream;
