//! Prefect's operations and the roles that may call them.
//!
//! Prefect reads with `POST …/filter`, so the method alone does not tell reading from writing. An
//! operation that is missing in the table requires the role admin.

use core::fmt;
use std::borrow::Cow;

use crate::identity::role::Role;
use crate::identity::role_set::RoleSet;
use crate::prefect::bodies::asked_by_query;
use crate::prefect::place::{Area, Place};
use crate::prefect::table::{ADMIN, BODIES, ByBody, OPERATIONS, READ, SOCKETS};

/// The roles, beside admin, that may read secrets of blocks.
pub(super) const SECRETS: RoleSet = RoleSet::of(&[Role::Worker]);

/// An operation of Prefect that a request calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operation<'a> {
    action: Action<'a>,
    /// Whether the query may ask for the secrets of blocks.
    secrets: bool,
    /// Whether the body has been read and satisfies the operation's [`ByBody`] rule.
    harmless: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action<'a> {
    /// An API operation: its method, and its path below the API's path.
    ///
    /// Escapes in the path are decoded, and a trailing slash is removed.
    Api(Cow<'a, str>, Cow<'a, str>),
    /// A socket, by its path below the API's path.
    Socket(&'a str),
    /// Anything outside the API, such as pages and scripts, by its method.
    Ui(&'a str),
}

impl<'a> Operation<'a> {
    /// Returns the operation that a request calls, according to its method and target.
    #[must_use]
    pub(crate) fn of(method: &'a str, place: &Place<'a>) -> Self {
        let method = if method == "HEAD" { "GET" } else { method };
        let action = match place.area() {
            Area::Api(path) => {
                Action::Api(method.into(), path.strip_suffix('/').unwrap_or(path).into())
            }
            Area::Ui(_) | Area::Elsewhere => Action::Ui(method),
        };
        Self { action, secrets: asked_by_query(place.query()), harmless: false }
    }

    /// Returns an owned copy of the operation if its body may allow more roles to call it.
    ///
    /// The path must be spelled as in Prefect's API description. Only such a path has a route of
    /// its own in Envoy, which buffers the body.
    #[must_use]
    pub(crate) fn depends_on_body(&self, place: &Place<'_>) -> Option<Operation<'static>> {
        let Action::Api(method, path) = &self.action else { return None };
        self.by_body()?;
        place.as_described()?;
        let (method, path) = (method.clone().into_owned(), path.clone().into_owned());
        let action = Action::Api(method.into(), path.into());
        Some(Operation { action, secrets: self.secrets, harmless: false })
    }

    /// Returns the operation with a body that satisfies its rule.
    #[must_use]
    pub(crate) fn at_best(&self) -> Self {
        Self { harmless: true, ..self.clone() }
    }

    /// Returns the operation with its body. `body` is `None` if the body can't be read.
    #[must_use]
    pub(crate) fn with_body(&self, body: Option<&[u8]>) -> Self {
        let rule = self.by_body().map(|known| known.rule);
        let harmless = rule.zip(body).is_some_and(|(rule, body)| rule.allows(body));
        Self { harmless, ..self.clone() }
    }

    /// Returns the operation of opening a socket at a path below the API's path.
    #[must_use]
    pub(crate) const fn socket(path: &'a str) -> Self {
        Self { action: Action::Socket(path), secrets: false, harmless: false }
    }

    /// Returns whether the operation has this method and path template.
    ///
    /// The method of a socket is `SOCKET`.
    #[must_use]
    pub(crate) fn is(&self, method: &str, template: &str) -> bool {
        match &self.action {
            Action::Api(m, path) => m == method && fits(template, path),
            Action::Socket(path) => method == "SOCKET" && fits(template, path),
            Action::Ui(_) => false,
        }
    }

    /// Returns the rule for the operation's body, if there is one.
    fn by_body(&self) -> Option<&'static ByBody> {
        let Action::Api(method, path) = &self.action else { return None };
        BODIES.iter().find(|known| known.method == *method && fits(known.template, path))
    }
}

impl fmt::Display for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.action {
            Action::Api(method, path) => write!(f, "{method} {path}")?,
            Action::Socket(path) => write!(f, "socket {path}")?,
            Action::Ui(method) => write!(f, "{method} of the UI")?,
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

/// Returns the roles that may call an operation.
#[must_use]
pub(crate) fn roles_for(operation: &Operation<'_>) -> RoleSet {
    let roles = match &operation.action {
        Action::Ui("GET") => READ,
        Action::Ui(_) => ADMIN,
        Action::Socket(path) => lookup(SOCKETS.iter().map(|(p, r)| (*p, *r)), path),
        Action::Api(method, path) => match operation.by_body().filter(|_| operation.harmless) {
            Some(known) => known.roles,
            None => {
                let of_method = beside(path).iter().filter(|(m, _, _)| m == method);
                lookup(of_method.map(|(_, p, r)| (*p, *r)), path)
            }
        },
    };
    if operation.secrets { roles.and(SECRETS) } else { roles }
}

/// Returns whether Prefect has a socket at a path below the API's path.
#[must_use]
pub(crate) fn is_socket(path: &str) -> bool {
    SOCKETS.iter().any(|(template, _)| fits(template, path))
}

/// Returns the operations whose templates have the same first segment as a path.
///
/// The table is sorted by the first segment, and no template begins with a parameter.
fn beside(path: &str) -> &'static [(&'static str, &'static str, RoleSet)] {
    let first = first_segment(path);
    let from = OPERATIONS.partition_point(|(_, template, _)| first_segment(template) < first);
    let rest = OPERATIONS.get(from..).unwrap_or_default();
    let count = rest.partition_point(|(_, template, _)| first_segment(template) == first);
    rest.get(..count).unwrap_or_default()
}

fn first_segment(path: &str) -> &[u8] {
    segments(path).nth(1).unwrap_or_default()
}

/// Returns the parts of a path or template between slashes. Each request is compared with dozens of
/// templates, and bytes take a third of the time that characters do.
fn segments(path: &str) -> impl Iterator<Item = &[u8]> {
    path.as_bytes().split(|byte| *byte == b'/')
}

/// Returns the roles of the first template that fits a path, else [`ADMIN`].
///
/// The table has templates with literal segments before those with parameters.
fn lookup(mut templates: impl Iterator<Item = (&'static str, RoleSet)>, path: &str) -> RoleSet {
    templates.find(|(template, _)| fits(template, path)).map_or(ADMIN, |(_, roles)| roles)
}

/// Returns whether a path fits a template, in which `{…}` fits any segment that is not empty.
fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (segments(template), segments(path));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(want), Some(have)) if want.starts_with(b"{") && !have.is_empty() => {}
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
            ("DELETE", "/automations/1"),
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

    /// The operations in the API descriptions of Prefect's versions.
    ///
    /// Each line has the method, the template, where the operation takes `include_secrets`, and
    /// which sensitive content its response has.
    const DESCRIBED: [&str; 3] = [
        include_str!("../../tests/data/prefect-operations/3.4.13.txt"),
        include_str!("../../tests/data/prefect-operations/3.6.29.txt"),
        include_str!("../../tests/data/prefect-operations/3.8.8.txt"),
    ];
    #[cfg(not(target_family = "wasm"))]
    #[test]
    fn every_described_version_is_compared() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/prefect-operations");
        let files = std::fs::read_dir(folder).unwrap();
        assert_eq!(files.count(), DESCRIBED.len(), "each file in {folder} belongs in DESCRIBED");
    }

    /// Without the buffer filter on its route, the head of a request continues before its body
    /// decides.
    #[test]
    fn the_samples_hold_each_request_whose_body_decides() {
        let path = |rule: &ByBody| {
            let segments = rule.template.trim_start_matches('/').split('/');
            let segments = segments.map(|one| if one.starts_with('{') { "[^/]+" } else { one });
            segments.collect::<Vec<_>>().join("/")
        };
        let paths: Vec<String> = BODIES.iter().map(path).collect();
        let route = format!("safe_regex: {{ regex: \"/api/({})\" }}", paths.join("|"));
        for sample in crate::testing::SAMPLES {
            assert!(sample.contains(&route), "a sample has no route {route}");
        }
    }

    /// Envoy sends a request again that got no response. An operation that does something must not
    /// be done twice.
    #[test]
    fn the_samples_repeat_only_what_reads() {
        let last = ["count", "filter", "history", "paginate"];
        let paths = format!("safe_regex: {{ regex: \"/api/[^?]+/({})\" }}", last.join("|"));
        let method =
            |name| format!("- {{ name: \":method\", string_match: {{ exact: {name} }} }}\n");
        for sample in crate::testing::SAMPLES {
            let routes: Vec<&str> = sample.split("\n              - match:").collect();
            let repeat = |route: &&&str| route.contains("retry_policy:");
            let repeated: Vec<&&str> = routes.iter().filter(repeat).collect();
            assert_eq!(repeated.len(), 2, "{repeated:?}");
            let (posts, all) = (repeated[0], repeated[1]);
            assert!(posts.contains(&paths) && posts.contains(&method("POST")), "{posts}");
            let (_, only) = all.split_once("retriable_request_headers:\n").unwrap();
            assert!(only.trim_start().starts_with(&method("GET")), "{all}");
            assert_eq!(only.matches("- { name:").count(), 1, "{all}");
        }
        // Whatever is in the place of a parameter.
        let ends = |template: &str| {
            let end = template.rsplit('/').next().unwrap_or_default();
            end.starts_with('{') || last.contains(&end)
        };
        let repeated =
            OPERATIONS.iter().filter(|(method, template, _)| *method == "POST" && ends(template));
        for (_, template, roles) in repeated {
            let reads = *template == "/block_documents/filter" || roles.include(Role::Viewer);
            assert!(reads, "{template}");
        }
    }

    /// Paths that Prefect serves without describing them.
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

    /// Compares the masks with the response schemas in Prefect's API descriptions.
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
            let action = Action::Api(method.into(), template.into());
            let operation = Operation { action, secrets: false, harmless: true };
            for role in Role::for_people() {
                let reads = roles_for(&operation).include(role);
                let mask = Mask::of(&operation, Some(role));
                let wanted = Some(wanted).filter(|mask| !mask.roles().include(role));
                assert!(!reads || mask == wanted, "{line}: {mask:?}");
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
            assert!(!first_segment(template).starts_with(b"{"), "{template}");
            let path = template.replace(['{', '}'], "");
            let expected = OPERATIONS.iter().find(|(m, t, _)| m == method && fits(t, &path));
            assert_eq!(Some(*roles), expected.map(|(_, _, roles)| *roles), "{method} {template}");
            assert_eq!(self::roles(method, &path, ""), *roles, "{method} {path}");
        }
    }

    /// A personal token gets the lesser of two roles, and another proxy may ask for a role.
    #[test]
    fn a_role_includes_another_if_it_may_do_everything_that_the_other_may() {
        let masks = [Mask::BlockData, Mask::BlockEvents, Mask::Settings].map(Mask::roles);
        let sets = OPERATIONS.iter().map(|(.., roles)| *roles);
        let sets = sets.chain(SOCKETS.iter().map(|(_, roles)| *roles));
        let sets: Vec<RoleSet> =
            sets.chain(BODIES.iter().map(|known| known.roles)).chain(masks).collect();
        for one in Role::ALL {
            for other in Role::ALL {
                let may = sets.iter().all(|set| !set.include(other) || set.include(one));
                assert_eq!(one.includes(other), may, "{} {}", one.name(), other.name());
            }
        }
    }

    #[test]
    fn names_read_as_a_sentence() {
        assert_eq!(READ.names(), "viewer, operator, worker or admin");
        assert_eq!(ADMIN.names(), "admin");
    }
}
