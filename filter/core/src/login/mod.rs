//! The browser's way in and out: authorization code with PKCE (RFC 6749 §4.1, 7636, OpenID
//! Connect Core §3.1).

pub mod backchannel;
pub mod callback;
pub mod failures;
pub mod id_token;
pub mod refresh;
pub mod return_path;
pub mod role;
pub mod start;
pub mod ticket;
