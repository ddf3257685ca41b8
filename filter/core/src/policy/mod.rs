//! Who may do what: the one place that grants a request, and the bound on handshakes without a
//! credential.

pub(crate) mod authorize;
pub(crate) mod pending_handshakes;
