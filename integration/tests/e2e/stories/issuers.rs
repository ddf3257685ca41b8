//! Further issuers: a CI job's and a pod's token, and a second realm of the real Keycloak.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::people::assert_refusal;
use super::{Story, story};
use crate::client::Request;
use crate::gateway::{Gateway, Plan};
use crate::keycloak_admin::{add_partner_realm, partner_token};
use crate::recorder::Recorder;
use crate::scripted_idp::ScriptedIdp;
use crate::scripted_idp::idp::{merge, sign_as};
use crate::world::{eventually, world};

const ABOUT: &str = "issuers";
const GITHUB: &str = "https://token.actions.githubusercontent.com";
const CLUSTER: &str = "https://kubernetes.default.svc.cluster.local";

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "a CI job of our repository and a pod of ours call Prefect", ci_and_pods)
            .own_provider(),
        story(ABOUT, "a second realm's worker calls Prefect", second_realm).apart(),
    ]
}

fn cluster(name: &str, port: u16) -> String {
    format!(
        "  clusters:

  - name: {name}
    type: STATIC
    connect_timeout: 2s
    load_assignment:
      cluster_name: {name}
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }}
"
    )
}

#[track_caller]
fn ask(gateway: &Gateway, method: &str, path: &str, token: &str) -> crate::http1::Answer {
    let request = Request::new(method, path).header("authorization", format!("Bearer {token}"));
    gateway.gate.send(&request)
}

fn ci_and_pods() {
    let (idp, recorder) = (ScriptedIdp::start(), Recorder::start());
    let keys = |name: &str| format!("http://127.0.0.1:{}/further/{name}/certs", idp.port);
    let issuers = json!([
        {
            "issuer": GITHUB, "jwks_uri": keys("github"), "cluster": "issuers",
            "audiences": ["prefect-ci"], "role": "operator",
            "claims": { "repository": "example/flows", "ref": ["refs/heads/main"] },
        },
        {
            "issuer": CLUSTER, "jwks_uri": keys("kubernetes"), "cluster": "issuers",
            "audiences": ["prefect-api"], "role": "worker",
            "claims": { "sub": "system:serviceaccount:flows:worker" },
        },
    ]);
    let gateway = Plan::new("issuers")
        .prefect(recorder.port)
        .envoy("  clusters:\n", cluster("issuers", idp.port))
        .patch(json!({ "machines": { "issuers": issuers } }))
        .start();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let times = |mut claims: Value| {
        claims["iat"] = now.into();
        claims["nbf"] = now.into();
        claims["exp"] = (now + 300).into();
        claims
    };
    let job = times(json!({
        "iss": GITHUB, "aud": "prefect-ci", "sub": "repo:example/flows:ref:refs/heads/main",
        "repository": "example/flows", "ref": "refs/heads/main", "workflow": "deploy", "jti": "1",
    }));
    let pod = times(json!({
        "iss": CLUSTER, "aud": ["prefect-api"], "sub": "system:serviceaccount:flows:worker",
        "kubernetes.io": { "namespace": "flows" },
    }));
    let good = sign_as("github", "JWT", &job);
    // The keys are fetched as soon as Envoy runs; the first request may be faster.
    eventually("the keys are there", Duration::from_secs(5), || {
        (ask(&gateway, "GET", "/api/flows/1", &good).status == 200).then_some(())
    });
    recorder.take();
    ask(&gateway, "POST", "/api/deployments/1/create_flow_run", &good).expect(200);
    ask(&gateway, "GET", "/api/flows/1", &sign_as("kubernetes", "JWT", &pod)).expect(200);
    let seen = recorder.take();
    assert_eq!(seen.heads.len(), 2);
    let job_head = seen.heads[0].to_ascii_lowercase();
    assert!(job_head.contains("x-auth-request-user: client:https://token.actions"), "{job_head}");
    assert!(!job_head.contains(&good.to_ascii_lowercase()), "the token itself went on");
    others_are_refused(&gateway, &job);
    assert_eq!(recorder.take().heads.len(), 0);
}

/// Jobs that are not ours.
fn others_are_refused(gateway: &Gateway, job: &Value) {
    for (patch, why) in [
        (json!({ "repository": "evil/flows" }), "another repository"),
        (json!({ "ref": "refs/pull/7/merge" }), "another branch"),
        (json!({ "aud": "https://github.com/example" }), "the default audience"),
    ] {
        let mut claims = job.clone();
        merge(&mut claims, &patch);
        let answer = ask(gateway, "GET", "/api/flows/1", &sign_as("github", "JWT", &claims));
        assert_eq!(answer.status, 401, "{why}");
        assert_refusal(&answer, "invalid_token");
    }
    // A pod's key signs for pods alone.
    let forged = sign_as("kubernetes", "JWT", job);
    assert!(matches!(ask(gateway, "GET", "/api/flows/1", &forged).status, 401 | 503));
}

fn second_realm() {
    let issuer = add_partner_realm("partner");
    let inside = format!("http://127.0.0.1:{}", world().layout.ports.keycloak);
    let gateway = Plan::new("realm")
        .patch(json!({ "machines": { "issuers": [{
            "issuer": issuer,
            "jwks_uri": format!("{inside}/realms/partner/protocol/openid-connect/certs"),
            "cluster": "idp", "profile": "keycloak", "audiences": ["prefect"],
        }] } }))
        .start();
    let token = partner_token("partner");
    eventually("the keys are there", Duration::from_secs(5), || {
        (ask(&gateway, "GET", "/api/admin/version", &token).status == 200).then_some(())
    });
    assert_refusal(&ask(&gateway, "DELETE", "/api/flows/1", &token).expect(403), "role_missing");
    // The stack's own gate knows nothing of that realm.
    let request =
        Request::get("/api/admin/version").header("authorization", format!("Bearer {token}"));
    assert_refusal(&world().gate.send(&request).expect(401), "invalid_token");
}
