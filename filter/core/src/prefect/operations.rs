//! Prefect's operations and who may call them. Prefect reads by `POST …/filter`, so the method
//! says little; what the table does not name needs admin.

use core::fmt;
use std::borrow::Cow;

use crate::identity::role::Role;
use crate::identity::role_set::RoleSet;
use crate::prefect::bodies::asked_by_query;
use crate::prefect::place::{Area, Place};
use crate::prefect::table::{BODIES, ByBody, OPERATIONS, SOCKETS};

/// Who may read secrets of blocks.
pub(super) const SECRETS: RoleSet = RoleSet::of(&[Role::Worker]);
/// Everybody with a role.
const EVERYBODY: RoleSet = RoleSet::of(&[Role::Viewer, Role::Operator, Role::Worker]);
const ADMIN: RoleSet = RoleSet::of(&[]);

/// One thing that a request wants of Prefect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operation<'a> {
    what: What<'a>,
    /// Its query asks for the secrets of blocks.
    secrets: bool,
    /// Its body has been read, and is one of those that fewer rights are enough for.
    harmless: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What<'a> {
    /// Method and path below the API's path, escapes decoded, without a trailing slash.
    Api(Cow<'a, str>, Cow<'a, str>),
    /// A socket below the API's path.
    Socket(&'a str),
    /// Anything outside the API: pages, scripts, API descriptions.
    Ui(&'a str),
}

impl<'a> Operation<'a> {
    /// What a request wants, as far as its head says.
    #[must_use]
    pub(crate) fn of(method: &'a str, place: &Place<'a>) -> Self {
        let method = if method == "HEAD" { "GET" } else { method };
        let what = match place.area() {
            Area::Api(path) => {
                What::Api(method.into(), path.strip_suffix('/').unwrap_or(path).into())
            }
            Area::Ui(_) | Area::Elsewhere => What::Ui(method),
        };
        Self { what, secrets: asked_by_query(place.query()), harmless: false }
    }

    /// The same apart from its request, if its body can make it one that fewer rights are enough for, and
    /// its path is spelled as Prefect's API description spells it: only such a path has a route of its own
    /// in Envoy, by which its body is held.
    #[must_use]
    pub(crate) fn depends_on_body(&self, place: &Place<'_>) -> Option<Operation<'static>> {
        let What::Api(method, path) = &self.what else { return None };
        self.by_body()?;
        place.as_described()?;
        let (method, path) = (method.clone().into_owned(), path.clone().into_owned());
        let what = What::Api(method.into(), path.into());
        Some(Operation { what, secrets: self.secrets, harmless: false })
    }

    /// With the best body that it could have.
    #[must_use]
    pub(crate) fn at_best(&self) -> Self {
        Self { harmless: true, ..self.clone() }
    }

    /// With its body, `None` for one that can't be read.
    #[must_use]
    pub(crate) fn with_body(&self, body: Option<&[u8]>) -> Self {
        let rule = self.by_body().map(|known| known.rule);
        let harmless = rule.zip(body).is_some_and(|(rule, body)| rule.allows(body));
        Self { harmless, ..self.clone() }
    }

    /// Opening a socket at a path below the API's.
    #[must_use]
    pub(crate) const fn socket(path: &'a str) -> Self {
        Self { what: What::Socket(path), secrets: false, harmless: false }
    }

    /// Whether it is this one of the API's; the method of a socket is `SOCKET`.
    #[must_use]
    pub(crate) fn is(&self, method: &str, template: &str) -> bool {
        match &self.what {
            What::Api(m, path) => m == method && fits(template, path),
            What::Socket(path) => method == "SOCKET" && fits(template, path),
            What::Ui(_) => false,
        }
    }

    fn by_body(&self) -> Option<&'static ByBody> {
        let What::Api(method, path) = &self.what else { return None };
        BODIES.iter().find(|known| known.method == *method && fits(known.template, path))
    }
}

impl fmt::Display for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Api(method, path) => write!(f, "{method} {path}")?,
            What::Socket(path) => write!(f, "socket {path}")?,
            What::Ui(method) => write!(f, "{method} of the UI")?,
        }
        if self.secrets {
            f.write_str(" with secrets")?;
        }
        match self.by_body().filter(|_| !self.harmless) {
            Some(known) => write!(f, " with a body {}", known.rule.unless()),
            None => Ok(()),
        }
    }
}

/// The roles that may do it.
#[must_use]
pub(crate) fn roles_for(operation: &Operation<'_>) -> RoleSet {
    let roles = match &operation.what {
        What::Ui("GET") => EVERYBODY,
        What::Ui(_) => ADMIN,
        What::Socket(path) => lookup(SOCKETS.iter().map(|(p, r)| (*p, *r)), path),
        What::Api(method, path) => match operation.by_body().filter(|_| operation.harmless) {
            Some(known) => known.roles,
            None => {
                let of_method = beside(path).iter().filter(|(m, _, _)| m == method);
                lookup(of_method.map(|(_, p, r)| (*p, *r)), path)
            }
        },
    };
    if operation.secrets { roles.and(SECRETS) } else { roles }
}

/// Whether Prefect has a socket at a path below the API's.
#[must_use]
pub(crate) fn is_socket(path: &str) -> bool {
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

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::config::example::config;
    use crate::prefect::bodies::BodyRule;
    use crate::prefect::masks::Mask;
    use crate::wire::http::target::Target;

    fn roles(method: &str, path: &str, query: &str) -> RoleSet {
        let target = format!("/api{path}?{query}");
        let target = Target::parse(target.as_bytes()).unwrap();
        roles_for(&Operation::of(method, &Place::of(&target, &config())))
    }

    #[test]
    fn what_is_not_named_needs_admin() {
        for (method, path) in [
            ("POST", "/admin/database/clear"),
            ("GET", "/unknown"),
            ("DELETE", "/flows/1"),
            ("BREW", "/flows/filter"),
            ("GET", ""),
            ("POST", "/flows/filter/x"),
            ("PUT", "/automations/1"),
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
        let with = roles("GET", path, "include_secrets=true");
        assert!(!with.include(Role::Viewer) && !with.include(Role::Operator));
        assert!(with.include(Role::Worker) && with.include(Role::Admin));
        assert!(roles("GET", path, "include_secrets=false").include(Role::Viewer));
    }

    #[test]
    fn a_body_that_nobody_reads_counts_as_the_worst() {
        let config = config();
        for (method, path, good, bad) in [
            ("POST", "/block_documents/filter", "{}", r#"{"include_secrets": true}"#),
            ("PATCH", "/deployments/1", r#"{"paused": true}"#, r#"{"paused": true, "path": "x"}"#),
        ] {
            let text = format!("/api{path}");
            let target = Target::parse(text.as_bytes()).unwrap();
            let place = Place::of(&target, &config);
            let operation = Operation::of(method, &place);
            assert!(!roles_for(&operation).include(Role::Operator), "{path}");
            let operation = operation.depends_on_body(&place).unwrap();
            assert!(roles_for(&operation.with_body(Some(good.as_bytes()))).include(Role::Operator));
            for body in [None, Some(bad.as_bytes())] {
                let roles = roles_for(&operation.with_body(body));
                assert!(!roles.include(Role::Viewer) && !roles.include(Role::Operator), "{path}");
                assert!(roles.include(Role::Worker));
            }
            for other in [format!("{text}/"), text.replace("e", "%65"), format!("{text}/x")] {
                let target = Target::parse(other.as_bytes()).unwrap();
                let place = Place::of(&target, &config);
                assert_eq!(Operation::of(method, &place).depends_on_body(&place), None, "{other}");
            }
        }
    }

    #[test]
    fn a_good_body_makes_up_for_no_query() {
        let config = config();
        let target = b"/api/block_documents/filter?include_secrets=true";
        let target = Target::parse(target).unwrap();
        let place = Place::of(&target, &config);
        let best = Operation::of("POST", &place).depends_on_body(&place).unwrap().at_best();
        assert!(!roles_for(&best).include(Role::Operator));
    }

    #[test]
    fn a_good_body_widens_what_is_in_the_table() {
        for known in BODIES {
            let same =
                |(m, t, _): &&(&str, &str, RoleSet)| *m == known.method && *t == known.template;
            let (.., roles) = OPERATIONS.iter().find(same).unwrap();
            assert_eq!(roles.and(known.roles), *roles, "{}", known.template);
            assert_ne!(*roles, known.roles, "{}", known.template);
        }
    }

    /// What Prefect's versions describe: method, template, and where it takes `include_secrets`.
    const DESCRIBED: [&str; 3] = [
        include_str!("../../tests/data/prefect-operations/3.4.13.txt"),
        include_str!("../../tests/data/prefect-operations/3.6.29.txt"),
        include_str!("../../tests/data/prefect-operations/3.8.8.txt"),
    ];
    /// What Prefect has and does not describe.
    const UNDESCRIBED: [&str; 5] =
        ["/docs", "/docs/oauth2-redirect", "/openapi.json", "/redoc", "/static/{file}"];

    fn described() -> impl Iterator<Item = (&'static str, &'static str, Option<&'static str>)> {
        DESCRIBED.iter().flat_map(|list| list.lines()).map(|line| {
            let (method, rest) = line.split_once(' ').unwrap();
            let rest = rest.split_once(" answers with ").map_or(rest, |(rest, _)| rest);
            match rest.split_once(" include_secrets in ") {
                Some((template, place)) => (method, template, Some(place)),
                None => (method, rest, None),
            }
        })
    }

    /// Whose answers are masked for whoever reads them is found by what Prefect says that they hold.
    #[test]
    fn every_answer_that_holds_data_of_blocks_is_masked() {
        let mut count = 0;
        for line in DESCRIBED.iter().flat_map(|list| list.lines()) {
            let Some((head, held)) = line.split_once(" answers with ") else { continue };
            let mut words = head.split(' ');
            let (method, template) = (words.next().unwrap(), words.next().unwrap());
            let wanted = match held {
                "BlockDocument" => Mask::BlockData,
                "EventPage" => Mask::BlockEvents,
                "Settings" => Mask::Settings,
                other => panic!("{other}"),
            };
            let what = What::Api(method.into(), template.into());
            let operation = Operation { what, secrets: false, harmless: true };
            for role in [Role::Viewer, Role::Operator] {
                let reads = roles_for(&operation).include(role);
                let mask = Mask::of(&operation, Some(role));
                assert!(!reads || mask == Some(wanted), "{line}: {mask:?}");
                count += usize::from(reads);
            }
        }
        assert!(count >= 2 * 7 * DESCRIBED.len(), "{count}");
    }

    #[test]
    fn every_operation_that_prefect_describes_is_classified() {
        for (method, template, secrets) in described() {
            let classified = OPERATIONS.iter().any(|(m, t, _)| *m == method && *t == template);
            assert!(classified, "{method} {template}");
            let by_body = BODIES.iter().any(|known| {
                (known.method, known.template, known.rule)
                    == (method, template, BodyRule::AsksForNoSecrets)
            });
            assert_eq!(by_body, secrets == Some("body"), "{method} {template}");
            assert!(matches!(secrets, None | Some("query" | "body")), "{method} {template}");
        }
    }

    #[test]
    fn nothing_else_is_in_the_table() {
        for (method, template, _) in OPERATIONS {
            let known = described().any(|(m, t, _)| m == *method && t == *template);
            assert!(known || UNDESCRIBED.contains(template), "{method} {template}");
        }
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
