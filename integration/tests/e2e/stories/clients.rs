//! Prefect's own clients with every kind of credential, on everything that they connect to.

mod page;
mod table;

use std::env;
use std::fs;
use std::path::Path;
use std::time::Duration;

use lictor_integration::tools::PREFECT_VERSIONS;
use serde_json::{Value, json};

use self::table::{Cell, KINDS, Kind, ROADS, TLS_SETTINGS};
use super::passwords;
use super::prefect_runs::run_of;
use super::{Story, story};
use crate::client::Request;
use crate::gateway::{Gateway, Plan};
use crate::keycloak_admin::{allow_callback, basic};
use crate::prefect_client::{Client, Setup, newest, server};
use crate::world::{checkout, eventually, world};

const ABOUT: &str = "clients";

pub fn stories() -> Vec<Story> {
    let page = [
        story(ABOUT, "the recommended setting works everywhere from 3.6.29 on", recommended)
            .own_provider(),
        story(ABOUT, "docs/clients.md is what the table says", documented).own_provider(),
    ];
    let measured = PREFECT_VERSIONS.into_iter().map(|version| {
        let sentence = format!("{version} reaches with each credential what the table says");
        story(ABOUT, &sentence, move || measured(version)).apart().early().heavy()
    });
    let lost = story(ABOUT, "a run whose events are refused completes without its task runs", lost);
    page.into_iter().chain(measured).chain([lost]).collect()
}

fn recommended() {
    let alone = |setting: &str| setting.matches("PREFECT_").count() == 1;
    let mut kinds = 0;
    for kind in KINDS
        .iter()
        .filter(|kind| kind.setting.starts_with("PREFECT_API_AUTH_STRING=") && alone(kind.setting))
    {
        kinds += 1;
        for (version, cells) in PREFECT_VERSIONS.iter().zip(&kind.expected).skip(1) {
            let all = cells.iter().all(|cell| !matches!(cell, Cell::Fails(..)));
            assert!(all, "{version}: {}", kind.setting);
        }
    }
    assert!(kinds >= 3, "of {} kinds {kinds} are set as recommended", KINDS.len());
}

fn documented() {
    let file = checkout().join("docs/clients.md");
    let page = page::page();
    if env::var_os("LICTOR_WRITE_CLIENTS").is_some() {
        fs::write(&file, &page).unwrap();
    }
    let there = fs::read_to_string(&file).unwrap_or_default();
    assert!(there == page, "docs/clients.md differs from the table; write it: {}", page::COMMAND);
}

fn measured(version: &'static str) {
    let server = server(version);
    let gateway = Plan::new(format!("clients-{version}").leak())
        .prefect(server.port)
        .patch(json!({ "machines": {
            "accept_auth_string": true, "personal_tokens": { "role": "admin" },
            "htpasswd": passwords::entries(&[passwords::line(passwords::PAIR, &["-B"])]),
        } }))
        .start();
    allow_callback(&gateway.gate.origin());
    let at = PREFECT_VERSIONS.iter().position(|known| *known == version).unwrap();
    let mut differences = Vec::new();
    for (number, kind) in KINDS.iter().enumerate() {
        let found = run(&format!("roads-{number}"), kind, version, &server.python, &gateway);
        assert_eq!(found["version"], version);
        assert_eq!(found["tls_settings"], json!(TLS_SETTINGS), "{version} can be told more of TLS");
        for ((road, _), cell) in ROADS.iter().zip(&kind.expected[at]) {
            let (expected, measured) = (said(cell), &found["roads"][road]);
            if measured != expected {
                differences.push(format!("{}, {road}: {expected}, not {measured}", kind.setting));
            }
        }
    }
    assert!(differences.is_empty(), "{version}:\n{}", differences.join("\n"));
    gateway.admin.assert_vm_alive();
}

/// As `roads.py` says it.
fn said(cell: &Cell) -> &'static str {
    match cell {
        Cell::Works => "ok",
        Cell::NoClient => "no such client",
        Cell::Fails(heard, _) => heard,
    }
}

/// Lets the clients of a version use a credential.
fn run(name: &str, kind: &Kind, version: &str, python: &Path, gateway: &Gateway) -> Value {
    let mut environment = (kind.environment)(gateway).into_iter();
    let setup = Setup {
        version: version.to_owned(),
        python: python.to_owned(),
        api_url: format!("https://{}/api", gateway.gate.machine_host()),
        credential: environment.next().unwrap(),
        pair: String::new(),
    };
    let witness = basic(&world().stack.machine.auth_string);
    let client = Client::new(name, setup).environment("ROADS_WITNESS", &witness);
    let client = environment.fold(client, |client, (name, value)| client.environment(name, &value));
    let script = checkout().join("integration/flows/roads.py");
    let told = client.python(&[&script.to_string_lossy()]).expect_success();
    let line = told.lines().find(|line| line.starts_with("{\"version\""));
    serde_json::from_str(line.unwrap_or_else(|| panic!("{}: {told}", kind.setting))).unwrap()
}

/// What the page says of ✗ below `/events/in`.
fn lost() {
    let key = &world().secrets.api_key;
    let by_key = Setup { credential: ("PREFECT_API_KEY", key.clone()), ..newest() };
    let header = json!({ "Authorization": format!("Bearer {key}") }).to_string();
    let by_header = Setup { credential: ("PREFECT_CLIENT_CUSTOM_HEADERS", header), ..newest() };
    let without = run_flow("without-events", by_key);
    let with = run_flow("with-events", by_header);
    // Once those of the later run are there, the earlier one's would be, too.
    eventually("the task runs are stored", Duration::from_secs(30), || {
        (task_runs(&with) == 3).then_some(())
    });
    assert_eq!(task_runs(&without), 0);
    let run = ask(&Request::get(format!("/api/flow_runs/{without}")));
    assert_eq!(run["state_type"], "COMPLETED");
}

/// Runs the small flow; gives the run's id.
fn run_flow(name: &str, setup: Setup) -> String {
    let script = checkout().join("integration/flows/hello.py");
    let log = Client::new(name, setup).python(&[&script.to_string_lossy()]).expect_success();
    run_of(&log).to_owned()
}

fn task_runs(flow_run: &str) -> usize {
    let filter = json!({ "flow_runs": { "id": { "any_": [flow_run] } } });
    let runs = ask(&Request::post("/api/task_runs/filter", &filter.to_string()));
    runs.as_array().unwrap().len()
}

#[track_caller]
fn ask(request: &Request) -> Value {
    let key = basic(&world().stack.machine.auth_string);
    world().gate.send(&request.clone().header("authorization", key)).expect(200).json()
}
