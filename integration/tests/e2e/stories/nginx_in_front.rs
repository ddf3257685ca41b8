//! The real nginx in front of Envoy: as users of oauth2-proxy have configured it, and as the sample
//! in `envoy/nginx` does.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use lictor_integration::layout::PREFECT_HOST;
use lictor_integration::ports;
use serde_json::json;

use super::in_the_browser::assert_inside;
use super::{Story, story};
use crate::browser::Browser;
use crate::client::{Gate, Request, plain};
use crate::cookie_client::CookieClient;
use crate::gateway::{Gateway, Plan};
use crate::http1::Answer;
use crate::keycloak_admin::{allow_callback, basic};
use crate::keycloak_login::{authenticate, callback_request, path_of};
use crate::nginx::Nginx;
use crate::prefect_client::{Client, newest, server_with};
use crate::sockets::{End, Socket, auth, upgrade};
use crate::tcp_server;
use crate::world::{checkout, eventually, world};

const ABOUT: &str = "nginx in front";
const PATIENCE: Duration = Duration::from_secs(20);

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "the configuration of oauth2-proxy's users, as it stands", || {
            as_it_stands("as-in-the-wild-oauth2.conf", false);
        }),
        story(ABOUT, "the one that injects Prefect's secret, as it stands", || {
            as_it_stands("as-in-the-wild-inject.conf", true);
        }),
        story(ABOUT, "a proxy that proves itself names the page", told),
        story(ABOUT, "nginx passes everything on: a browser, Prefect's client, sockets", whole),
        story(ABOUT, "a response may be silent for longer than nginx waits by itself", silent),
        story(ABOUT, "HTTP/1.0 opens nothing but itself", http_10),
    ]
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

/// The lines of nginx's that name its certificate.
fn certificate() -> String {
    let leaf = &world().pki.prefect;
    format!(
        "ssl_certificate {}; ssl_certificate_key {};",
        leaf.certificate.display(),
        leaf.key.display()
    )
}

/// A gateway whose public address is nginx's, with `envoy/nginx/plain.yaml` laid into Envoy.
fn behind(plan: Plan, nginx: u16, plain: u16) -> (Gateway, Gate) {
    let sample = file_of(&checkout().join("envoy/nginx/plain.yaml"));
    let (listeners, clusters) = sample.split_once("clusters:\n").unwrap();
    let listeners = listeners.split_once("listeners:\n").unwrap().1;
    let indented =
        |text: &str| -> String { text.lines().map(|line| format!("  {line}\n")).collect() };
    let listeners = replaced(indented(listeners), &[("4180", plain.to_string())]);
    let clusters = replaced(
        indented(clusters),
        &[
            ("prefect.example.com", PREFECT_HOST.to_owned()),
            ("port_value: 443", "port_value: {{https_port}}".to_owned()),
        ],
    );
    let origin = format!("https://{PREFECT_HOST}:{nginx}");
    let gateway = plan
        .patch(json!({
            "public_url": origin,
            "endpoints": { "hosts": [format!("127.0.0.1:{plain}"), PREFECT_HOST] },
            "machines": { "hosts": [format!("localhost:{nginx}")] },
        }))
        .envoy("  listeners:\n", format!("  listeners:\n{listeners}"))
        .envoy("  clusters:\n", format!("  clusters:\n{clusters}"))
        .start();
    allow_callback(&origin);
    let gate = Gate::new(&world().pki.ca, nginx);
    (gateway, gate)
}

/// No answer of nginx's own that says that it could not ask.
#[track_caller]
fn sound(answer: Answer) -> Answer {
    assert!(!matches!(answer.status, 426 | 500..=599), "{} {}", answer.status, answer.text());
    answer
}

/// nginx with this configuration of users, of which one `injects` Prefect's secret. That one does not
/// say which page it holds, so a login ends at the start.
fn as_it_stands(file: &str, injects: bool) {
    let [port, plain] = ports::unused().unwrap();
    let prefect = if injects {
        world().layout.ports.prefect
    } else {
        // Users of this one have no secret at all, and nginx guards Prefect alone.
        let api = format!("https://{PREFECT_HOST}:{port}/api");
        let settings = [("PREFECT_SERVER_API_AUTH_STRING", ""), ("PREFECT_UI_API_URL", &api)];
        server_with("open-prefect", &settings, "/api").port
    };
    let (gateway, gate) = behind(Plan::new("as-it-stands"), port, plain);
    let text = file_of(&checkout().join("integration/tests/data/nginx").join(file));
    let name = if injects { "ui.example.com" } else { "prefect.example.com" };
    let mut table = vec![
        ("listen 443 ssl;", format!("listen 127.0.0.1:{port} ssl; {}", certificate())),
        (name, PREFECT_HOST.to_owned()),
        ("127.0.0.1:4200", format!("127.0.0.1:{prefect}")),
        ("127.0.0.1:4180", format!("127.0.0.1:{plain}")),
    ];
    if injects {
        table.push(("Basic YWRtaW46c3VwZXJzZWNyZXQ=", basic(&world().secrets.prefect_auth_string)));
    }
    let _nginx = Nginx::start(port, &replaced(text, &table));

    let mut carol = CookieClient::new(&gate);
    sound(carol.fetch("/api/admin/version")).expect(401);
    let asked = sound(carol.navigate("/runs?x=1&y=2")).expect(302);
    let callback = authenticate(&mut carol, asked.location(), "carol");
    let home = carol.send(callback_request(&callback)).expect(302);
    let wanted = if injects { "/" } else { "/runs?x=1&y=2" };
    assert_eq!(home.location(), format!("{}{wanted}", gate.origin()));
    // The redirects began at the provider's site, and so the page load is cross-site.
    let mut at = path_of(home.location());
    let page = loop {
        let page = sound(carol.send(Request::get(&at).navigation_from("cross-site")));
        // Newer versions of Prefect send a browser on to their own start page.
        if page.status != 307 {
            break page;
        }
        page.location().clone_into(&mut at);
    };
    assert!(page.expect(200).text().contains("<html"));
    for site in ["none", "same-origin", "same-site"] {
        sound(carol.send(Request::get("/dashboard").navigation_from(site))).expect(200);
    }
    let version = sound(carol.fetch("/api/admin/version")).expect(200).text();
    assert_eq!(version.trim_matches('"'), world().stack.prefect.version);
    sound(carol.post("/api/flows/filter", "{}")).expect(200);
    // A form of another site: it has a content type, and most browsers say where it is from.
    let form = || Request::new("POST", "/api/flows/").form("x=1").navigation_from("cross-site");
    sound(carol.send(form())).expect(403);
    sound(carol.send(form().header("origin", "https://evil.example"))).expect(403);
    let key = Request::get("/api/admin/version").header("authorization", machine());
    sound(gate.send(&key)).expect(200);
    let wrong = Request::get("/api/admin/version").header("authorization", "Bearer lk_wrong");
    sound(gate.send(&wrong)).expect(401);

    // With a secret, Prefect's own login page is in the way, as it is without Lictor.
    if !injects {
        in_the_browser(&gate);
    }
    carol.navigate("/oauth2/sign_out").expect(200);
    sound(carol.fetch("/api/admin/version")).expect(401);
    gateway.admin.assert_vm_alive();
}

fn machine() -> String {
    let pair = &world().stack.machine.auth_string;
    format!("Bearer {}", pair.split_once(':').unwrap().1)
}

/// A person comes by the real browser, and stays.
fn in_the_browser(gate: &Gate) {
    let browser = Browser::open();
    browser.goto(&format!("{}/runs", gate.origin()));
    browser.log_in("alice");
    browser.wait("Prefect's pages", |browser| browser.text().contains("Runs"));
    assert_inside(&browser, &gate.origin());
    browser.reload();
    browser.wait("the same again", |browser| browser.text().contains("Runs"));
}

/// `X-Auth-Request-Redirect` and `X-Forwarded-*` with the secret, and without it. Envoy overwrites
/// `X-Forwarded-Proto`.
fn told() {
    const SECRET: &str = "what-only-nginx-and-lictor-know-0123456789";
    crate::canary::plant(SECRET);
    let gateway = Plan::new("told").environment("LICTOR_AUTH_REQUEST_SECRET", SECRET).start();
    let gate = &gateway.gate;
    allow_callback(&gate.origin());
    let origin = gate.origin();
    let header = |name: &'static str, value: &str| vec![(name, value.to_owned())];
    let parts = |proto: &str, host: &str| {
        vec![
            ("x-forwarded-proto", proto.to_owned()),
            ("x-forwarded-host", host.to_owned()),
            ("x-forwarded-uri", "/runs?x=1".to_owned()),
        ]
    };
    for (trusted, lines, wanted) in [
        (true, header("x-auth-request-redirect", "/runs?x=1"), "/runs?x=1"),
        (true, header("x-auth-request-redirect", &format!("{origin}/runs?x=1")), "/runs?x=1"),
        (true, header("x-auth-request-redirect", "https://evil.example/"), "/"),
        (true, parts("https", &gate.public_host()), "/runs?x=1"),
        (true, parts("https", "evil.example"), "/"),
        (false, header("x-auth-request-redirect", "/runs?x=1"), "/"),
        (false, parts("https", &gate.public_host()), "/"),
    ] {
        let mut visitor = CookieClient::new(gate);
        let mut start = Request::get("/oauth2/sign_in").navigation();
        if trusted {
            start = start.header("x-lictor-auth-request-secret", SECRET);
        }
        start = lines.iter().fold(start, |start, (name, value)| start.header(name, value));
        let asked = visitor.send(start).expect(302);
        let callback = authenticate(&mut visitor, asked.location(), "carol");
        let home = visitor.send(callback_request(&callback)).expect(302);
        assert_eq!(home.location(), format!("{origin}{wanted}"), "{trusted} {lines:?}");
    }
}

/// nginx as `envoy/nginx/nginx.conf` configures it, in front of a gateway.
fn sample(plan: Plan) -> (Nginx, Gateway, Gate) {
    let [port, plain] = ports::unused().unwrap();
    // As README.md there says.
    let plan = plan.envoy(
        "use_remote_address: true\n          xff_num_trusted_hops: 0",
        "use_remote_address: true\n          xff_num_trusted_hops: 1",
    );
    let (gateway, gate) = behind(plan, port, plain);
    let text = replaced(
        file_of(&checkout().join("envoy/nginx/nginx.conf")),
        &[
            ("listen 443 ssl http2;", format!("listen 127.0.0.1:{port} ssl http2;")),
            ("prefect.example.com", PREFECT_HOST.to_owned()),
            ("/etc/nginx/tls/fullchain.pem", world().pki.prefect.certificate.display().to_string()),
            ("/etc/nginx/tls/privkey.pem", world().pki.prefect.key.display().to_string()),
            ("/etc/nginx/tls/envoy-ca.pem", world().pki.ca.display().to_string()),
            ("127.0.0.1:8443", format!("127.0.0.1:{}", gateway.layout.ports.https)),
        ],
    );
    (Nginx::start(port, &text), gateway, gate)
}

fn whole() {
    let (_nginx, gateway, gate) = sample(Plan::new("behind-nginx"));
    in_the_browser(&gate);

    let mut setup = newest();
    setup.api_url = format!("https://{}/api", gate.machine_host());
    let client = Client::new("behind-nginx", setup);
    let flow = checkout().join("integration/flows/hello.py");
    client.python(&[&flow.to_string_lossy()]).expect_success();

    let mut socket = Socket::opened(&gate, &upgrade("/api/events/in"));
    socket.send_text(&auth(world().stack.machine.auth_string.clone()));
    assert!(socket.next(PATIENCE).unwrap().text().contains("auth_success"));
    let mut stranger = Socket::opened(&gate, &upgrade("/api/events/in"));
    stranger.send_text(&auth("etl:lk_wrong"));
    assert_eq!(stranger.end(PATIENCE), End::Close(1008));

    // The client's address is what nginx says, and not what the client says.
    let forged = Request::get("/api/admin/version")
        .host(gate.machine_host())
        .header("x-forwarded-for", "203.0.113.9");
    gate.from(3).send(&forged).expect(401);
    eventually("the access log has the request", PATIENCE, || {
        let log = fs::read_to_string(gateway.layout.log("access")).unwrap();
        assert!(!log.contains("203.0.113.9"), "the client chose its address: {log}");
        log.contains("\"client\":\"127.0.0.3\"").then_some(())
    });
    gateway.admin.assert_vm_alive();
}

/// nginx waits 60 s for the next byte by itself, and 3,600 s as the sample says.
fn silent() {
    const SILENCE: Duration = Duration::from_secs(65);
    let upstream = tcp_server::serve(|mut stream| {
        let mut head = [0; 4096];
        let _read = stream.read(&mut head);
        crate::clock::pause(SILENCE);
        let _written = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    });
    let (_nginx, _gateway, gate) = sample(Plan::new("silent").prefect(upstream));
    let request = Request::get("/api/flows/1").host(gate.machine_host());
    let answer = gate.send(&request.header("authorization", machine())).expect(200);
    assert_eq!(answer.text(), "ok");
}

/// What `accept_http_10` lets in is what nginx sends, and is judged like anything else.
fn http_10() {
    let [port, plain_port] = ports::unused().unwrap();
    let (gateway, _gate) = behind(Plan::new("http-10"), port, plain_port);
    let host = format!("{PREFECT_HOST}:{port}");
    let send = |text: String| -> Option<Answer> {
        let mut stream = crate::client::connect(plain_port).unwrap();
        crate::http1::exchange(&mut stream, text.as_bytes(), false).ok()
    };
    let ask = |lines: &str| send(format!("GET /api/admin/version HTTP/1.0\r\n{lines}\r\n"));
    let key = format!("authorization: {}\r\n", machine());
    let answer = ask(&format!("host: {host}\r\n{key}")).unwrap().expect(200);
    assert!(!answer.has("transfer-encoding"), "unknown to HTTP/1.0: {answer:?}");
    ask(&format!("host: {host}\r\n")).unwrap().expect(401);
    // Envoy reads chunks in HTTP/1.0 as well, and removes the header before Lictor sees it. They are
    // judged and sent on like any other body.
    let post = |path: &str, body: &str| {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.0\r\nhost: {host}\r\n{key}");
        let json = "content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        send(format!("{head}{json}{length:x}\r\n{body}\r\n0\r\n\r\n")).unwrap().status
    };
    assert_eq!(post("/api/flows/filter", "{\"limit\":1}"), 200);
    assert_eq!(post("/api/admin/database/clear", "{\"confirm\":true}"), 403);
    for (what, lines) in [
        ("no host", key.clone()),
        ("a host of nobody", format!("host: evil.example\r\n{key}")),
        ("an upgrade", {
            let upgrade = "connection: upgrade\r\nupgrade: websocket\r\n";
            format!("host: {host}\r\n{key}{upgrade}")
        }),
    ] {
        if let Some(answer) = ask(&lines) {
            assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
        }
    }
    // HTTP/0.9 has no version, no headers and so no host.
    if let Some(answer) = send("GET /\r\n\r\n".to_owned()) {
        assert!((400..500).contains(&answer.status), "HTTP/0.9: {answer:?}");
    }
    // Unless the client asks to keep it, a connection ends with its first response.
    let twice = format!("GET /oauth2/live HTTP/1.0\r\nhost: {host}\r\n\r\n").repeat(2);
    let mut stream = crate::client::connect(plain_port).unwrap();
    stream.write_all(twice.as_bytes()).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.").count(), 1, "{answers}");
    assert_eq!(plain(plain_port, &Request::get("/oauth2/live")).unwrap().status, 200);
    gateway.admin.assert_vm_alive();
}
