//! Bytes in, meaning out: what a request says, before anybody decides anything.

pub mod authorization;
pub mod client;
pub mod cookies;
pub mod edit;
pub mod form;
pub mod query;
pub mod request;
pub mod target;
