//! Principals, their roles, and references to the credentials that proved them. Data only.

pub(crate) mod claims_to_role;
pub(crate) mod credential_ref;
pub(crate) mod personal_token;
pub(crate) mod principal;
pub(crate) mod role;
pub(crate) mod role_set;
pub(crate) mod users;
