//! Lictor's own client at Keycloak proves itself by the certificate that Envoy's cluster shows (RFC
//! 8705), as docs/configuration.md says.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lictor_integration::download::KEYCLOAK;
use lictor_integration::ports;
use serde_json::json;

use super::certificates::authority;
use super::{Story, story};
use crate::client::Request;
use crate::clock::pause;
use crate::cookie_client::CookieClient;
use crate::gateway::Plan;
use crate::keycloak_admin::{REALM, admin_at, basic, text};
use crate::keycloak_login::{authenticate, callback_request, log_in};
use crate::world::world;

const ABOUT: &str = "mutual TLS with Keycloak";
/// Of Lictor's certificate.
const SUBJECT: &str = "lictor.example.com";

pub fn stories() -> Vec<Story> {
    vec![
        story(
            ABOUT,
            "logins, rechecks and sign-outs without any secret of the client",
            certificate,
        )
        .own_provider()
        .early()
        .heavy(),
    ]
}

struct Files {
    ca: PathBuf,
    keycloak: [PathBuf; 2],
    lictor: [PathBuf; 2],
}

/// An authority, and the certificates of both ends.
fn files(folder: &Path) -> Files {
    let ca = authority("of Keycloak and its clients", None);
    let write = |name: &str, content: &str| {
        let path = folder.join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let pair = |name: &str, subject: &str| {
        let (certificate, key) = ca.pair(subject);
        [write(&format!("{name}.pem"), &certificate), write(&format!("{name}.key"), &key)]
    };
    Files {
        ca: write("mutual-ca.pem", ca.pem()),
        keycloak: pair("mutual-keycloak", "keycloak.internal"),
        lictor: pair("mutual-lictor", SUBJECT),
    }
}

/// The cluster of the sample, by TLS with a certificate.
fn plan(files: &Files, https: u16) -> Plan {
    let plan = Plan::new("mutual-tls").own_keycloak();
    let endpoints = |cluster: &str, port: u16| {
        format!(
            "\n      cluster_name: {cluster}\n      endpoints:\n      - lb_endpoints:\n        \
             - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }}\n"
        )
    };
    let plain = plan.keycloak_port;
    let path = |path: &Path| json!(path.display().to_string());
    let [certificate, key] = &files.lictor;
    let tls = format!(
        "    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: keycloak.internal
        common_tls_context:
          tls_certificates:
          - certificate_chain: {{ filename: {} }}
            private_key: {{ filename: {} }}
          validation_context:
            trusted_ca: {{ filename: {} }}
            match_typed_subject_alt_names:
            - {{ san_type: DNS, matcher: {{ exact: keycloak.internal }} }}
    load_assignment:{}",
        path(certificate),
        path(key),
        path(&files.ca),
        endpoints("idp", https)
    );
    plan.envoy(format!("    load_assignment: &keycloak_endpoints{}", endpoints("idp", plain)), tls)
        .envoy(
            "    load_assignment: *keycloak_endpoints\n",
            format!("    load_assignment:{}", endpoints("keycloak", plain)),
        )
        .patch(json!({
            "idp": {
                "client_auth": "tls_client_auth",
                "internal_url": format!("https://keycloak.internal:{https}/realms/{REALM}"),
            },
            "session": { "recheck": "1s" },
        }))
}

fn certificate() {
    let [https] = ports::unused().unwrap();
    let files = files(&world().layout.state);
    let mut secrets = world().secrets.clone();
    // What Envoy is told must not be what lets anybody in.
    secrets.client_secret = "unused-secret-of-the-client".to_owned();
    let mut plan = plan(&files, https);
    plan.secrets = secrets;
    let gateway = plan.start_unready();
    let [certificate, key] = &files.keycloak;
    let arguments = [
        format!("--https-port={https}"),
        format!("--https-certificate-file={}", certificate.display()),
        format!("--https-certificate-key-file={}", key.display()),
        format!("--truststore-paths={},{}", world().pki.ca.display(), files.ca.display()),
    ];
    let _keycloak = gateway.start_keycloak_with(&KEYCLOAK, &arguments);
    let port = gateway.layout.ports.keycloak;

    let mut client = admin_at(port, "GET", "/clients?clientId=prefect", None).json()[0].take();
    let id = text(&client, "id");
    client["clientAuthenticatorType"] = "client-x509".into();
    client["attributes"]["x509.subjectdn"] = format!("CN={SUBJECT}").into();
    client["attributes"]["x509.allow.regex.pattern.comparison"] = "false".into();
    admin_at(port, "PUT", &format!("/clients/{id}"), Some(&client));

    let mut alice = CookieClient::new(&gateway.gate);
    alice.to_keycloak = gateway.gate.clone();
    let home = log_in(&mut alice, "/runs", "alice");
    assert_eq!(home.location(), format!("{}/runs", gateway.gate.origin()));
    for _ in 0..3 {
        pause(Duration::from_millis(1100));
        alice.fetch("/api/admin/version").expect(200);
    }
    alice.navigate("/oauth2/sign_out").expect(200);
    alice.fetch("/api/admin/version").expect(401);
    // A worker's client goes on with its secret, by the same connection.
    let pair = format!("etl-worker:{}", world().secrets.worker_client_secret);
    let machine = Request::get("/api/admin/version").host(gateway.gate.machine_host());
    gateway.gate.send(&machine.header("authorization", basic(&pair))).expect(200);

    // Another certificate is another client.
    client["attributes"]["x509.subjectdn"] = "CN=somebody-else".into();
    admin_at(port, "PUT", &format!("/clients/{id}"), Some(&client));
    let asked = alice.navigate("/").expect(302);
    let callback = authenticate(&mut alice, asked.location(), "alice");
    alice.send(callback_request(&callback)).expect(502);
    gateway.admin.assert_vm_alive();
}
