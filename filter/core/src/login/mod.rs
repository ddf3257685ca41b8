//! Browser logins by authorization code with PKCE, refreshes, and back-channel logout (RFC 6749
//! §4.1, RFC 7636, OpenID Connect Core §3.1).

pub(crate) mod backchannel;
pub(crate) mod callback;
pub(crate) mod failures;
pub(crate) mod id_token;
pub(crate) mod refresh;
pub(crate) mod return_path;
pub(crate) mod role;
pub(crate) mod start;
pub(crate) mod ticket;
