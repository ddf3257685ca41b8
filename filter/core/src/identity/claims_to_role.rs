//! Mapping from the claims of a verified token to a role.

use serde_json::{Map, Value};

use crate::identity::role::Role;

/// How claims map to roles: the setting `roles`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Roles {
    /// For each role, the names in claims that grant it.
    pub(crate) names: Vec<(Role, Vec<String>)>,
    /// Paths of the claims that contain names, each as a list of member names.
    pub(crate) sources: Vec<Vec<String>>,
    /// Role of a logged-in person to whom the claims grant no role.
    pub(crate) default: Option<Role>,
    /// Whether a missing role is only reported, and the request forwarded.
    pub(crate) report_only: bool,
}

/// Returns the highest role that the claims grant.
///
/// Only strings and arrays of strings grant a role. A claim of any other type grants nothing. A
/// string in `scope` or `scp` is a list of scopes (RFC 8693 §4.2).
#[must_use]
pub(crate) fn role_of(claims: &Map<String, Value>, roles: &Roles) -> Option<Role> {
    let names = roles.sources.iter().flat_map(|path| match at(claims, path) {
        Some(Value::String(scopes)) if is_scope(path) => scopes.split(' ').collect(),
        Some(Value::String(name)) => vec![name.as_str()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    });
    names.filter_map(|name| granted(name, roles)).max()
}

fn is_scope(path: &[String]) -> bool {
    matches!(path.last().map(String::as_str), Some("scope" | "scp"))
}

/// Returns whether one of the claims that grant roles is present, whatever it grants.
#[must_use]
pub(crate) fn has_source(claims: &Map<String, Value>, roles: &Roles) -> bool {
    roles.sources.iter().any(|path| at(claims, path).is_some())
}

/// Returns the claim that grants roles and that the token only refers to, because it is kept
/// elsewhere (`_claim_names`, OpenID Connect Core §5.6.2). Entra ID does so with many groups.
#[must_use]
pub(crate) fn kept_elsewhere<'a>(claims: &Map<String, Value>, roles: &'a Roles) -> Option<&'a str> {
    let names = claims.get("_claim_names")?.as_object()?;
    let first = roles.sources.iter().filter_map(|path| path.first());
    first.map(String::as_str).find(|name| names.contains_key(*name))
}

/// Returns the value at a path of member names.
#[must_use]
pub(crate) fn at<'a>(claims: &'a Map<String, Value>, path: &[String]) -> Option<&'a Value> {
    // Only objects have members. A segment is never an index into an array.
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(claims.get(first)?, |value, segment| value.as_object()?.get(segment))
}

/// Returns the highest role that one name grants.
fn granted(name: &str, roles: &Roles) -> Option<Role> {
    let grants = |names: &[String]| names.iter().any(|known| known == name);
    roles.names.iter().filter(|(_, names)| grants(names)).map(|(role, _)| *role).max()
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use serde_json::json;

    use super::*;

    fn roles() -> Roles {
        Roles {
            names: Role::ALL.map(|r| (r, vec![format!("prefect-{}", r.name())])).to_vec(),
            sources: vec![
                vec!["realm_access".into(), "roles".into()],
                vec!["groups".into()],
                vec!["scope".into()],
            ],
            default: None,
            report_only: false,
        }
    }

    #[test]
    fn the_highest_granted_role_counts() {
        for (claims, wanted) in [
            (json!({"realm_access": {"roles": ["prefect-viewer", "x"]}}), Some(Role::Viewer)),
            (
                json!({"realm_access": {"roles": ["prefect-viewer"]}, "groups": ["prefect-admin"]}),
                Some(Role::Admin),
            ),
            (json!({"groups": "prefect-operator"}), Some(Role::Operator)),
            (json!({"scope": "openid prefect-worker prefect-viewer"}), Some(Role::Worker)),
            (json!({"scope": ["prefect-worker prefect-viewer"]}), None),
            (json!({"groups": "prefect-worker prefect-viewer"}), None),
            (json!({"groups": ["offline_access", "PREFECT-ADMIN", "prefect-admins"]}), None),
        ] {
            assert_eq!(role_of(claims.as_object().unwrap(), &roles()), wanted, "{claims}");
        }
    }

    #[test]
    fn a_claim_of_another_type_grants_nothing() {
        for claims in [
            json!({}),
            json!({"realm_access": "prefect-admin"}),
            json!({"realm_access": ["roles", "prefect-admin"]}),
            json!({"realm_access": {"roles": {"prefect-admin": true}}}),
            json!({"realm_access": {"roles": [["prefect-admin"], 1, null]}}),
            json!({"groups": true}),
        ] {
            assert_eq!(role_of(claims.as_object().unwrap(), &roles()), None, "{claims}");
        }
    }
}
