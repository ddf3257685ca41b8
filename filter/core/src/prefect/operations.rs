//! Prefect's operations and who may call them. Prefect reads by `POST …/filter`, so the method
//! says little; what the table does not name needs admin.

use core::fmt;

use crate::config::Config;
use crate::http::request::RequestView;
use crate::http::target::Target;
use crate::policy::role::Role;
use crate::policy::role_set::RoleSet;
use crate::prefect::table::{OPERATIONS, SOCKETS};

/// Who may read secrets of blocks.
const SECRETS: RoleSet = RoleSet::of(&[Role::Worker]);
/// Everybody with a role.
const EVERYBODY: RoleSet = RoleSet::of(&[Role::Viewer, Role::Operator, Role::Worker]);
const ADMIN: RoleSet = RoleSet::of(&[]);

/// One thing that a request wants of Prefect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation<'a> {
    what: What<'a>,
    secrets: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What<'a> {
    /// Method and path below the API's path, escapes decoded, without a trailing slash.
    Api(&'a str, &'a str),
    /// A socket below the API's path.
    Socket(&'a str),
    /// Anything outside the API: pages, scripts, API descriptions.
    Ui(&'a str),
}

impl<'a> Operation<'a> {
    /// What a request wants.
    #[must_use]
    pub fn of(request: RequestView<'a>, target: &'a Target, config: &Config) -> Self {
        let method = match request.method() {
            "HEAD" => "GET",
            method => method,
        };
        let secrets = asks_for_secrets(target.query().unwrap_or_default());
        let api = target.decoded().strip_prefix(&config.prefect.api_path);
        let what = match api.filter(|rest| rest.starts_with('/') || rest.is_empty()) {
            Some(path) => What::Api(method, path.strip_suffix('/').unwrap_or(path)),
            None => What::Ui(method),
        };
        Self { what, secrets }
    }

    /// Opening a socket at a path below the API's.
    #[must_use]
    pub const fn socket(path: &'a str) -> Self {
        Self { what: What::Socket(path), secrets: false }
    }
}

impl fmt::Display for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            What::Api(method, path) => write!(f, "{method} {path}")?,
            What::Socket(path) => write!(f, "socket {path}")?,
            What::Ui(method) => write!(f, "{method} of the UI")?,
        }
        if self.secrets { f.write_str(" with secrets") } else { Ok(()) }
    }
}

/// The roles that may do it.
#[must_use]
pub fn roles_for(operation: &Operation<'_>) -> RoleSet {
    let roles = match operation.what {
        What::Ui("GET") => EVERYBODY,
        What::Ui(_) => ADMIN,
        What::Socket(path) => lookup(SOCKETS.iter().map(|(p, r)| (*p, *r)), path),
        What::Api(method, path) => {
            let of_method = beside(path).iter().filter(|(m, _, _)| *m == method);
            lookup(of_method.map(|(_, p, r)| (*p, *r)), path)
        }
    };
    if operation.secrets { roles.and(SECRETS) } else { roles }
}

/// Whether Prefect has a socket at a path below the API's.
#[must_use]
pub fn is_socket(path: &str) -> bool {
    SOCKETS.iter().any(|(template, _)| fits(template, path))
}

/// The operations whose first segment is that of a path: the table is sorted by it, and no template
/// begins with a parameter.
fn beside(path: &str) -> &'static [(&'static str, &'static str, RoleSet)] {
    let first = first_segment(path);
    let from = OPERATIONS.partition_point(|(_, template, _)| first_segment(template) < first);
    let rest = OPERATIONS.get(from..).unwrap_or_default();
    let count = rest.partition_point(|(_, template, _)| first_segment(template) == first);
    rest.get(..count).unwrap_or_default()
}

fn first_segment(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or_default()
}

/// The first template that fits; the table has literal segments before parameters.
fn lookup(mut templates: impl Iterator<Item = (&'static str, RoleSet)>, path: &str) -> RoleSet {
    templates.find(|(template, _)| fits(template, path)).map_or(ADMIN, |(_, roles)| roles)
}

fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(want), Some(have)) if want.starts_with('{') && !have.is_empty() => {}
            (Some(want), Some(have)) if want == have => {}
            _ => return false,
        }
    }
}

/// `include_secrets` counts as set unless it is there once and plainly false.
fn asks_for_secrets(query: &str) -> bool {
    if query.is_empty() {
        return false;
    }
    let mut values = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name.eq_ignore_ascii_case("include_secrets"));
    match (values.next(), values.next()) {
        (None, _) => false,
        (Some((_, value)), None) => !matches!(value.as_ref(), "false" | "False" | "0"),
        (Some(_), Some(_)) => true,
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn roles(method: &str, path: &str, query: &str) -> RoleSet {
        roles_for(&Operation { what: What::Api(method, path), secrets: asks_for_secrets(query) })
    }

    #[test]
    fn what_is_not_named_needs_admin() {
        for (method, path) in [
            ("POST", "/admin/database/clear"),
            ("GET", "/unknown"),
            ("DELETE", "/flows/1"),
            ("BREW", "/flows/filter"),
            ("GET", "/flows//"),
            ("GET", ""),
            ("POST", "/flows/filter/x"),
            ("PATCH", "/block_documents/1"),
        ] {
            assert_eq!(roles(method, path, ""), ADMIN, "{method} {path}");
        }
    }

    #[test]
    fn reading_by_post_is_reading() {
        for path in
            ["/flows/filter", "/flow_runs/count", "/flow_runs/history", "/deployments/paginate"]
        {
            assert!(roles("POST", path, "").include(Role::Viewer), "{path}");
        }
        assert!(!roles("POST", "/flow_runs", "").include(Role::Viewer));
        assert!(!roles("POST", "/deployments/1/create_flow_run", "").include(Role::Viewer));
        assert!(roles("POST", "/deployments/1/create_flow_run", "").include(Role::Operator));
    }

    #[test]
    fn secrets_of_blocks_are_for_workers_and_admins() {
        let path = "/block_documents/1";
        for query in [
            "include_secrets=true",
            "include_secrets=1",
            "include_secrets",
            "include_secrets=",
            "include%5Fsecrets=t",
            "INCLUDE_SECRETS=true",
            "include_secrets=false&include_secrets=true",
            "a=b&include_secrets=yes",
            "include_secrets=false&include_secrets=false",
        ] {
            let roles = roles("GET", path, query);
            assert!(!roles.include(Role::Viewer) && !roles.include(Role::Operator), "{query}");
            assert!(roles.include(Role::Worker) && roles.include(Role::Admin), "{query}");
        }
        for query in ["", "include_secrets=false", "include_secrets=0", "x=include_secrets"] {
            assert!(roles("GET", path, query).include(Role::Viewer), "{query}");
        }
        let by_body = roles("POST", "/block_documents/filter", "");
        assert!(
            !by_body.include(Role::Viewer) && !by_body.include(Role::Operator),
            "the body may ask for secrets"
        );
    }

    #[test]
    fn the_first_fitting_template_is_the_most_literal_one() {
        for (at, (method, template, _)) in OPERATIONS.iter().enumerate() {
            let first = OPERATIONS.iter().position(|(m, t, _)| m == method && fits(t, template));
            assert_eq!(first, Some(at), "{method} {template} is shadowed");
        }
    }

    #[test]
    fn the_table_is_sorted_by_first_segments() {
        assert!(OPERATIONS.is_sorted_by_key(|(_, template, _)| first_segment(template)));
        for (method, template, roles) in OPERATIONS {
            assert!(!first_segment(template).starts_with('{'), "{template}");
            let path = template.replace(['{', '}'], "");
            let expected = OPERATIONS.iter().find(|(m, t, _)| m == method && fits(t, &path));
            assert_eq!(Some(*roles), expected.map(|(_, _, roles)| *roles), "{method} {template}");
            assert_eq!(self::roles(method, &path, ""), *roles, "{method} {path}");
        }
    }

    #[test]
    fn names_read_as_a_sentence() {
        assert_eq!(EVERYBODY.names(), "viewer, operator, worker or admin");
        assert_eq!(ADMIN.names(), "admin");
    }
}
