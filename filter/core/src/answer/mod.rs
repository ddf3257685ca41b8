//! The answers that Lictor gives itself.

pub mod asker;
pub mod pages;
pub mod reply;
