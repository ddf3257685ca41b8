//! The browser's session: everything of it is in one sealed cookie.

pub mod codec;
pub mod cookie;
pub mod model;
pub mod personal_token;
pub mod seal;
