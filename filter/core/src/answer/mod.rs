//! The answers that Lictor gives itself.

pub(crate) mod context;
pub(crate) mod pages;
pub(crate) mod reply;
