//! Credentials of machines and command lines, and the identities that they prove
//! (docs/machines.md).

pub(crate) mod api_key;
pub(crate) mod bearer;
pub(crate) mod certificate;
pub(crate) mod client_credentials;
pub(crate) mod grant;
pub(crate) mod introspection;
pub(crate) mod kind;
pub(crate) mod misspelt;
pub(crate) mod password;
pub(crate) mod personal_token;
pub(crate) mod verified_tokens;
pub(crate) mod verifier;
