//! The identity provider: where its endpoints are and what is said there.

pub mod call;
pub mod discovery;
pub mod token;
pub mod userinfo;
