//! A provider with endpoints at several origins: Envoy calls those that have a cluster, and no
//! other.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Story, story};
use crate::client::Request;
use crate::gateway::Gateway;
use crate::keycloak_admin::basic;
use crate::recorder::Recorder;
use crate::scripted_idp::{CERTS, ELSEWHERE, METADATA, ScriptedGateway, ScriptedIdp};
use crate::world::eventually;

const ABOUT: &str = "origins of a provider";
const TOKEN: &str = "/realms/prefect/token";
const FIRST_CLUSTER: &str = "\n  - name: idp\n";

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "endpoints are called at the clusters of their origins", named).own_provider(),
        story(ABOUT, "an origin without a cluster is not called, and the log names it", unnamed)
            .own_provider(),
    ]
}

/// A provider whose token endpoint and keys are at two further origins, and a gate with a cluster
/// for both that may be named in the settings.
fn started(name: &'static str, settings: &Value) -> (ScriptedIdp, Recorder, Gateway) {
    let (idp, recorder) = (ScriptedIdp::start(), Recorder::start());
    let issuer = idp.settings()["issuer"].as_str().unwrap().to_owned();
    idp.script().instead_of_metadata = Some(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("https://oauth2.example.net{TOKEN}"),
        "jwks_uri": format!("https://www.example.net{CERTS}"),
    }));
    let endpoint = format!(
        "endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {} }} }} }}",
        idp.elsewhere()
    );
    let cluster = format!(
        "\n  - name: further
    type: STATIC
    connect_timeout: 2s
    load_assignment:
      cluster_name: further
      endpoints:
      - lb_endpoints:
        - {endpoint}\n"
    );
    let gateway = ScriptedGateway::plan(name, &idp, &recorder, settings)
        .envoy(FIRST_CLUSTER, format!("{cluster}{FIRST_CLUSTER}"))
        .start_unready();
    (idp, recorder, gateway)
}

fn elsewhere(path: &str) -> String {
    format!("{ELSEWHERE}{path}")
}

fn named() {
    let clusters =
        json!({ "https://oauth2.example.net": "further", "https://www.example.net": "further" });
    let (idp, recorder, gateway) = started("origins", &json!({ "idp": { "clusters": clusters } }));
    gateway.wait_ready();
    gateway.gate.version_by(&idp.worker_token()).expect(200);
    let pair = basic("etl-worker:planted-secret-of-etl");
    let by_client = Request::get("/api/admin/version")
        .host(gateway.gate.machine_host())
        .header("authorization", pair);
    gateway.gate.send(&by_client).expect(200);
    assert_eq!(recorder.take().heads.len(), 2);
    assert_eq!([METADATA, CERTS, TOKEN].map(|path| idp.asked(path)), [1, 0, 0]);
    let further = [METADATA, CERTS, TOKEN].map(|path| idp.asked(&elsewhere(path)));
    assert_eq!(further, [0, 1, 1]);
    gateway.admin.assert_vm_alive();
}

fn unnamed() {
    let clusters = json!({ "https://www.example.net": "further" });
    let (idp, recorder, gateway) =
        started("no-origin", &json!({ "idp": { "clusters": clusters } }));
    gateway.wait_live();
    let line = "wanted \"idp.clusters: {\"https://oauth2.example.net\": \"<cluster>\"}\"";
    eventually("the log says which line to add", Duration::from_secs(20), || {
        fs::read_to_string(gateway.layout.log("envoy")).unwrap().contains(line).then_some(())
    });
    let gate = &gateway.gate;
    assert_eq!(gate.get("/oauth2/ready").status, 503);
    gate.send(&Request::get("/runs").navigation()).expect(503);
    assert_eq!(gate.version_by(&idp.worker_token()).status, 503);
    assert_eq!(recorder.take().heads, Vec::<String>::new());
    assert!(idp.asked(METADATA) > 0);
    for path in [METADATA, CERTS, TOKEN] {
        assert_eq!(idp.asked(&elsewhere(path)), 0, "{path}");
    }
    gateway.admin.assert_vm_alive();
}
