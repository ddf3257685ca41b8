//! The browser's session: everything of it is in one sealed cookie.

pub(crate) mod cookie;
pub(crate) mod model;
