//! What everything else stands on: cryptography, time, bounds, and containers. It knows nothing of
//! HTTP, of OpenID Connect, or of Prefect.

pub mod bounded;
pub mod cache;
pub mod codec;
pub mod crypto;
pub mod hex;
pub mod json;
pub mod limits;
pub mod log_text;
pub mod secret;
pub mod stream;
pub mod time;
pub mod token_bucket;
