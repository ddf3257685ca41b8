//! Authorization: the only place that grants requests, and the limit on websocket handshakes whose
//! client has not authenticated yet.

pub(crate) mod authorize;
pub(crate) mod pending_handshakes;
