//! Local answers: the responses that Lictor generates itself.

pub(crate) mod context;
pub(crate) mod pages;
pub(crate) mod reply;
