//! How the shell names a request.

/// The shell's number for a request: proxy-wasm's context id.
pub type StreamId = u32;
