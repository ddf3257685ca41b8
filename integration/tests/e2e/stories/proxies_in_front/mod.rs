//! Other proxies in front of Envoy: as their users have configured them, and as the samples do.

mod asking;
mod aws;
mod coming_over;
mod nginx;
mod passing;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use lictor_integration::layout::PREFECT_HOST;
use serde_json::json;

use super::Story;
use super::in_the_browser::assert_inside;
use crate::browser::Browser;
use crate::client::{Gate, Request};
use crate::gateway::{Gateway, Plan};
use crate::keycloak_admin::allow_callback;
use crate::prefect_client::{Client, newest};
use crate::sockets::{End, Socket, auth, upgrade};
use crate::world::{checkout, eventually, world};

const PATIENCE: Duration = Duration::from_secs(20);

pub fn stories() -> Vec<Story> {
    [
        nginx::stories(),
        passing::stories(),
        asking::stories(),
        aws::stories(),
        coming_over::stories(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Replaces each text, which must be there.
fn replaced(mut text: String, table: &[(&str, String)]) -> String {
    for (old, new) in table {
        assert!(text.contains(old), "{old:?} is not in the configuration");
        text = text.replace(old, new);
    }
    text
}

fn file_of(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A file with the certificate of Prefect's public name and its key, as HAProxy wants it.
fn chain_and_key() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let leaf = &world().pki.prefect;
        let path = leaf.key.with_extension("chain-and-key.pem");
        let mut file = fs::File::create(&path).unwrap();
        for part in [&leaf.certificate, &leaf.key] {
            file.write_all(&fs::read(part).unwrap()).unwrap();
        }
        path
    })
}

/// A gateway whose public address is that of a proxy in front, on this port.
fn behind(plan: Plan, port: u16) -> (Gateway, Gate) {
    (named(plan, port).start(), Gate::new(&world().pki.ca, port))
}

/// The plan with the public names of a proxy in front.
fn named(plan: Plan, port: u16) -> Plan {
    let origin = format!("https://{PREFECT_HOST}:{port}");
    allow_callback(&origin);
    let machines = json!({ "hosts": [format!("localhost:{port}")] });
    plan.patch(json!({ "public_url": origin, "machines": machines }))
}

/// A gateway that believes one proxy in front about the client's address, as the samples say.
fn behind_one(plan: Plan, port: u16) -> (Gateway, Gate) {
    let own = "use_remote_address: true\n          xff_num_trusted_hops: 0";
    behind(plan.envoy(own, own.replace("hops: 0", "hops: 1")), port)
}

/// The header of a machine with an API key.
fn machine() -> String {
    let pair = &world().stack.machine.auth_string;
    format!("Bearer {}", pair.split_once(':').unwrap().1)
}

/// A person comes by the real browser, and stays.
fn browser_stays(gate: &Gate) {
    let browser = Browser::open();
    browser.goto(&format!("{}/runs", gate.origin()));
    browser.log_in("alice");
    browser.wait("Prefect's pages", |browser| browser.text().contains("Runs"));
    assert_inside(&browser, &gate.origin());
    browser.reload();
    browser.wait("the same again", |browser| browser.text().contains("Runs"));
}

/// A browser, Prefect's own client with a flow, and sockets by their first frame. Envoy knows the
/// address of each client, which no client chooses.
fn serves_everybody(gateway: &Gateway, gate: &Gate) {
    browser_stays(gate);

    let mut setup = newest();
    setup.api_url = format!("https://{}/api", gate.machine_host());
    let client = Client::new(gateway.plan.name, setup);
    let flow = checkout().join("integration/flows/hello.py");
    client.python(&[&flow.to_string_lossy()]).expect_success();

    let mut socket = Socket::opened(gate, &upgrade("/api/events/in"));
    socket.send_text(&auth(world().stack.machine.auth_string.clone()));
    assert!(socket.next(PATIENCE).unwrap().text().contains("auth_success"));
    let mut stranger = Socket::opened(gate, &upgrade("/api/events/in"));
    stranger.send_text(&auth("etl:lk_wrong"));
    assert_eq!(stranger.end(PATIENCE), End::Close(1008));

    let forged = Request::get("/api/admin/version")
        .host(gate.machine_host())
        .header("x-forwarded-for", "203.0.113.9");
    gate.from(3).send(&forged).expect(401);
    // A proxy that drops what `Connection` names must not drop its own header. One that passes it on
    // gets 400 from Envoy.
    let dropping = gate.from(4).send(&forged.header("connection", "x-forwarded-for")).status;
    assert!(matches!(dropping, 400 | 401), "{dropping}");
    eventually("the access log has the requests", PATIENCE, || {
        let log = fs::read_to_string(gateway.layout.log("access")).unwrap();
        assert!(!log.contains("203.0.113.9"), "the client chose its address: {log}");
        let known = |address: &str| log.contains(&format!("\"client\":\"{address}\""));
        (known("127.0.0.3") && (dropping == 400 || known("127.0.0.4"))).then_some(())
    });
    gateway.admin.assert_vm_alive();
}
