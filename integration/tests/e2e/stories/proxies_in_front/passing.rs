//! Proxies that pass everything on to Envoy, as their samples configure them.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use lictor_integration::layout::PREFECT_HOST;
use lictor_integration::ports;

use super::{behind_one, chain_and_key, file_of, machine, replaced, serves_everybody};
use crate::client::{Gate, Request};
use crate::clock::pause;
use crate::front_proxy::{FrontProxy, Program};
use crate::gateway::{Gateway, Plan};
use crate::stories::{Story, story};
use crate::tcp_server;
use crate::world::{checkout, world};

const ABOUT: &str = "proxies in front";

pub(super) fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "nginx passes everything on: a browser, Prefect's client, sockets", || {
            whole("behind-nginx", Program::Nginx);
        }),
        story(ABOUT, "so does Apache", || whole("behind-apache", Program::Apache)),
        story(ABOUT, "so does HAProxy", || whole("behind-haproxy", Program::HaProxy)),
        story(ABOUT, "so does Caddy", || whole("behind-caddy", Program::Caddy)),
        story(ABOUT, "a response may be silent for longer than nginx waits by itself", || {
            silent("silent-nginx", Program::Nginx);
        }),
        story(ABOUT, "and for longer than Apache does", || {
            silent("silent-apache", Program::Apache)
        }),
    ]
}

/// The program with its sample, in front of a gateway.
fn sample(plan: Plan, program: Program) -> (FrontProxy, Gateway, Gate) {
    let [port] = ports::unused().unwrap();
    let (gateway, gate) = behind_one(plan, port);
    let text = configuration(program, port, gateway.layout.ports.https);
    (FrontProxy::start(program, port, &text), gateway, gate)
}

/// The program's sample: it listens on `port`, and Envoy on the other one.
pub(super) fn configuration(program: Program, port: u16, envoy: u16) -> String {
    let leaf = &world().pki.prefect;
    let (certificate, key) = (leaf.certificate.display(), leaf.key.display());
    let (chain, private) = (certificate.to_string(), key.to_string());
    let name = || ("prefect.example.com", PREFECT_HOST.to_owned());
    let envoy = ("127.0.0.1:8443", format!("127.0.0.1:{envoy}"));
    let ca = world().pki.ca.display().to_string();
    let (file, table) = match program {
        Program::Nginx => (
            "nginx/nginx.conf",
            vec![
                ("listen 443 ssl http2;", format!("listen 127.0.0.1:{port} ssl http2;")),
                name(),
                ("/etc/nginx/tls/fullchain.pem", chain),
                ("/etc/nginx/tls/privkey.pem", private),
                ("/etc/nginx/tls/envoy-ca.pem", ca),
            ],
        ),
        Program::Apache => (
            "proxies/apache.conf",
            vec![
                ("*:443", format!("127.0.0.1:{port}")),
                name(),
                ("/etc/apache2/tls/fullchain.pem", chain),
                ("/etc/apache2/tls/privkey.pem", private),
                ("/etc/apache2/tls/envoy-ca.pem", ca),
            ],
        ),
        Program::HaProxy => (
            "proxies/haproxy.cfg",
            vec![
                ("bind :443", format!("bind 127.0.0.1:{port}")),
                name(),
                ("/etc/haproxy/tls/prefect.pem", chain_and_key().display().to_string()),
                ("/etc/haproxy/tls/envoy-ca.pem", ca),
            ],
        ),
        Program::Caddy => (
            "proxies/Caddyfile",
            vec![
                // Two names here, because machines have one of their own.
                (
                    "\nprefect.example.com {",
                    format!("\nhttps://{PREFECT_HOST}:{port}, https://localhost:{port} {{"),
                ),
                name(),
                ("/etc/caddy/tls/fullchain.pem", chain),
                ("/etc/caddy/tls/privkey.pem", private),
                ("/etc/caddy/tls/envoy-ca.pem", ca),
            ],
        ),
    };
    let text = file_of(&checkout().join("envoy").join(file));
    replaced(replaced(text, &table), &[envoy])
}

fn whole(name: &'static str, program: Program) {
    let (_proxy, gateway, gate) = sample(Plan::new(name), program);
    serves_everybody(&gateway, &gate);
}

/// The program waits 60 s for the next byte by itself, and 3,600 s as the sample says.
fn silent(name: &'static str, program: Program) {
    const SILENCE: Duration = Duration::from_secs(65);
    let upstream = tcp_server::serve(|mut stream| {
        let mut head = [0; 4096];
        let _read = stream.read(&mut head);
        pause(SILENCE);
        let _written = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    });
    let (_proxy, _gateway, gate) = sample(Plan::new(name).prefect(upstream), program);
    let request = Request::get("/api/flows/1").host(gate.machine_host());
    let answer = gate.send(&request.header("authorization", machine())).expect(200);
    assert_eq!(answer.text(), "ok");
}
