//! The browser session, stored entirely in a sealed cookie.

pub(crate) mod cookie;
pub(crate) mod model;
