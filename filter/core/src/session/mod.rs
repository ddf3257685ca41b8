//! The browser's session: everything of it is in one sealed cookie.

pub mod cookie;
pub mod model;
