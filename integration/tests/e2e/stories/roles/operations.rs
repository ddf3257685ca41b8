//! Every operation of Prefect's API descriptions, and every socket, by nobody and by each role.

use std::env;
use std::fs;
use std::path::PathBuf;

use lictor_core::Config;
use lictor_core::testing::outside::{may, may_open};
use lictor_integration::tools::PREFECT_VERSIONS;
use serde_json::{Value, json};

use super::{ABOUT, Role, Scene, key};
use crate::client::{Request, Tls, plain};
use crate::http1::{Answer, exchange};
use crate::keycloak_admin::basic;
use crate::prefect_client::server;
use crate::sockets::upgrade;
use crate::stories::{Story, story};
use crate::world::{checkout, say, world};

const SOCKETS: [&str; 5] = [
    "/events/in",
    "/events/out",
    "/logs/out",
    "/task_runs/subscriptions/scheduled",
    "/work_pools/some/workers/connect",
];

pub fn stories() -> Vec<Story> {
    let each = PREFECT_VERSIONS.into_iter().flat_map(|version| {
        [
            story(
                ABOUT,
                &format!("the list of Prefect {version}'s operations is its own"),
                move || {
                    listed(version);
                },
            ),
            story(
                ABOUT,
                &format!("each operation of Prefect {version} follows the table"),
                move || {
                    follow(version);
                },
            )
            .heavy(),
        ]
    });
    each.chain([story(ABOUT, "each socket follows the table", sockets)]).collect()
}

/// The list that the core's tests read.
fn list(version: &str) -> PathBuf {
    checkout().join(format!("filter/core/tests/data/prefect-operations/{version}.txt"))
}

/// What Prefect shows of secrets unasked, by the names of its schemas.
const SHOWN: [&str; 3] = ["BlockDocument", "EventPage", "Settings"];

/// Prefect's description of its API, as lines of method, path, where it takes `include_secrets`,
/// and what answers hold that may show some.
fn described(version: &'static str) -> String {
    let request = Request::get("/api/openapi.json")
        .header("authorization", basic(&world().secrets.prefect_auth_string));
    let document = plain(server(version).port, &request).unwrap().expect(200).json();
    let mut lines: Vec<String> = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let path = path.strip_prefix("/api").unwrap_or(path);
        let path = path.strip_suffix('/').unwrap_or(path);
        for (method, operation) in operations.as_object().unwrap() {
            let secrets = by_query(operation).or_else(|| by_body(operation, &document));
            let secrets = secrets.map(|place| format!(" include_secrets in {place}"));
            let shown = shown(operation, &document);
            let shown = shown.map(|schema| format!(" answers with {schema}"));
            let (secrets, shown) = (secrets.unwrap_or_default(), shown.unwrap_or_default());
            lines.push(format!("{} {path}{secrets}{shown}", method.to_uppercase()));
        }
    }
    // The path first: the same order as the table's.
    lines.sort_by(|a, b| a.split(' ').nth(1).cmp(&b.split(' ').nth(1)).then(a.cmp(b)));
    lines.join("\n") + "\n"
}

fn by_query(operation: &Value) -> Option<&'static str> {
    let parameters = operation["parameters"].as_array()?;
    parameters.iter().any(|parameter| parameter["name"] == "include_secrets").then_some("query")
}

/// Whether a body's schema has such a member, at any depth.
fn by_body(operation: &Value, document: &Value) -> Option<&'static str> {
    let body = operation.get("requestBody")?;
    let names = |name: &str, _: &Value| name == "include_secrets";
    names_somewhere(&names, body, document, &mut Vec::new()).then_some("body")
}

/// Which of them its answer may hold, at any depth.
fn shown(operation: &Value, document: &Value) -> Option<&'static str> {
    let answer = operation.pointer("/responses/200")?;
    SHOWN.into_iter().find(|schema| {
        let place = format!("#/components/schemas/{schema}");
        let names = |name: &str, value: &Value| name == "$ref" && *value == place;
        names_somewhere(&names, answer, document, &mut Vec::new())
    })
}

/// Whether a member of a schema, or of one that it refers to, is such a one.
fn names_somewhere(
    such: &impl Fn(&str, &Value) -> bool,
    schema: &Value,
    document: &Value,
    seen: &mut Vec<String>,
) -> bool {
    match schema {
        Value::Object(members) => members.iter().any(|(name, value)| {
            if such(name, value) {
                return true;
            }
            match value.as_str().and_then(|text| text.strip_prefix("#/")) {
                Some(place) if name == "$ref" && !seen.contains(&place.to_owned()) => {
                    seen.push(place.to_owned());
                    let referred = document.pointer(&format!("/{place}")).unwrap();
                    names_somewhere(such, referred, document, seen)
                }
                _ => names_somewhere(such, value, document, seen),
            }
        }),
        Value::Array(items) => items.iter().any(|item| names_somewhere(such, item, document, seen)),
        _ => false,
    }
}

fn listed(version: &'static str) {
    let (path, described) = (list(version), described(version));
    if env::var_os("LICTOR_WRITE_OPERATIONS").is_some() {
        fs::write(&path, described).unwrap();
        return say(&format!("wrote {}", path.display()));
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        known == described,
        "Prefect {version} describes its API otherwise than {}: LICTOR_WRITE_OPERATIONS=1 writes it",
        path.display()
    );
}

fn config() -> Config {
    let settings = json!({
        "public_url": "https://a.example", "issuer": "https://b.example", "client_id": "c",
    });
    let environment = |name: &str| match name {
        "LICTOR_COOKIE_KEYS" => Some(world().secrets.cookie_key.clone()),
        "LICTOR_CLIENT_SECRET" | "LICTOR_PREFECT_AUTH_STRING" => Some("a:b".to_owned()),
        _ => None,
    };
    Config::compile(settings.to_string().as_bytes(), &environment).unwrap()
}

/// A connection that is used for many requests; Envoy closes it with some refusals.
struct Line<'a> {
    scene: &'a Scene,
    stream: Tls,
}

impl Line<'_> {
    fn ask(&mut self, request: &Request) -> Answer {
        let host = self.scene.gateway.gate.machine_host();
        let bytes = request.bytes(&host);
        exchange(&mut self.stream, &bytes, false).unwrap_or_else(|_| {
            self.stream = self.scene.gateway.gate.connect("localhost").unwrap();
            exchange(&mut self.stream, &bytes, false).unwrap()
        })
    }
}

fn follow(version: &'static str) {
    let scene = Scene::start(format!("operations-{version}").leak(), &json!({}));
    let stream = scene.gateway.gate.connect("localhost").unwrap();
    let mut line = Line { scene: &scene, stream };
    let config = config();
    let described = described(version);
    assert!(described.lines().count() > 150, "{described}");
    for operation in described.lines() {
        let mut words = operation.split(' ');
        let (method, template) = (words.next().unwrap(), words.next().unwrap());
        let path = format!("/api{}", template.replace(['{', '}'], ""));
        let request = || match method {
            "GET" | "DELETE" => Request::new(method, &path),
            _ => Request::new(method, &path).json_body("{}"),
        };
        let nobody = line.ask(&request());
        let open = method == "GET" && matches!(template, "/health" | "/ready");
        assert_eq!(nobody.status, if open { 200 } else { 401 }, "{operation}");
        scene.recorder.take();
        for role in Role::ALL {
            let answer = line.ask(&request().header("x-api-key", key(role)));
            let seen = scene.recorder.take().heads;
            if open || may(role.name(), method, &path, &config) {
                assert_eq!((answer.status, seen.len()), (200, 1), "{} {operation}", role.name());
            } else {
                assert_eq!((answer.status, seen.len()), (403, 0), "{} {operation}", role.name());
                assert_eq!(answer.code(), "role_missing");
            }
        }
    }
    scene.gateway.admin.assert_vm_alive();
}

fn sockets() {
    let scene = Scene::start("socket-roles", &json!({}));
    for path in SOCKETS {
        let target = format!("/api{path}");
        for role in Role::ALL {
            let answer = scene.gateway.gate.send(&scene.by(role, upgrade(&target)));
            let wanted = if may_open(role.name(), path) { 101 } else { 403 };
            assert_eq!(answer.status, wanted, "{} {path}", role.name());
        }
        let session = upgrade(&target).header("cookie", "__Host-lictor=x");
        assert_eq!(scene.gateway.gate.send(&session).status, 403, "a session opens no socket");
    }
    assert_eq!(scene.gateway.gate.send(&upgrade("/api/flows/filter")).status, 404);
}
