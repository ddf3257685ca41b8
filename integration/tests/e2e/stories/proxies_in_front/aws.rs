//! Load balancers of AWS. A stand-in does what AWS documents of them: an Application Load Balancer
//! in HTTP, a Network Load Balancer in TCP with the PROXY protocol.

use std::time::{Duration, Instant};

use lictor_integration::layout::PREFECT_HOST;
use lictor_integration::ports;
use serde_json::json;

use super::nginx::as_users_have_it;
use super::{PATIENCE, behind_one, chain_and_key, named, serves_everybody};
use crate::client::{Gate, Request};
use crate::clock::starting;
use crate::cookie_client::CookieClient;
use crate::front_proxy::{FrontProxy, Program};
use crate::gateway::{Gateway, Plan};
use crate::keycloak_admin::basic;
use crate::keycloak_login::{authenticate, callback_request, is_form, log_in, open, path_of};
use crate::keycloak_versions::Keycloak;
use crate::oauth2_proxy::OAuth2Proxy;
use crate::sockets::{Socket, auth, client_frame, upgrade};
use crate::stories::{Story, story};
use crate::world::{eventually, world};

const ABOUT: &str = "AWS";
/// The longest request line and the longest line of a header (quotas of an ALB).
const LONGEST_LINE: usize = 16 * 1024;
const PING: u8 = 9;
const PONG: u8 = 10;
/// The idle timeout, if nobody has set another.
const IDLE: Duration = Duration::from_secs(60);

pub(super) fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "an ALB serves everybody, and checks health by address", alb),
        story(ABOUT, "the cookies fit through an ALB", cookies),
        story(ABOUT, "a socket without events stays open behind an ALB", idle).early(),
        story(ABOUT, "from nginx and oauth2-proxy to Envoy behind the same ALB", moved),
        story(ABOUT, "an NLB tells the client's address by the PROXY protocol", nlb),
    ]
}

/// An ALB in front of a gateway.
fn balanced(name: &'static str) -> (FrontProxy, Gateway, Gate) {
    let [port] = ports::unused().unwrap();
    let (gateway, gate) = behind_one(Plan::new(name), port);
    let alb = application_load_balancer(port, gateway.layout.ports.https, "/oauth2/live", "200");
    (alb, gateway, gate)
}

/// An ALB with an HTTPS target: it appends to `X-Forwarded-For`, speaks HTTP/1.1 to the target, does
/// not verify its certificate, and checks its health by address.
fn application_load_balancer(port: u16, target: u16, health: &str, status: &str) -> FrontProxy {
    let (pem, idle) = (chain_and_key().display(), IDLE.as_secs());
    let text = format!(
        "global
    tune.bufsize 131072
    ssl-server-verify none
defaults
    mode http
    timeout connect 10s
    timeout client {idle}s
    timeout server {idle}s
    timeout tunnel {idle}s
    timeout http-keep-alive {idle}s
frontend alb
    bind 127.0.0.1:{port} ssl crt {pem} alpn h2,http/1.1
    http-request deny deny_status 400 if {{ req.fhdr(cookie),length gt {LONGEST_LINE} }}
    http-request deny deny_status 400 if {{ req.fhdr(authorization),length gt {LONGEST_LINE} }}
    http-request deny deny_status 400 if {{ url,length gt {LONGEST_LINE} }}
    option forwardfor
    http-request set-header X-Forwarded-Proto https
    http-request set-header X-Forwarded-Port {port}
    http-request set-header X-Amzn-Trace-Id Root=1-67891233-abcdef012345678912345678
    default_backend target
backend target
    option httpchk
    http-check send meth GET uri {health} ver HTTP/1.1 hdr Host 127.0.0.1:{target}
    http-check expect status {status}
    server one 127.0.0.1:{target} ssl sni str({PREFECT_HOST}) check check-sni {PREFECT_HOST} inter 1s
"
    );
    FrontProxy::start(Program::HaProxy, port, &text)
}

fn alb() {
    let (_alb, gateway, gate) = balanced("alb");
    serves_everybody(&gateway, &gate);
    // A target that fails its checks gets no requests.
    gate.get("/oauth2/live").expect(200);
    let address = format!("127.0.0.1:{}", gateway.layout.ports.https);
    let check = Request::get("/oauth2/live").host(&address);
    gateway.gate.send(&check).expect(200);
    let ready = Request::get("/oauth2/ready").host(&address);
    gateway.gate.send(&ready).expect(200);
}

/// A person with as many open attempts as a browser keeps, each with a long deep link.
fn cookies() {
    let (_alb, _gateway, gate) = balanced("alb-cookies");
    let mut carol = CookieClient::new(&gate);
    let link = |number: usize| format!("/runs?number={number}&filter={}", "x".repeat(1000));
    let mut started = Vec::new();
    for number in 0..8 {
        let asked = carol.navigate(&link(number)).expect(302);
        started.push(asked.location().to_owned());
    }
    let callback = authenticate(&mut carol, started.last().unwrap(), "carol");
    let home = carol.send(callback_request(&callback)).expect(302);
    assert_eq!(home.location(), format!("{}{}", gate.origin(), link(7)));
    carol.fetch("/api/admin/version").expect(200);
    let header = carol.jar.header().unwrap();
    assert!(header.len() > 4_000, "no attempts are left: {}", header.len());
    assert!(header.len() < LONGEST_LINE, "{} bytes of cookies", header.len());
    // The stand-in does refuse what is longer.
    let long = Request::get("/oauth2/live").header("cookie", "x".repeat(LONGEST_LINE + 1));
    gate.send(&long).expect(400);
    carol.navigate("/oauth2/sign_out").expect(200);
    log_in(&mut carol, "/", "carol");
}

/// A client that says nothing by itself. Prefect sends a ping every 20 seconds, which it answers.
fn idle() {
    let (_alb, gateway, gate) = balanced("alb-idle");
    let mut socket = Socket::opened(&gate, &upgrade("/api/events/in"));
    socket.send_text(&auth(world().stack.machine.auth_string.clone()));
    assert!(socket.next(PATIENCE).unwrap().text().contains("auth_success"));
    let begun = Instant::now();
    while begun.elapsed() < IDLE + Duration::from_secs(15) {
        let ping = socket.next(Duration::from_secs(40)).unwrap();
        assert_eq!(ping.opcode, PING, "{ping:?}");
        socket.send(&client_frame(PONG, &ping.payload));
    }
    socket.send(&client_frame(PING, b"alive"));
    assert_eq!(socket.next(PATIENCE).unwrap().opcode, PONG);
    gateway.admin.assert_vm_alive();
}

/// Before: nginx and oauth2-proxy behind the ALB, which inject Prefect's secret, and all machines
/// with that secret at another balancer. After: Envoy behind the same ALB, for everybody.
fn moved() {
    let [port, nginx, asked] = ports::unused().unwrap();
    let origin = format!("https://{PREFECT_HOST}:{port}");
    let plan = Plan::new("alb-moved").patch(json!({ "machines": { "accept_auth_string": true } }));
    let (gateway, gate) = behind_one(plan, port);
    let mut carol = CookieClient::new(&gate);
    let machine = |credential: &str| {
        let request = Request::get("/api/admin/version").host(gate.machine_host());
        gate.send(&request.header("authorization", credential))
    };
    let shared = basic(&world().secrets.prefect_auth_string);
    {
        let _old = OAuth2Proxy::start(asked, &origin, "static://200", Keycloak::newest());
        let prefect = world().layout.ports.prefect;
        let text = as_users_have_it("as-in-the-wild-inject.conf", nginx, asked, prefect);
        let _nginx = FrontProxy::start(Program::Nginx, nginx, &text);
        let _alb = application_load_balancer(port, nginx, "/oauth2/sign_in", "302");
        let asked = carol.navigate("/").expect(302);
        let callback = authenticate(&mut carol, asked.location(), "carol");
        carol.send(callback_request(&callback)).expect(302);
        carol.fetch("/api/admin/version").expect(200);
        // Everybody may do everything, and no machine gets in here.
        carol.post("/api/flows/", r#"{"name":"by-a-viewer"}"#).expect(201);
        assert!(machine(&shared).status >= 300);
    }
    let _alb = application_load_balancer(port, gateway.layout.ports.https, "/oauth2/live", "200");
    let asked = carol.navigate("/runs").expect(302);
    let answer = open(&mut carol, asked.location());
    assert!(!is_form(&answer), "Keycloak asks again");
    carol.send(callback_request(&path_of(answer.expect(302).location()))).expect(302);
    carol.fetch("/api/admin/version").expect(200);
    carol.post("/api/flows/", r#"{"name":"by-a-viewer"}"#).expect(403);
    machine(&shared).expect(200);
    machine(&super::machine()).expect(200);
    gateway.admin.assert_vm_alive();
}

/// TLS ends at Envoy. The listener reads the client's address from the PROXY protocol's header.
fn nlb() {
    let [port] = ports::unused().unwrap();
    let inspector = "    listener_filters:\n    - name: envoy.filters.listener.tls_inspector\n";
    let reader = "    listener_filters:\n    \
        - name: envoy.filters.listener.proxy_protocol\n      \
        typed_config:\n        \
        \"@type\": type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol\n    \
        - name: envoy.filters.listener.tls_inspector\n";
    // It can't be asked before the balancer is there.
    let gateway = named(Plan::new("nlb").envoy(inspector, reader), port).start_unready();
    let gate = Gate::new(&world().pki.ca, port);
    let text = format!(
        "defaults
    mode tcp
    timeout connect 10s
    timeout client 350s
    timeout server 350s
listen nlb
    bind 127.0.0.1:{port}
    server one 127.0.0.1:{envoy} send-proxy-v2
",
        envoy = gateway.layout.ports.https
    );
    let _nlb = FrontProxy::start(Program::HaProxy, port, &text);
    starting(|| {
        eventually("ready behind the balancer", Duration::from_secs(60), || {
            let ready = gate.try_send(&Request::get("/oauth2/ready")).ok();
            ready.filter(|answer| answer.status == 200)
        })
    });
    serves_everybody(&gateway, &gate);
    // Whoever comes past the balancer, without the header, gets nothing.
    assert!(gateway.gate.try_send(&Request::get("/oauth2/live")).is_err());
}
