//! Both ways to verify a signature, inside the real Envoy: its own function, and the module.

use std::fs;

use lictor_integration::ports::Ports;
use lictor_integration::{envoy, module};
use serde_json::Value;

use super::{Story, story};
use crate::world::{checkout, new_layout, progress, say, world};

const ABOUT: &str = "signatures";
const SUITE: &str = "filter/core/tests/data/wycheproof/json_web_signature_test.json";
/// Valid, and refused: see `filter/core/tests/conformance/wycheproof.rs`.
const AGREED: usize = 395;

pub fn stories() -> Vec<Story> {
    vec![story(ABOUT, "Envoy's function and the module say the same of every vector", vectors)]
}

fn vectors() {
    let layout = new_layout("vectors", Ports::unused().unwrap());
    let test_module = module::build(&layout, "lictor-vectors", &progress())
        .unwrap_or_else(|error| panic!("{error}"));
    let suite = checkout().join(SUITE);
    let file = layout.state.join("vectors.yaml");
    fs::write(&file, configuration(&test_module.to_string_lossy(), &suite.to_string_lossy()))
        .unwrap();
    // Checking a configuration runs the module's own check, which is all that this module does.
    let program = &world().installed.tools.envoy;
    envoy::validate(&layout, program, &file, &world().secrets, &progress())
        .unwrap_or_else(|error| panic!("{error}"));
    let said = fs::read_to_string(layout.log("envoy-validate")).unwrap();
    assert!(said.contains("vectors done"), "the vectors were not all read:\n{said}");

    let suite: Value = serde_json::from_slice(&fs::read(suite).unwrap()).unwrap();
    let (mut total, mut agreed, mut by_envoy, mut forged) = (0, 0, 0, 0);
    for group in suite["testGroups"].as_array().unwrap() {
        let symmetric = group["private"]["kty"] == "oct";
        for test in group["tests"].as_array().unwrap() {
            let id = test["tcId"].as_u64().unwrap();
            let verdict = |by: &str| said_of(&said, id, by);
            assert_eq!(verdict("own"), verdict("host"), "the two ways disagree on vector {id}");
            let (valid, accepted) = (test["result"] == "valid", verdict("host"));
            total += 1;
            by_envoy += usize::from(verdict("asked"));
            forged += usize::from(accepted && !valid);
            // A `?` in the base64url (372, 373) is no matter of the algorithm.
            let by_policy = symmetric && !accepted && !matches!(id, 372 | 373);
            agreed += usize::from(accepted == valid || by_policy);
        }
    }
    say(&format!("conformance: wycheproof-jws (envoy) {agreed}/{total}"));
    say(&format!("{by_envoy} of {total} vectors came to Envoy's own verification"));
    assert_eq!(forged, 0, "forged signatures were accepted");
    assert_eq!(agreed, AGREED);
    assert!(by_envoy > 200, "Envoy's function was hardly asked: {by_envoy}");
}

fn said_of(said: &str, id: u64, by: &str) -> bool {
    let line = said.split(&format!("vector {id} ")).nth(1);
    let line = line.and_then(|rest| rest.lines().next());
    let line = line.unwrap_or_else(|| panic!("nothing was said of vector {id}"));
    let value = line.split_once(&format!("{by}=")).map(|(_, rest)| rest);
    value.unwrap_or_else(|| panic!("{line}")).starts_with("true")
}

fn configuration(module: &str, suite: &str) -> String {
    format!(
        r#"
static_resources:
  listeners:
  - name: none
    address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: none
          route_config: {{}}
          http_filters:
          - name: vectors
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: vectors
                vm_config:
                  vm_id: vectors
                  runtime: envoy.wasm.runtime.v8
                  code: {{ local: {{ filename: "{module}" }} }}
                configuration:
                  "@type": type.googleapis.com/google.protobuf.StringValue
                  value: {}
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
"#,
        serde_json::to_string(&fs::read_to_string(suite).unwrap()).unwrap()
    )
}
