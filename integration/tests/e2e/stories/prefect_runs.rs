//! Prefect's own client and worker through the gate, on the newest and the oldest version.

use std::fs;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::story;
use crate::client::{Gate, Request};
use crate::keycloak_admin::{add_client, basic, client_token};
use crate::prefect_client::{Client, Setup, newest, oldest};
use crate::world::{checkout, eventually, world};

pub fn stories() -> Vec<Trial> {
    vec![
        story("Prefect's client", "version and flow-run ls pass", || commands(newest())),
        story("Prefect's client", "a refusal is said in words", refusals),
        story("Prefect's client", "a flow runs and its events are stored", || {
            flow(newest(), &world().gate)
        }),
        story("Prefect's client", "a worker runs a deployment to its end, with logs", || {
            worker(newest(), &world().gate)
        }),
        story("Prefect's client 3.4.13", "version and flow-run ls pass", || {
            commands(oldest().setup())
        }),
        story("Prefect's client 3.4.13", "a flow runs and its events are stored", || {
            flow(oldest().setup(), &oldest().lane.gate);
        }),
        story(
            "Prefect's client 3.4.13",
            "a worker runs a deployment to its end, with logs",
            || {
                worker(oldest().setup(), &oldest().lane.gate);
            },
        ),
    ]
}

/// Of the API through the gate, as the machine.
#[track_caller]
fn ask(gate: &Gate, path: &str, filter: &Value) -> Value {
    let request = Request::post(path, &filter.to_string())
        .host(gate.machine_host())
        .header("authorization", basic(&world().stack.machine.auth_string));
    gate.send(&request).expect(200).json()
}

fn commands(setup: Setup) {
    let version = setup.version.clone();
    let client = Client::new("commands", setup);
    let told = client.prefect(&["version"]).expect_success();
    assert!(told.contains(&version), "{told}");
    client.prefect(&["flow-run", "ls"]).expect_success();
}

/// What people see: the sentence of the refusal, in the real client's words.
fn refusals() {
    let roleless = add_client("roleless", |_| ());
    let expired = format!("etl:{}", client_token("roleless", &roleless));
    let cases = [
        ("etl:lk_mistyped", "This API key is not known."),
        ("etl:no-key-at-all", "The identity provider does not accept these client credentials."),
        (
            "etl:eyJhbGciOiJub25lIn0.e30.AA",
            "The token is not valid here. What does not fit: token.",
        ),
        (expired.as_str(), "Your account has no role in Prefect. Needed: "),
    ];
    for (number, (credential, sentence)) in cases.into_iter().enumerate() {
        let setup =
            Setup { credential: ("PREFECT_API_AUTH_STRING", credential.into()), ..newest() };
        let output = Client::new(&format!("refused-{number}"), setup).prefect(&["flow-run", "ls"]);
        assert!(!output.succeeded, "{}", output.text);
        // The client breaks its lines where it likes.
        let said = output.text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(sentence), "{sentence:?} is not in:\n{}", output.text);
        assert!(!output.text.contains("lk_mistyped"), "{}", output.text);
    }
}

/// Nothing that Prefect's clients say when a socket or the API fails.
#[track_caller]
fn assert_connected(log: &str) {
    for failure in [
        "Unable to connect to",
        "Unable to authenticate",
        "Traceback",
        "Crash",
        "HTTP 40",
        "failed to process",
    ] {
        assert!(!log.contains(failure), "{failure}:\n{log}");
    }
}

fn flow(setup: Setup, gate: &Gate) {
    let client = Client::new("flow", setup);
    let script = checkout().join("integration/flows/hello.py");
    let log = client.python(&[&script.to_string_lossy()]).expect_success();
    assert_connected(&log);
    let runs = ask(gate, "/api/flow_runs/filter", &json!({"sort": "START_TIME_DESC", "limit": 1}));
    assert_eq!(runs[0]["state_type"], "COMPLETED", "{runs}");
    assert_events(gate, &runs[0]);
    assert_logs(gate, &runs[0]);
}

/// Events travel on a socket, and Prefect stores them in batches.
#[track_caller]
fn assert_events(gate: &Gate, run: &Value) {
    let resource = format!("prefect.flow-run.{}", run["id"].as_str().unwrap());
    let filter = json!({"filter": {"any_resource": {"id": [resource]}}, "limit": 50});
    let wanted =
        ["prefect.flow-run.Running", "prefect.flow-run.Completed", "prefect.task-run.Completed"];
    eventually("the events are stored", Duration::from_secs(30), || {
        let stored = ask(gate, "/api/events/filter", &filter).to_string();
        wanted.iter().all(|event| stored.contains(event)).then_some(())
    });
}

#[track_caller]
fn assert_logs(gate: &Gate, run: &Value) {
    let filter = json!({"logs": {"flow_run_id": {"any_": [run["id"]]}}});
    eventually("the logs are stored", Duration::from_secs(30), || {
        ask(gate, "/api/logs/filter", &filter)
            .to_string()
            .contains("greeting Keycloak")
            .then_some(())
    });
}

fn worker(setup: Setup, gate: &Gate) {
    let client = Client::new("worker", setup);
    let flows = checkout().join("integration/flows");
    let deploy = client.folder().join("deploy.py");
    fs::write(
        &deploy,
        format!(
            "from prefect import flow\n\
         flow.from_source(source={flows:?}, entrypoint='hello.py:hello')\
         .deploy(name='e2e', work_pool_name='e2e', ignore_warnings=True)\n"
        ),
    )
    .unwrap();
    client.prefect(&["work-pool", "create", "e2e", "--type", "process"]).expect_success();
    client.python(&[&deploy.to_string_lossy()]).expect_success();
    let worker = client.start("worker", &["worker", "start", "--pool", "e2e", "--type", "process"]);
    client.prefect(&["deployment", "run", "hello/e2e"]).expect_success();
    let filter = json!({"deployments": {"name": {"any_": ["e2e"]}}, "limit": 1});
    let run = eventually("the run has ended", Duration::from_secs(180), || {
        assert!(worker.is_alive(), "the worker has ended:\n{}", client.log("worker"));
        let run = ask(gate, "/api/flow_runs/filter", &filter)[0].take();
        matches!(run["state_type"].as_str(), Some("COMPLETED" | "FAILED" | "CRASHED" | "CANCELLED"))
            .then_some(run)
    });
    assert_eq!(run["state_type"], "COMPLETED", "{run}\n{}", client.log("worker"));
    assert_logs(gate, &run);
    assert_events(gate, &run);
    worker.stop().unwrap();
    assert_connected(&client.log("worker"));
}
