//! The identifier that the host gives to a request.

/// The identifier of a request at the host: the context id of proxy-wasm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId(pub u32);
