//! Prefect's own client, worker and `serve()` through the gate, on every version.

use std::fs;
use std::time::{Duration, Instant};

use lictor_integration::process::Running;
use lictor_integration::tools::PREFECT_VERSIONS;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use super::{Story, story};
use crate::client::{Gate, Request};
use crate::gateway::Gateway;
use crate::http1::Answer;
use crate::keycloak_admin::{add_client, basic, client_token, with_role};
use crate::prefect_client::{Client, Credential, Setup, gated, newest};
use crate::traffic;
use crate::world::{checkout, eventually, say, world};

const ABOUT: &str = "Prefect's client";

pub fn stories() -> Vec<Story> {
    let kinds = [Credential::ApiKey, Credential::OfClient];
    let each = PREFECT_VERSIONS.into_iter().flat_map(|version| {
        kinds.into_iter().flat_map(move |credential| {
            let about = format!("{ABOUT} {version}, {}", credential.name());
            let at = move || gated(version);
            let with = move |sentence: &str, proof: fn(Setup, &Gate)| {
                story(&about, sentence, move || {
                    proof(at().setup(credential), &at().gateway.gate);
                    assert_refused_nothing(&at().gateway);
                })
                .apart()
                .heavy()
            };
            [
                with("version and flow-run ls pass", |setup, _| commands(setup)),
                with("a flow runs and its events are stored", flow),
                with("a worker runs a deployment to its end, with logs", worker),
                with("serve() runs a deployment to its end", served),
            ]
        })
    });
    let others = [
        story(
            ABOUT,
            "an operator starts a run and watches it, events and logs, to its end",
            watched,
        ),
        story(ABOUT, "a refusal is said in words", refusals),
        story(ABOUT, "a flow run in a container gets what docs/workers.md says", job_templates),
        story(ABOUT, "a flow takes as long through the gate as without it", no_slower).alone(),
    ];
    let schedules = PREFECT_VERSIONS.into_iter().map(|version| {
        let about = format!("{ABOUT} {version}, {}", Credential::ApiKey.name());
        let proof = move || {
            let at = gated(version);
            scheduled(at.setup(Credential::ApiKey), &at.gateway.gate);
        };
        story(&about, "a schedule of serve() fires", proof).apart().heavy()
    });
    each.chain(schedules).chain(others).collect()
}

/// The oracle for the worker's role: whatever Prefect's own programs have asked for until now.
#[track_caller]
fn assert_refused_nothing(gateway: &Gateway) {
    let log = fs::read_to_string(gateway.layout.log("envoy")).unwrap();
    let refused = log.lines().filter(|line| line.contains("refused reason=role_missing"));
    // They read the server's settings for statistics of theirs, and do without them.
    let refused: Vec<&str> = refused.filter(|line| !line.contains("GET /admin/settings")).collect();
    assert_eq!(refused, [""; 0]);
    assert!(traffic::record(gateway, "worker") > 0);
}

/// Of the API through the gate, as the machine.
#[track_caller]
pub fn ask(gate: &Gate, path: &str, filter: &Value) -> Value {
    let request = Request::post(path, &filter.to_string())
        .host(gate.machine_host())
        .header("authorization", basic(&world().stack.machine.auth_string));
    // While others write much, Prefect answers 503. A refusal of Lictor's own has a code.
    let has_no_time = |answer: &Answer| answer.status == 503 && answer.json().get("code").is_none();
    let answer = eventually("Prefect has time", Duration::from_secs(20), || {
        Some(gate.send(&request)).filter(|answer| !has_no_time(answer))
    });
    answer.expect(200).json()
}

/// How many runs of a deployment are in these states.
#[track_caller]
pub fn count_runs(gate: &Gate, deployment: &str, states: &[&str]) -> usize {
    let filter = json!({
        "deployments": {"name": {"any_": [deployment]}},
        "flow_runs": {"state": {"type": {"any_": states}}},
    });
    let count = ask(gate, "/api/flow_runs/count", &filter).as_u64();
    usize::try_from(count.unwrap()).unwrap()
}

fn commands(setup: Setup) {
    let version = setup.version.clone();
    let client = Client::new(&own(&setup, "commands"), setup);
    let told = client.prefect(&["version"]).expect_success();
    assert!(told.contains(&version), "{told}");
    client.prefect(&["flow-run", "ls"]).expect_success();
}

/// The job variables of docs/workers.md, in Prefect's own base job templates. A worker's credential
/// is given to its flow runs, unless the variables take it away.
fn job_templates() {
    let page = fs::read_to_string(checkout().join("docs/workers.md")).unwrap();
    let script = checkout().join("integration/flows/job_template.py");
    let setup = newest();
    let url = setup.api_url.clone();
    let client = Client::new("job-templates", setup);
    let mount = "/etc/prefect/ca.pem:/etc/prefect/ca.pem:ro";
    for (kind, credential, volumes) in [
        ("docker", json!("the worker's"), json!([mount])),
        ("kubernetes", Value::Null, Value::Null),
    ] {
        let block = page.split(&format!("```json {kind}\n")).nth(1).unwrap();
        let variables = block.split("```").next().unwrap();
        let said = client.python(&[&script.to_string_lossy(), kind, variables]).expect_success();
        let job = said.lines().find_map(|line| line.strip_prefix("job ")).expect("a job");
        let job: Value = serde_json::from_str(job).unwrap();
        let env = &job["env"];
        assert_eq!(env["PREFECT_API_URL"], url, "{kind}");
        assert_eq!(env["PREFECT_API_SSL_CERT_FILE"], "/etc/prefect/ca.pem", "{kind}");
        assert_eq!(env["PREFECT_API_AUTH_STRING"], credential, "{kind}");
        assert_eq!(job["volumes"], volumes, "{kind}");
    }
}

/// What people see: the sentence of the refusal, in the real client's words.
fn refusals() {
    let roleless = add_client("roleless", |_| ());
    let expired = format!("etl:{}", client_token("roleless", &roleless));
    let cases = [
        ("etl:lk_mistyped", "This API key is not known."),
        ("etl:no-key-at-all", "The identity provider does not accept these client credentials."),
        ("etl:eyJhbGciOiJub25lIn0.e30.AA", "The token is not valid here. Mismatch: token."),
        (expired.as_str(), "Your account has no role in Prefect. Required role: "),
    ];
    for (number, (credential, sentence)) in cases.into_iter().enumerate() {
        let setup = newest().with(credential);
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
pub fn assert_connected(log: &str) {
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
    let client = Client::new(&own(&setup, "flow"), setup);
    let script = checkout().join("integration/flows/hello.py");
    let log = client.python(&[&script.to_string_lossy()]).expect_success();
    assert_connected(&log);
    let filter = json!({"flow_runs": {"id": {"any_": [run_of(&log)]}}});
    let runs = ask(gate, "/api/flow_runs/filter", &filter);
    assert_eq!(runs[0]["state_type"], "COMPLETED", "{runs}");
    assert_events(gate, &runs[0]);
    assert_logs(gate, &runs[0]);
}

/// The flow run that a client's log tells of.
#[track_caller]
pub fn run_of(log: &str) -> &str {
    let id = log.split("/flow-run/").nth(1).and_then(|rest| rest.get(..36));
    id.unwrap_or_else(|| panic!("no run: {log}"))
}

/// Events travel on a socket, and Prefect stores them in batches.
#[track_caller]
pub fn assert_events(gate: &Gate, run: &Value) {
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
pub fn assert_logs(gate: &Gate, run: &Value) {
    let filter = json!({"logs": {"flow_run_id": {"any_": [run["id"]]}}});
    eventually("the logs are stored", Duration::from_secs(30), || {
        ask(gate, "/api/logs/filter", &filter)
            .to_string()
            .contains("greeting Keycloak")
            .then_some(())
    });
}

/// Names of its own for what a setup makes at Prefect.
fn own(setup: &Setup, what: &str) -> String {
    let (name, _) = &setup.credential;
    let pair = setup.pair.split(':').next().unwrap_or_default();
    format!("{what}-{}-{pair}", name.len())
}

fn worker(setup: Setup, gate: &Gate) {
    let name = own(&setup, "worked");
    let client = Client::new(&name, setup);
    client.deploy(&name, 0);
    let worker = client.start_worker(&name, &[]);
    client.prefect(&["deployment", "run", &format!("hello/{name}")]).expect_success();
    let run = ended(gate, &name, &worker, &client, "worker");
    assert_logs(gate, &run);
    assert_events(gate, &run);
    worker.stop().unwrap();
    assert_connected(&client.log("worker"));
}

/// The first run of a deployment, once it has ended as it should.
fn ended(gate: &Gate, name: &str, part: &Running, client: &Client, log: &str) -> Value {
    let filter = json!({"deployments": {"name": {"any_": [name]}}, "limit": 1});
    let run = eventually("the run has ended", Duration::from_secs(180), || {
        assert!(part.is_alive(), "{log} has ended:\n{}", client.log(log));
        let run = ask(gate, "/api/flow_runs/filter", &filter)[0].take();
        matches!(run["state_type"].as_str(), Some("COMPLETED" | "FAILED" | "CRASHED" | "CANCELLED"))
            .then_some(run)
    });
    assert_eq!(run["state_type"], "COMPLETED", "{run}\n{}", client.log(log));
    run
}

fn served(setup: Setup, gate: &Gate) {
    let name = own(&setup, "served");
    let (client, served) = serve(&name, "", setup, gate);
    client.prefect(&["deployment", "run", &format!("hello/{name}")]).expect_success();
    let run = ended(gate, &name, &served, &client, "serve");
    assert_logs(gate, &run);
    assert_events(gate, &run);
    // What Prefect says when it is stopped is another matter.
    assert_connected(&client.log("serve"));
    served.stop().unwrap();
}

/// The operator's sockets bring what is for operators.
fn watched() {
    let name = "watched";
    let (_client, served) = serve(name, "", newest(), &world().gate);
    let secret = add_client("operator", |client| with_role(client, "operator"));
    let operator = Client::new("operator", newest().with(&format!("operator:{secret}")));
    let said = operator
        .prefect(&[
            "deployment",
            "run",
            &format!("hello/{name}"),
            "--watch",
            "--watch-timeout",
            "60",
        ])
        .expect_success();
    for seen in ["prefect.flow-run.Completed", "Hello"] {
        assert!(said.contains(seen), "{seen:?} is not in:\n{said}");
    }
    // The one asks for secrets without saying so, the other does not.
    let listed = operator.prefect(&["block", "ls"]);
    assert!(
        !listed.succeeded && listed.text.contains("Required role: worker or admin"),
        "{}",
        listed.text
    );
    let looked_at = operator.prefect(&["block", "inspect", "secret/none"]);
    assert!(looked_at.text.contains("not found"), "{}", looked_at.text);
    served.stop().unwrap();
}

/// Prefect itself makes the runs of a schedule, in a service of its server.
fn scheduled(setup: Setup, gate: &Gate) {
    let name = own(&setup, "scheduled");
    let (client, served) = serve(&name, ", interval=10", setup, gate);
    let filter = json!({
        "deployments": {"name": {"any_": [name]}},
        // Runs of the coming days are there, too.
        "flow_runs": {"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}},
        "limit": 1,
    });
    let run = eventually("a scheduled run has ended", Duration::from_secs(180), || {
        assert!(served.is_alive(), "{}", client.log("serve"));
        ask(gate, "/api/flow_runs/filter", &filter).get_mut(0).map(Value::take)
    });
    assert_eq!((&run["state_type"], &run["auto_scheduled"]), (&json!("COMPLETED"), &json!(true)));
    served.stop().unwrap();
}

/// `serve()` with these further arguments, until Prefect knows of it.
fn serve(name: &str, arguments: &str, setup: Setup, gate: &Gate) -> (Client, Running) {
    let client = Client::new(name, setup);
    // Old versions want the flow's file below the folder in which they are started.
    fs::copy(checkout().join("integration/flows/hello.py"), client.folder().join("hello.py"))
        .unwrap();
    let script = client.folder().join("serve.py");
    let text = format!(
        "from hello import hello\nif __name__ == '__main__':\n    hello.serve(name={name:?}{arguments})\n"
    );
    fs::write(&script, text).unwrap();
    let served = client.start_python("serve", &[&script.to_string_lossy()]);
    let deployment = json!({"deployments": {"name": {"any_": [name]}}});
    eventually("it is served", Duration::from_secs(60), || {
        assert!(served.is_alive(), "{}", client.log("serve"));
        let known = ask(gate, "/api/deployments/filter", &deployment);
        known.as_array().is_some_and(|known| !known.is_empty()).then_some(())
    });
    (client, served)
}

/// The same flow straight to Prefect and through the gate, in turns; the quickest of each, since
/// the machine has other things to do as well.
fn no_slower() {
    let direct = Setup {
        api_url: format!("http://127.0.0.1:{}/api", world().layout.ports.prefect),
        ..newest().with(&world().secrets.prefect_auth_string)
    };
    let gated = newest();
    let script = checkout().join("integration/flows/hello.py");
    let (direct, gated) = (Client::new("direct", direct), Client::new("through", gated));
    let time = |client: &Client| {
        let begun = Instant::now();
        client.python(&[&script.to_string_lossy()]).expect_success();
        begun.elapsed()
    };
    // Prefect's client waits in steps of an eighth of a second, with the gate and without it. All runs
    // of one kind may be on either side of a step.
    let step = Duration::from_millis(150);
    // Where others use the whole processor, each of some hundred messages waits for its turn once
    // more at the gate. Then a quarter more is as much as can be told from that.
    let allowed = |direct: Duration, share: f64| {
        if share < 0.9 { direct + direct / 4 + step } else { direct + step }
    };
    // The more rounds, the nearer the quickest run is to what a run takes on an idle machine.
    let (mut quickest, mut share, mut rounds) = ([Duration::MAX; 2], 0.0_f64, 0);
    while rounds < 8 || (rounds < 24 && quickest[1] >= allowed(quickest[0], share)) {
        quickest = [quickest[0].min(time(&direct)), quickest[1].min(time(&gated))];
        share = share.max(processor_share());
        rounds += 1;
    }
    let [direct, gated] = quickest;
    say(&format!(
        "a run of the flow: {direct:.2?} direct, {gated:.2?} through the gate, {rounds} rounds, \
         {share:.2} of a processor for whoever wants one"
    ));
    assert!(
        gated < allowed(direct, share),
        "{direct:?} direct, {gated:?} through the gate, {share}"
    );
}

/// How much of a processor a thread gets that wants all of it: less than 1 where others do, too.
fn processor_share() -> f64 {
    let used = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let (begun, before) = (Instant::now(), used());
    while begun.elapsed() < Duration::from_millis(100) {}
    (used() - before).as_secs_f64() / begun.elapsed().as_secs_f64()
}
