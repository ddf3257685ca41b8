//! The formats on the wire: HTTP, JOSE, WebSocket frames, and the client's end of a connection.

pub mod http;
pub mod jose;
pub mod network;
pub mod peer;
pub mod websocket;
