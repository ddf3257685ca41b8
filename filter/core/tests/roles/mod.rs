//! Who may do what: the table against lists that others wrote, bodies that ask for secrets, and
//! roles that are only reported.

mod bodies;
mod events;
mod lists;
mod masks;
mod report_only;

use crate::foundation::crypto::sha256;
use crate::identity::role::Role;
use crate::testing::{Headers, configuration, request};
use serde_json::{Value, json};

/// A key of each role, and the sentence that the gate has buffered routes.
pub fn settings() -> Value {
    let mut settings = configuration();
    let keys = Role::ALL.map(|role| {
        let digest: String =
            sha256(key(role).as_bytes()).iter().map(|b| format!("{b:02x}")).collect();
        json!({"name": role.name(), "sha256": digest, "role": role.name()})
    });
    settings["machines"]["api_keys"] = json!(keys);
    settings["prefect"] = json!({ "buffered_routes": true });
    settings
}

/// The key of a role.
pub fn key(role: Role) -> String {
    format!("lk_planted-key-of-{}", role.name())
}

/// A request by somebody of a role.
pub fn by(role: Role, method: &str, path: &str) -> Headers {
    request(method, path, &[("x-api-key", &key(role))])
}
