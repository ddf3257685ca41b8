//! The OpenID provider: its metadata, its keys, and calls to its endpoints.

pub(crate) mod call;
pub(crate) mod callout;
pub(crate) mod introspection;
pub(crate) mod keys;
pub(crate) mod metadata;
pub(crate) mod token_endpoint;
pub(crate) mod userinfo;
