//! The lowest layer: cryptography, time, bounds and containers.
//!
//! Nothing here depends on HTTP, OpenID Connect or Prefect.

pub(crate) mod bounded;
pub(crate) mod cache;
pub(crate) mod codec;
pub(crate) mod crypto;
pub(crate) mod hex;
pub(crate) mod id;
pub(crate) mod json;
pub(crate) mod limits;
pub(crate) mod log_text;
pub(crate) mod password_hash;
pub(crate) mod secret;
pub(crate) mod stream;
#[warn(clippy::arithmetic_side_effects)]
pub(crate) mod time;
pub(crate) mod token_bucket;
