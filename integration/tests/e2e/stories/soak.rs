//! A worker with client credentials for a long while: many flow runs, many expiries of short
//! tokens, and a Keycloak that is restarted meanwhile. With `LICTOR_SOAK=1` (`make soak`) a hundred
//! runs.

use std::env;
use std::time::{Duration, Instant};

use super::prefect_runs::count_runs;
use super::{Story, story};
use crate::gateway::{Gateway, Plan};
use crate::keycloak_admin::{admin_at, text};
use crate::prefect_client::{Client, Credential, newest};
use crate::world::{eventually, say};
use lictor_integration::download::KEYCLOAK;

const ABOUT: &str = "soak";
/// The longest that a Keycloak takes to come back.
const RESTART: Duration = Duration::from_secs(120);

pub fn stories() -> Vec<Story> {
    vec![story(
        ABOUT,
        "a worker's flow runs outlast its tokens and a restart of Keycloak, with no failed request",
        outlasts,
    )
    .own_provider()
    .early()
    .heavy()]
}

fn runs() -> usize {
    if env::var_os("LICTOR_SOAK").is_some() { 100 } else { 12 }
}

/// Counters of refusals; those of the time before Keycloak's first start are among them.
fn refused(stats: &str) -> Vec<String> {
    stats.lines().filter(|line| line.contains("outcome=refused")).map(str::to_owned).collect()
}

/// A client with as many scheduled runs as there are to be.
fn deployed(gateway: &Gateway) -> Client {
    let mut setup = newest().with(&Credential::OfClient.pair());
    setup.api_url = format!("https://{}/api", gateway.gate.machine_host());
    let client = Client::new("soak", setup);
    client.deploy("soak", runs());
    client
}

/// No request was refused or lost; gives how often Prefect itself was busy.
#[track_caller]
fn assert_nothing_failed(gateway: &Gateway, client: &Client, before: &[String]) -> String {
    let stats = gateway.admin.stats();
    assert_eq!(refused(&stats), before);
    // Prefect with SQLite answers 503 by itself when its database is busy, and its clients try
    // again.
    let of_prefect =
        stats.lines().find_map(|line| line.strip_prefix("cluster.prefect.upstream_rq_503: "));
    let of_prefect = of_prefect.unwrap_or("0");
    for fault in ["upstream_cx_connect_fail", "upstream_rq_timeout", "upstream_cx_overflow"] {
        assert_eq!(gateway.admin.counter(&format!("cluster.prefect.{fault}")), 0, "{fault}");
    }
    for failure in ["Traceback", "Unable to", "HTTP 40", "HTTP 50", "Crash"] {
        assert!(!client.log("worker").contains(failure), "{failure}: {}", client.log("worker"));
    }
    of_prefect.to_owned()
}

fn outlasts() {
    let gateway = Plan::new("soak").own_keycloak().start_unready();
    gateway.wait_live();
    let keycloak = gateway.start_keycloak(&KEYCLOAK);
    let port = gateway.layout.ports.keycloak;
    let mut client = admin_at(port, "GET", "/clients?clientId=etl-worker", None).json()[0].take();
    client["attributes"]["access.token.lifespan"] = "20".into();
    admin_at(port, "PUT", &format!("/clients/{}", text(&client, "id")), Some(&client));

    let client = deployed(&gateway);
    let worker = client.start_worker("soak", &["--limit", "2"]);
    let before = refused(&gateway.admin.stats());
    let begun = Instant::now();
    let mut keycloak = Some(keycloak);
    let all = Duration::from_secs(60 + 30 * u64::try_from(runs()).unwrap());
    let ended = |states: &[&str]| count_runs(&gateway.gate, "soak", states);
    eventually("a third of the runs have ended", all, || {
        assert!(worker.is_alive(), "{}", client.log("worker"));
        (ended(&["COMPLETED"]) >= runs() / 3).then_some(())
    });
    drop(keycloak.take());
    let away = Instant::now();
    keycloak = Some(gateway.start_keycloak(&KEYCLOAK));
    let away = away.elapsed();
    assert!(away < RESTART, "{away:?}");
    eventually("all runs have ended", all, || {
        assert!(worker.is_alive(), "{}", client.log("worker"));
        let over = ended(&["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]);
        (over == runs()).then_some(())
    });
    assert_eq!(ended(&["COMPLETED"]), runs(), "{}", client.log("worker"));
    worker.stop().unwrap();
    drop(keycloak);

    let of_prefect = assert_nothing_failed(&gateway, &client, &before);
    let exchanges = gateway.admin.counter("cluster.idp.upstream_rq_200");
    say(&format!(
        "{} runs in {:.0?}, Keycloak away for {away:.0?}, {exchanges} answers of Keycloak, \
         {of_prefect} times 503 of Prefect itself",
        runs(),
        begun.elapsed()
    ));
}
