//! Compiles JSON and environment variables to a [`Config`].

use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;

use serde_json::Value;

use super::claim_path;
use super::error::{ConfigErrors, Problem};
use super::idp::idp;
use super::issuers;
use super::machines;
use super::reader::{Section, quote};
use super::secrets::secrets;
use super::url::HttpUrl;
use super::values::{role, url};
use super::{ClientAuth, Config, Prefect, SessionSettings};
use crate::identity::claims_to_role::Roles;
use crate::identity::role::Role;
use crate::identity::users::{self, Allowed, Users};

const MINUTE: Duration = Duration::from_secs(60);

/// Compiles the configuration text. See [`Config::compile`].
pub(crate) fn compile(
    text: &[u8],
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, ConfigErrors> {
    let value = read_text(text).map_err(|problem| ConfigErrors(vec![problem]))?;
    let problems = Rc::new(RefCell::new(Vec::new()));
    let config = compile_root(&Section::root(&value, &problems), environment, &problems);
    let problems = problems.take();
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(ConfigErrors(problems)),
    }
}

fn read_text(text: &[u8]) -> Result<Value, Problem> {
    let problem = |found: String, wanted: &str| Problem {
        path: "$".to_owned(),
        found,
        wanted: wanted.to_owned(),
    };
    if text.is_empty() {
        return Err(problem("nothing".to_owned(), "the configuration as a JSON object"));
    }
    // A google.protobuf.Struct arrives as raw protobuf, whose first byte is the tag of its only
    // field: a line feed.
    if text.first() == Some(&b'\n') && text.iter().any(|b| *b < b' ' && !b.is_ascii_whitespace()) {
        let wanted =
            "JSON in a google.protobuf.StringValue (this looks like a google.protobuf.Struct)";
        return Err(problem("raw protobuf".to_owned(), wanted));
    }
    crate::foundation::json::parse(text)
        .map_err(|error| problem(error, "one JSON object, each member once"))
}

/// Compiles the root object. `None` means that at least one problem has been reported.
fn compile_root(
    root: &Section<'_>,
    environment: &dyn Fn(&str) -> Option<String>,
    problems: &Rc<RefCell<Vec<Problem>>>,
) -> Option<Config> {
    let public = public_url(root);
    let issuer = root.required("issuer").map(str::to_owned);
    let issuer_url = issuer.as_deref().and_then(|text| url(root, "issuer", text));
    let client_id = root.required("client_id").map(str::to_owned);
    let named = client_id.clone().unwrap_or_default();
    let login_issuer = issuer.as_deref().unwrap_or_default();
    let idp_section = root.section("idp");
    let profile = issuers::login_profile(&idp_section, login_issuer);
    let idp = idp(&idp_section, issuer_url.as_ref());
    let machines_section = root.section("machines");
    let issuers = issuers::issuers(root, &machines_section, login_issuer, profile, &named);
    let machines = machines::machines(&machines_section, public.as_ref().is_none_or(|p| p.https));
    machines_section.finish();
    let websockets = root.section("websockets");
    let first_frame = websockets.flag("first_frame", true);
    websockets.finish();
    let prefix = public.as_ref().map(|p| p.path.clone()).unwrap_or_default();
    let prefect = prefect(root, &prefix);
    let ui = root.section("ui");
    let single_login = ui.flag("single_login", true);
    let companion = ui.flag("companion", true);
    ui.finish();
    let endpoints = root.section("endpoints");
    let endpoints_path = path(&endpoints, "prefix", "/oauth2");
    let endpoint_hosts = endpoints.hosts("hosts", public.as_ref().is_none_or(|p| p.https));
    let of_machines = |host: &&String| machines.hosts.contains(host);
    if let Some(host) = endpoint_hosts.iter().find(of_machines) {
        endpoints.problem("hosts", &quote(host), "names that are not in machines.hosts");
    }
    endpoints.finish();
    let api = &prefect.api_path;
    let defaults = [format!("{api}/health"), format!("{api}/ready")];
    let public_paths = public_paths(root, &defaults);
    let client_auth = idp.as_ref().map_or(ClientAuth::Basic, |idp| idp.client_auth);
    let secrets = secrets(environment, client_auth, problems);
    if client_auth == ClientAuth::None && machines.introspection.is_some() {
        let wanted = "another method (the provider introspects for authenticated clients only)";
        root.problem("idp.client_auth", "\"none\" with machines.introspection", wanted);
    }
    let (roles, users, session) = (roles(root, &named), users(root), session(root));
    root.finish();
    Some(Config {
        public: public?,
        issuer: issuer?,
        issuer_url: issuer_url?,
        client_id: client_id?,
        idp: idp?,
        issuers,
        roles,
        users,
        session,
        machines,
        first_frame,
        public_paths,
        prefect,
        single_login,
        companion,
        endpoints: format!("{prefix}{endpoints_path}"),
        endpoint_hosts,
        secrets: secrets?,
    })
}

fn public_url(root: &Section<'_>) -> Option<HttpUrl> {
    let text = root.required("public_url")?;
    let public = url(root, "public_url", text)?;
    if !public.https && !public.is_loopback() {
        root.problem("public_url", &quote(text), "https (http only for loopback names)");
        return None;
    }
    Some(public)
}

fn roles(root: &Section<'_>, client_id: &str) -> Roles {
    let section = root.section("roles");
    let mut names = Vec::new();
    for role in Role::ALL {
        let default = format!("prefect-{}", role.name());
        names.push((role, section.texts(role.name(), &[&default])));
    }
    let sources = match section.texts("sources", &[]) {
        paths if paths.is_empty() => vec![
            vec!["realm_access".to_owned(), "roles".to_owned()],
            // The client id may contain dots, so it is a segment of its own.
            vec!["resource_access".to_owned(), client_id.to_owned(), "roles".to_owned()],
            vec!["groups".to_owned()],
        ],
        paths => paths.iter().map(|path| claim_path::parse(path)).collect(),
    };
    let default = section.text("default").and_then(|text| role(&section, "default", text));
    let report_only = section.flag("report_only", false);
    section.finish();
    Roles { names, sources, default, report_only }
}

fn users(root: &Section<'_>) -> Users {
    let section = root.section("users");
    let allow = section.optional("allow").map(|allow| {
        let (subjects, emails) = (allow.texts("subjects", &[]), allow.texts("emails", &[]));
        let domains = allow.texts("domains", &[]);
        for email in emails.iter().filter(|email| users::domain(email).is_none()) {
            allow.problem("emails", &quote(email), "addresses such as \"alice@example.com\"");
        }
        let is_domain = |text: &str| users::domain(&format!("a@{text}")) == Some(text);
        for domain in domains.iter().filter(|domain| !is_domain(domain) || domain.contains('*')) {
            allow.problem("domains", &quote(domain), "domains such as \"example.com\"");
        }
        allow.finish();
        Allowed { subjects, emails, domains }
    });
    let unverified_email = section.flag("unverified_email", false);
    section.finish();
    Users { allow, unverified_email }
}

fn session(root: &Section<'_>) -> SessionSettings {
    let section = root.section("session");
    let session = SessionSettings {
        idle: section.duration("idle", MINUTE * 30),
        absolute: section.duration("absolute", MINUTE * 600),
        recheck: section.duration("recheck", MINUTE * 5),
        grace: section.duration("grace", MINUTE * 60),
        not_before: section.instant("not_before"),
    };
    if session.idle > session.absolute {
        section.problem("idle", "more than session.absolute", "at most session.absolute");
    }
    section.finish();
    session
}

fn path(section: &Section<'_>, name: &'static str, default: &str) -> String {
    let text = section.text(name).unwrap_or(default);
    let plain = text.len() > 1
        && !text.ends_with('/')
        && !text.contains(['?', '%', ';'])
        && crate::wire::http::target::Target::parse(text.as_bytes()).is_ok();
    if !plain {
        section.problem(name, &quote(text), &format!("a plain path such as \"{default}\""));
    }
    text.to_owned()
}

fn prefect(root: &Section<'_>, prefix: &str) -> Prefect {
    let section = root.section("prefect");
    let api_path = path(&section, "api_path", &format!("{prefix}/api"));
    let ui_path = match section.text("ui_path") {
        None => format!("{prefix}/"),
        Some("/") => "/".to_owned(),
        Some(_) => format!("{}/", path(&section, "ui_path", "/prefect")),
    };
    let prefect = Prefect {
        api_path,
        ui_path,
        forward_identity: section.flag("forward_identity", true),
        buffered_routes: section.flag("buffered_routes", false),
    };
    section.finish();
    prefect
}

fn public_paths(root: &Section<'_>, defaults: &[String; 2]) -> Vec<String> {
    let defaults: Vec<&str> = defaults.iter().map(String::as_str).collect();
    let paths = root.texts("public_paths", &defaults);
    for text in &paths {
        if text.contains(['?', '%'])
            || crate::wire::http::target::Target::parse(text.as_bytes()).is_err()
        {
            root.problem("public_paths", &quote(text), "exact paths, without query or pattern");
        }
    }
    paths
}
