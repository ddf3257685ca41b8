//! What everything else stands on: cryptography, time, bounds, and containers. It knows nothing of
//! HTTP, of OpenID Connect, or of Prefect.

pub(crate) mod bounded;
pub(crate) mod cache;
pub(crate) mod codec;
pub(crate) mod crypto;
pub(crate) mod hex;
pub(crate) mod id;
pub(crate) mod json;
pub(crate) mod limits;
pub(crate) mod log_text;
pub(crate) mod secret;
pub(crate) mod stream;
pub(crate) mod time;
pub(crate) mod token_bucket;
