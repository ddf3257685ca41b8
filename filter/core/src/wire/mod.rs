//! Wire formats: HTTP, JOSE and WebSocket frames, and the client's end of a connection.

pub(crate) mod http;
pub(crate) mod jose;
pub(crate) mod network;
pub(crate) mod peer;
#[warn(clippy::arithmetic_side_effects)]
pub(crate) mod websocket;
