//! Proxies that pass everything on to Envoy, as their samples configure them.

use std::env;
use std::io::{Read as _, Write as _};
use std::time::Duration;

use lictor_integration::layout::PREFECT_HOST;
use lictor_integration::ports;

use super::{behind_one, chain_and_key, file_of, machine, replaced, serves_everybody};
use crate::client::{Gate, Request};
use crate::clock::pause;
use crate::front_proxy::{FrontProxy, Program};
use crate::gateway::{Gateway, Plan};
use crate::http1::exchange;
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
        story(ABOUT, "so does Traefik", || whole("behind-traefik", Program::Traefik)).long(),
        story(ABOUT, "a response may be silent for longer than nginx waits by itself", || {
            silent("silent-nginx", Program::Nginx);
        }),
        story(ABOUT, "and for longer than Apache does", || {
            silent("silent-apache", Program::Apache)
        }),
        story(ABOUT, "and for longer than Traefik does", || {
            silent("silent-traefik", Program::Traefik)
        })
        .long(),
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
        Program::Traefik => ("proxies/traefik-passing.yaml", [of_traefik(), vec![name()]].concat()),
    };
    let text = file_of(&checkout().join("envoy").join(file));
    replaced(replaced(text, &table), &[envoy])
}

/// What is the tests' own in both samples of Traefik.
pub(super) fn of_traefik() -> Vec<(&'static str, String)> {
    let leaf = &world().pki.prefect;
    vec![
        // Two names here, because machines have one of their own.
        ("Host(`prefect.example.com`)", format!("(Host(`{PREFECT_HOST}`) || Host(`localhost`))")),
        ("/etc/traefik/tls/fullchain.pem", leaf.certificate.display().to_string()),
        ("/etc/traefik/tls/privkey.pem", leaf.key.display().to_string()),
        ("/etc/traefik/tls/envoy-ca.pem", world().pki.ca.display().to_string()),
    ]
}

fn whole(name: &'static str, program: Program) {
    let (_proxy, gateway, gate) = sample(Plan::new(name), program);
    serves_everybody(&gateway, &gate);
}

/// How long a response is silent. The programs wait 60 s by themselves, and 3,600 s as their samples
/// say. `LICTOR_SILENCE` is a number of seconds below that.
fn silence() -> Duration {
    let chosen = env::var("LICTOR_SILENCE").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(chosen.unwrap_or(65))
}

fn silent(name: &'static str, program: Program) {
    let silence = silence();
    let upstream = tcp_server::serve(move |mut stream| {
        let mut head = [0; 4096];
        let _read = stream.read(&mut head);
        pause(silence);
        let _written = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    });
    // What an operator changes in Envoy for longer ones.
    let all = |idle: &str| {
        let route =
            "- match: { prefix: / }\n                route:\n                  cluster: prefect";
        format!("{route}\n                  timeout: 0s\n                  idle_timeout: {idle}")
    };
    let mut plan = Plan::new(name).prefect(upstream);
    if silence >= Duration::from_secs(120) {
        plan = plan.envoy(all("120s"), all("3600s"));
    }
    let (_proxy, _gateway, gate) = sample(plan, program);
    let request = Request::get("/api/flows/1").host(gate.machine_host());
    let request = request.header("authorization", machine()).bytes("");
    let mut stream = gate.connect("localhost").unwrap();
    stream.sock.set_read_timeout(Some(silence + Duration::from_secs(30))).unwrap();
    let answer = exchange(&mut stream, &request, false).unwrap().expect(200);
    assert_eq!(answer.text(), "ok");
}
