//! The real nginx as users of oauth2-proxy have configured it, with Envoy in the place of
//! oauth2-proxy.

use std::io::{Read as _, Write as _};

use lictor_integration::layout::PREFECT_HOST;
use lictor_integration::ports;
use serde_json::json;

use super::{browser_stays, file_of, machine, replaced};
use crate::client::{Gate, Request, plain};
use crate::cookie_client::CookieClient;
use crate::front_proxy::{FrontProxy, Program};
use crate::gateway::{Gateway, Plan};
use crate::http1::Answer;
use crate::keycloak_admin::{allow_callback, basic};
use crate::keycloak_login::{authenticate, callback_request, path_of};
use crate::prefect_client::server_with;
use crate::stories::{Story, story};
use crate::world::{checkout, world};

const ABOUT: &str = "nginx in front";

pub(super) fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "the configuration of oauth2-proxy's users, as it stands", || {
            as_it_stands("as-in-the-wild-oauth2.conf", false);
        }),
        story(ABOUT, "the one that injects Prefect's secret, as it stands", || {
            as_it_stands("as-in-the-wild-inject.conf", true);
        }),
        story(ABOUT, "an Ingress of ingress-nginx with its annotations", || ingress(true)),
        story(ABOUT, "the same without the secret", || ingress(false)),
        story(ABOUT, "a proxy that proves itself names the page", told),
        story(ABOUT, "HTTP/1.0 opens nothing but itself", http_10),
    ]
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
pub(super) fn asked_without_tls(plan: Plan, nginx: u16, plain: u16) -> (Gateway, Gate) {
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
    let hosts = json!([format!("127.0.0.1:{plain}"), PREFECT_HOST]);
    let plan = plan
        .envoy("  listeners:\n", format!("  listeners:\n{listeners}"))
        .envoy("  clusters:\n", format!("  clusters:\n{clusters}"))
        .patch(json!({ "endpoints": { "hosts": hosts } }));
    super::behind(plan, nginx)
}

/// No answer of nginx's own that says that it could not ask.
#[track_caller]
fn sound(answer: Answer) -> Answer {
    assert!(!matches!(answer.status, 426 | 500..=599), "{} {}", answer.status, answer.text());
    answer
}

/// This configuration of users: it listens on `port`, and asks whoever is at `asked`.
pub(super) fn as_users_have_it(file: &str, port: u16, asked: u16, prefect: u16) -> String {
    let text = file_of(&checkout().join("integration/tests/data/nginx").join(file));
    let injects = text.contains("ui.example.com");
    let name = if injects { "ui.example.com" } else { "prefect.example.com" };
    let mut table = vec![
        ("listen 443 ssl;", format!("listen 127.0.0.1:{port} ssl; {}", certificate())),
        (name, PREFECT_HOST.to_owned()),
        ("127.0.0.1:4200", format!("127.0.0.1:{prefect}")),
        ("127.0.0.1:4180", format!("127.0.0.1:{asked}")),
    ];
    if injects {
        table.push(("Basic YWRtaW46c3VwZXJzZWNyZXQ=", basic(&world().secrets.prefect_auth_string)));
    }
    replaced(text, &table)
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
    let (gateway, gate) = asked_without_tls(Plan::new("as-it-stands"), port, plain);
    let _nginx =
        FrontProxy::start(Program::Nginx, port, &as_users_have_it(file, port, plain, prefect));

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
        browser_stays(&gate);
    }
    carol.navigate("/oauth2/sign_out").expect(200);
    sound(carol.fetch("/api/admin/version")).expect(401);
    gateway.admin.assert_vm_alive();
}

/// What ingress-nginx renders for its annotations. It names the page by an absolute `rd`.
fn ingress(with_secret: bool) {
    const SECRET: &str = "what-only-the-ingress-and-lictor-know-012345";
    const SERVICE: &str = "envoy.prefect.svc.cluster.local";
    crate::canary::plant(SECRET);
    let [port] = ports::unused().unwrap();
    let plan = Plan::new("ingress").patch(json!({ "endpoints": { "hosts": [SERVICE] } }));
    let plan =
        if with_secret { plan.environment("LICTOR_AUTH_REQUEST_SECRET", SECRET) } else { plan };
    let (gateway, gate) = super::behind_one(plan, port);
    let text = file_of(&checkout().join("integration/tests/data/nginx/ingress-nginx.conf"));
    let envoy = format!("https://127.0.0.1:{}", gateway.layout.ports.https);
    let credential = basic(&world().secrets.prefect_auth_string);
    let told = "        proxy_set_header X-Lictor-Auth-Request-Secret \"…\";
        proxy_set_header X-Original-URI \"$request_uri\";\n";
    let instead = if with_secret { told.replace('…', SECRET) } else { String::new() };
    let text = replaced(
        text,
        &[
            (told, instead),
            ("listen 443 ssl http2;", format!("listen 127.0.0.1:{port} ssl; {}", certificate())),
            ("prefect.example.com", PREFECT_HOST.to_owned()),
            ("https://envoy.prefect.svc.cluster.local", envoy),
            ("127.0.0.1:4200", format!("127.0.0.1:{}", world().layout.ports.prefect)),
            ("Authorization \"Basic …\"", format!("Authorization \"{credential}\"")),
        ],
    );
    let escaped = "map $request_uri $escaped_request_uri {
        default %2F; '/runs?x=1&y=2' %2Fruns%3Fx%3D1%26y%3D2;
    }";
    let _nginx = FrontProxy::start(Program::Nginx, port, &format!("{escaped}\n{text}"));

    let mut carol = CookieClient::new(&gate);
    let asked = sound(carol.navigate("/runs?x=1&y=2")).expect(302);
    let start = path_of(asked.location());
    assert!(start.contains(&format!("rd={}%2Fruns", gate.origin())), "{start}");
    let start = sound(carol.navigate(&start)).expect(302);
    let callback = authenticate(&mut carol, start.location(), "carol");
    let home = carol.send(callback_request(&callback)).expect(302);
    assert_eq!(home.location(), format!("{}/runs?x=1&y=2", gate.origin()));
    let page = carol.send(Request::get("/dashboard").navigation_from("cross-site"));
    assert!(matches!(page.status, 200 | 307), "{page:?}");
    sound(carol.fetch("/api/admin/version")).expect(200);
    sound(carol.post("/api/flows/filter", "{}")).expect(200);
    // Only with the secret does Lictor know what the request is.
    let write = sound(carol.post("/api/flows/", r#"{"name":"ingress"}"#));
    assert!(if with_secret { write.status == 403 } else { write.status < 300 }, "{write:?}");
    let form = Request::new("POST", "/api/flows/").form("x=1").navigation_from("cross-site");
    sound(carol.send(form)).expect(403);
    let key = Request::get("/api/admin/version").header("authorization", machine());
    sound(gate.send(&key)).expect(200);
    let wrong = Request::get("/api/admin/version").header("authorization", "Bearer lk_wrong");
    // The controller sends everybody to the login, a machine as well.
    sound(gate.send(&wrong)).expect(302);
    gateway.admin.assert_vm_alive();
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

/// What `accept_http_10` lets in is what nginx sends, and is judged like anything else.
fn http_10() {
    let [port, plain_port] = ports::unused().unwrap();
    let (gateway, _gate) = asked_without_tls(Plan::new("http-10"), port, plain_port);
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
