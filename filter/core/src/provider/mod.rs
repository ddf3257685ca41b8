//! The OpenID provider: its metadata, its keys, and the calls to its endpoints.

mod call;
pub mod callout;
pub mod keys;
pub mod metadata;
pub mod token_endpoint;
pub mod userinfo;

pub use call::call;
pub use call::keys as keys_request;
