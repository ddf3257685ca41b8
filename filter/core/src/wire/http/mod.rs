//! HTTP: parsers for what a request contains. Nothing here decides whether it is allowed.

pub(crate) mod authorization;
pub(crate) mod client;
pub(crate) mod cookies;
pub(crate) mod edit;
pub(crate) mod form;
pub(crate) mod query;
pub(crate) mod request;
pub(crate) mod target;
