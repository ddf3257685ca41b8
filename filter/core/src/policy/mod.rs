//! Who may do what: the rules, and the one place that grants.

pub mod authorize;
pub mod claims_to_role;
pub mod hold;
pub mod principal;
pub mod role;
pub mod role_set;
