//! Prefect in several processes on PostgreSQL and Redis, behind two Envoys with one name.

use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::prefect_runs::{ask, assert_connected, assert_events, assert_logs};
use super::{Story, story};
use crate::client::{Gate, Request, connect, plain};
use crate::cookie_client::{CookieClient, SESSION};
use crate::keycloak_admin::basic;
use crate::keycloak_login::{is_form, log_in, open};
use crate::members::{Ending, machine, person};
use crate::prefect_client::{Client, Credential};
use crate::production::{Production, RECHECK, end, in_production};
use crate::traffic;
use crate::world::{checkout, eventually, say, world};

const ABOUT: &str = "production";
const VERSION: &str = "/api/admin/version";

pub fn stories() -> Vec<Story> {
    let told =
        |sentence, proof: fn(&mut Production)| story(ABOUT, sentence, move || in_production(proof));
    [
        told("workers complete what an application starts, and every replica knows", runs),
        told("a session is one at both Envoys: used, refreshed, signed out", one_session),
        told("each Envoy is rolled over, and nobody's request or run fails", rolled),
        told("background tasks reach their worker with both replicas of the API", background),
        story(ABOUT, "it ends, and nothing of it is left", ended),
    ]
    .map(|story| story.apart().early().heavy().in_group(ABOUT))
    .into()
}

/// The application, told to let deployments run; gives how each run ended.
#[track_caller]
fn app(client: &Client, options: &[&str], rounds: usize, deployments: &[String]) -> Value {
    let script = checkout().join("integration/flows/app.py").to_string_lossy().into_owned();
    let rounds = rounds.to_string();
    let fixed = [&[script.as_str()], options, &[rounds.as_str()]].concat();
    let arguments: Vec<_> =
        fixed.into_iter().chain(deployments.iter().map(String::as_str)).collect();
    printed(&client.python(&arguments).expect_success())
}

/// The JSON among what a script has said.
#[track_caller]
fn printed(log: &str) -> Value {
    let found = log.lines().find_map(|line| {
        line.starts_with(['{', '[']).then(|| serde_json::from_str(line).ok()).flatten()
    });
    found.unwrap_or_else(|| panic!("no JSON:\n{log}"))
}

#[track_caller]
fn assert_completed(production: &Production, ends: &Value, count: usize) {
    let logs = || production.workers.iter().map(|worker| worker.log()).collect::<String>();
    let ends = ends.as_object().unwrap();
    assert_eq!(ends.len(), count, "{ends:?}");
    assert!(ends.values().all(|end| end == "COMPLETED"), "{ends:?}\n{}", logs());
    for worker in &production.workers {
        assert!(worker.is_alive(), "{}", worker.log());
    }
}

fn runs(production: &mut Production) {
    let client = production.client("app", Credential::ApiKey);
    let ends = app(&client, &["--events"], 1, &production.deployments());
    assert_completed(production, &ends, 2);
    for run in ends.as_object().unwrap().keys() {
        for number in 0..2 {
            assert_logs(&production.replica(number), &json!({ "id": run }));
            assert_events(&production.replica(number), &json!({ "id": run }));
        }
        for port in production.prefects.ports {
            let ask = Request::get(format!("/api/flow_runs/{run}"))
                .header("authorization", basic(&world().secrets.prefect_auth_string));
            assert_eq!(plain(port, &ask).unwrap().expect(200).json()["state_type"], "COMPLETED");
        }
    }
    for worker in &production.workers {
        assert_connected(&worker.log());
    }
    // Both Envoys had work, and gave some to both replicas.
    for gateway in &production.envoys {
        let clusters = plain(gateway.admin.0, &Request::get("/clusters")).unwrap().text();
        for cluster in ["prefect", "prefect_ws"] {
            for port in production.prefects.ports {
                let name = format!("{cluster}::127.0.0.1:{port}::rq_total::");
                let asked = clusters.lines().find_map(|line| line.strip_prefix(&name));
                assert!(asked.is_some_and(|count| count != "0"), "{name}{asked:?}\n{clusters}");
            }
        }
        gateway.admin.assert_vm_alive();
    }
}

fn one_session(production: &mut Production) {
    let [one, two] = [production.replica(0), production.replica(1)];
    let at = |visitor: &CookieClient, gate: &Gate| CookieClient {
        gate: gate.clone(),
        ..visitor.clone()
    };
    let mut alice = CookieClient::new(&one);
    log_in(&mut alice, "/", "alice");
    for gate in [&one, &two] {
        let version = at(&alice, gate).fetch(VERSION).expect(200);
        assert_eq!(version.json(), json!(world().stack.prefect.version));
    }
    let before = alice.clone();
    eventually("the session is refreshed", RECHECK + Duration::from_secs(2), || {
        alice.fetch(VERSION).expect(200).has("set-cookie").then_some(())
    });
    let followed = at(&alice, &two).fetch(VERSION).expect(200);
    assert!(!followed.has("set-cookie"), "the other Envoy refreshes once more");
    // A browser that has lost the new cookie: Keycloak lets the token be used twice.
    at(&before, &two).fetch(VERSION).expect(200);

    let signed_in = alice.clone();
    alice.navigate("/oauth2/sign_out").expect(200);
    let signed_out = Instant::now();
    assert!(!alice.jar.0.contains_key(SESSION), "the session cookie stays");
    at(&signed_in, &one).fetch(VERSION).expect(401);
    eventually("the other Envoy knows of the sign-out", RECHECK + Duration::from_secs(2), || {
        (at(&signed_in, &two).fetch(VERSION).status == 401).then_some(())
    });
    say(&format!("the other Envoy knew of the sign-out after {:.1?}", signed_out.elapsed()));
    let mut again = at(&alice, &two);
    let asked = again.navigate("/").expect(302);
    assert!(is_form(&open(&mut again, asked.location())), "Keycloak still knows alice");
}

fn rolled(production: &mut Production) {
    const ROUNDS: usize = 3;
    let gate = production.gate.clone();
    let mut alice = CookieClient::new(&gate);
    log_in(&mut alice, "/", "alice");
    let client = production.client("app-meanwhile", Credential::OfClient);
    let deployments = production.deployments();
    let earlier = production.access_logs().map(|lines| lines.len());
    let over = AtomicBool::new(false);
    let begun = Instant::now();
    let (ends, rolls, of_person, of_machine) = thread::scope(|scope| {
        // Whatever panics here, the others come to their end.
        let ending = Ending(&over);
        let person = scope.spawn(|| person(alice, &over));
        let machine = scope.spawn(|| machine(&gate, &over));
        let app = scope.spawn(|| app(&client, &[], ROUNDS, &deployments));
        eventually("a flow runs", Duration::from_secs(60), || running(&gate).then_some(()));
        let mut rolls = 0;
        while !app.is_finished() || rolls < 2 {
            production.roll(rolls % 2);
            rolls += 1;
        }
        let ends = app.join().unwrap();
        drop(ending);
        (ends, rolls, person.join().unwrap(), machine.join().unwrap())
    });
    assert_completed(production, &ends, ROUNDS * deployments.len());
    // Prefect's clients try again by themselves: the logs tell whether they had to.
    let failed: Vec<_> = production
        .access_logs()
        .into_iter()
        .zip(earlier)
        .flat_map(|(lines, earlier)| lines.into_iter().skip(earlier))
        .filter(|line| {
            let answered = |status| (100..500).contains(&status);
            line["decision"] != "forwarded" || !line["status"].as_u64().is_some_and(answered)
        })
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    for worker in &production.workers {
        assert_connected(&without_race_of_prefect(&worker.log()));
    }
    say(&format!(
        "{rolls} times an Envoy was rolled over in {:.0?}: {} flow runs, {} requests of a person, \
         {} of a machine on {} connections, none failed",
        begun.elapsed(),
        ROUNDS * deployments.len(),
        of_person.requests,
        of_machine.requests,
        of_machine.connections
    ));
}

/// A flow run that ends just while its observer of events connects anew takes the connection away
/// under its feet: Prefect's client logs an exception of its own. It has nothing to tell by then.
fn without_race_of_prefect(log: &str) -> String {
    const BEGIN: &str =
        "prefect.FlowRunSuspendingObserver - Consumer task exited with exception\nTraceback";
    const END: &str = "AttributeError: 'NoneType' object has no attribute 'send'\n";
    let mut parts = log.split(BEGIN);
    let mut rest = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(END) {
            // Only that exception: its last line comes before any other line of the log's.
            Some((trace, after)) if trace.lines().skip(1).all(|line| line.starts_with("  ")) => {
                rest += after;
            }
            _ => rest.extend([BEGIN, part]),
        }
    }
    rest
}

fn running(gate: &Gate) -> bool {
    let filter = json!({ "flow_runs": { "state": { "type": { "any_": ["RUNNING"] } } } });
    ask(gate, "/api/flow_runs/count", &filter) != json!(0)
}

/// `/api/task_runs/` goes to the first replica. What the second one gets stays there, for no
/// worker.
fn background(production: &mut Production) {
    const COUNT: usize = 8;
    let client = production.client("background", Credential::ApiKey);
    let past = production.client_of_replica("background-past", 1);
    let script = checkout().join("integration/flows/background.py").to_string_lossy().into_owned();
    let worker = client.start_python("task-worker", &[&script, "serve"]);
    let done = |client: &Client, count: usize| {
        printed(&client.python(&[&script, &count.to_string()]).expect_success())
    };
    let states = |ids: &Value| {
        let filter = json!({ "task_runs": { "id": { "any_": ids } } });
        let runs = ask(&production.gate, "/api/task_runs/filter", &filter);
        let states = runs.as_array().unwrap().iter().map(|run| run["state_type"].clone());
        states.collect::<Vec<_>>()
    };
    let lost = done(&past, 1);
    let routed = done(&client, COUNT);
    eventually("the task runs are done", Duration::from_secs(60), || {
        assert!(worker.is_alive(), "{}", client.log("task-worker"));
        let states = states(&routed);
        (states.len() == COUNT && states.iter().all(|state| state == "COMPLETED")).then_some(())
    });
    assert_eq!(states(&lost), ["SCHEDULED"], "Prefect shares the queue: tell docs/operations.md");
    worker.stop().unwrap();
    for gateway in &production.envoys {
        assert!(traffic::record(gateway, "worker") > 0);
    }
}

fn ended() {
    let listening: Vec<_> = end().into_iter().filter(|port| connect(*port).is_ok()).collect();
    assert!(listening.is_empty(), "somebody still listens on {listening:?}");
}
