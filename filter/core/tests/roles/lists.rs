//! The table against lists that somebody wrote who had not seen it, and against recorded traffic.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::gate::decision::DataStep;
use crate::identity::role::Role;
use crate::testing::{Headers, Outcome, World, request};
use crate::tests::roles::{by, settings};
use serde_json::Value;

const DANGEROUS: &str = include_str!("../data/prefect-roles/dangerous.tsv");
const VIEWER: &str = include_str!("../data/prefect-roles/viewer.tsv");
const OPERATOR: &str = include_str!("../data/prefect-roles/operator.tsv");
const BODIES: &str = include_str!("../data/prefect-roles/bodies.tsv");

fn rows(list: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    list.lines().map(|line| line.split('\t').collect())
}

fn world() -> World {
    World::with(&settings())
}

fn asks(role: Role, method: &str, path: &str) -> Headers {
    let path = format!("/api{path}");
    if method == "SOCKET" {
        let key = format!("lk_planted-key-of-{}", role.name());
        let upgrade = [("upgrade", "websocket"), ("connection", "Upgrade"), ("x-api-key", &key)];
        return request("GET", &path, &upgrade);
    }
    by(role, method, &path)
}

/// Whether it may, with this body.
fn passes(world: &mut World, role: Role, method: &str, path: &str, body: &str) -> bool {
    let (mut gate, outcome) = world.request(&asks(role, method, path));
    match outcome {
        Outcome::Forwarded(_) => true,
        Outcome::Reply(reply) => {
            let named = matches!(reply.status, 400 | 403 | 404 | 405);
            assert!(named, "{method} {path}: {}", reply.status);
            if reply.status == 403 {
                let body: Value = serde_json::from_slice(&reply.body).unwrap();
                assert!(body["detail"].as_str().unwrap().contains("Required role: "), "{body}");
            }
            false
        }
        Outcome::Reading(_) => {
            gate.on_request_data(body.as_bytes(), true, &mut world.cx()) == DataStep::Pass
        }
        Outcome::Waiting => panic!("{method} {path} waits"),
    }
}

#[test]
fn what_is_dangerous_is_refused_for_people() {
    let mut world = world();
    let mut count = 0;
    for row in rows(DANGEROUS) {
        let [method, path, body, why] = row[..] else { panic!("{row:?}") };
        for role in Role::for_people() {
            let passes = passes(&mut world, role, method, path, body);
            assert!(!passes, "{} may {method} {path} {body}: {why}", role.name());
        }
        count += 1;
    }
    assert!(count >= 100, "{count}");
}

#[test]
fn what_the_uis_read_is_a_viewer_s() {
    let mut world = world();
    for row in rows(VIEWER) {
        let [method, path, who] = row[..] else { panic!("{row:?}") };
        for role in Role::ALL.into_iter().filter(|role| role.includes(Role::Viewer)) {
            assert!(passes(&mut world, role, method, path, "{}"), "{method} {path} for {who}");
        }
    }
}

#[test]
fn what_runs_is_an_operator_s() {
    let mut world = world();
    for row in rows(OPERATOR) {
        let [method, path, viewer, what] = row[..] else { panic!("{row:?}") };
        assert!(passes(&mut world, Role::Operator, method, path, "{}"), "{method} {path}: {what}");
        let wanted = match viewer {
            "viewer too" => true,
            "no viewer" => false,
            other => panic!("{other}"),
        };
        let passes = passes(&mut world, Role::Viewer, method, path, "{}");
        assert_eq!(passes, wanted, "a viewer and {method} {path}: {what}");
    }
    for paused in [r#"{"paused":true}"#, r#"{"paused":false}"#] {
        assert!(passes(&mut world, Role::Operator, "PATCH", "/deployments/1", paused));
        assert!(!passes(&mut world, Role::Viewer, "PATCH", "/deployments/1", paused));
    }
}

#[test]
fn bodies_that_prefect_reads_as_asking_are_refused() {
    let mut world = world();
    for row in rows(BODIES) {
        let [method, path, body, why] = row[..] else { panic!("{row:?}") };
        for role in Role::for_people() {
            assert!(!passes(&mut world, role, method, path, body), "{body}: {why}");
        }
        assert!(passes(&mut world, Role::Worker, method, path, body), "{body}");
    }
}

/// Recorded by the gate's own access log while Prefect's pages, workers, clients and task workers
/// were at work with the role that fits.
#[test]
fn what_prefect_s_own_programs_ask_for_is_their_role_s() {
    let mut world = world();
    for (role, list) in [
        (Role::Viewer, include_str!("../data/prefect-traffic/viewer.tsv")),
        (Role::Operator, include_str!("../data/prefect-traffic/operator.tsv")),
        (Role::Worker, include_str!("../data/prefect-traffic/worker.tsv")),
    ] {
        for row in rows(list) {
            let [method, path] = row[..] else { panic!("{row:?}") };
            let body = if method == "PATCH" { r#"{"paused":true}"# } else { "{}" };
            let passes = passes(&mut world, role, method, path, body);
            assert!(passes, "{} may not {method} {path}", role.name());
        }
        assert!(rows(list).count() > 20, "{}", role.name());
    }
}
