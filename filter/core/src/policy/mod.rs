//! Authorization: the only place that grants requests, and the limits on what clients that have not
//! authenticated yet may keep open: websocket handshakes and request bodies.

pub(crate) mod authorize;
pub(crate) mod pending_bodies;
pub(crate) mod pending_handshakes;
