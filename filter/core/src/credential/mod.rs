//! The credentials of machines and command lines, and the principals that they prove
//! (docs/machines.md).

pub mod api_key;
pub mod bearer;
pub mod certificate;
pub mod client_credentials;
pub mod kind;
pub mod personal_token;
pub mod verified;
pub mod verify;
