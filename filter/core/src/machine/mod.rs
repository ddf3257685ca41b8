//! What machines show, and whom it proves (docs/machines.md).

pub mod api_key;
pub mod bearer;
pub mod certificate;
pub mod exchange;
pub mod judge;
pub mod personal_token;
pub mod verified;
