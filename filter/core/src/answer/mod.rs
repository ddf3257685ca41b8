//! The answers that Lictor gives itself.

pub(crate) mod asker;
pub(crate) mod pages;
pub(crate) mod reply;
