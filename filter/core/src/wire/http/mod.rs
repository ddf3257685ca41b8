//! Bytes in, meaning out: what a request says, before anybody decides anything.

pub(crate) mod authorization;
pub(crate) mod client;
pub(crate) mod cookies;
pub(crate) mod edit;
pub(crate) mod form;
pub(crate) mod query;
pub(crate) mod request;
pub(crate) mod target;
