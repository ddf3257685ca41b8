//! Principals, their roles, and the credential that proved them. Data only.

pub mod claims_to_role;
pub mod credential_ref;
pub mod personal_token;
pub mod principal;
pub mod role;
pub mod role_set;
