//! How the host names a request.

/// The host's number for a request: the context id of proxy-wasm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId(pub u32);
