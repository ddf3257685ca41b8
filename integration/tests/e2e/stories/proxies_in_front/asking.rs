//! Proxies that ask Lictor about each request and pass it to Prefect themselves, as their samples
//! configure them: with the secret, so that Lictor judges the exact operation.

use std::time::Duration;

use lictor_integration::layout::PREFECT_HOST;
use lictor_integration::ports;
use serde_json::json;

use super::passing::of_traefik;
use super::{behind_one, file_of, machine, replaced};
use crate::browser::Browser;
use crate::canary;
use crate::client::{Gate, Request};
use crate::clock::pause;
use crate::cookie_client::CookieClient;
use crate::front_proxy::{FrontProxy, Program};
use crate::gateway::{Gateway, Plan};
use crate::keycloak_admin::basic;
use crate::keycloak_login::{authenticate, callback_request, log_in};
use crate::recorder::Recorder;
use crate::sockets::{Socket, upgrade};
use crate::stories::in_the_browser::{assert_inside, choose_ui, some_runs};
use crate::stories::{Story, story};
use crate::world::{checkout, world};

const ABOUT: &str = "proxies that ask";
const SECRET: &str = "what-only-the-proxy-and-lictor-know-0123456789";
/// How long a verdict on a session counts: a later one may renew its cookie.
const RECHECK: Duration = Duration::from_secs(2);

pub(super) fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "nginx: logins, both UIs, operations by role, sockets, sign-out", || {
            whole("nginx-asks", Program::Nginx);
        }),
        story(ABOUT, "the same with Caddy", || whole("caddy-asks", Program::Caddy)),
        story(ABOUT, "the same with Traefik", || whole("traefik-asks", Program::Traefik)).long(),
        story(ABOUT, "Prefect gets from nginx what Lictor has judged, and nothing else", || {
            received("nginx-told", Program::Nginx);
        }),
        story(ABOUT, "and from Caddy", || received("caddy-told", Program::Caddy)),
        story(ABOUT, "and from Traefik", || received("traefik-told", Program::Traefik)).long(),
    ]
}

/// The program with its sample, in front of Prefect and of a gateway that it asks.
fn sample(name: &'static str, program: Program, prefect: u16) -> (FrontProxy, Gateway, Gate) {
    canary::plant(SECRET);
    let [port] = ports::unused().unwrap();
    let plan = Plan::new(name)
        .environment("LICTOR_AUTH_REQUEST_SECRET", SECRET)
        .patch(json!({ "session": { "recheck": format!("{}s", RECHECK.as_secs()) } }));
    let plan = if matches!(program, Program::Traefik) { named_by_traefik(plan) } else { plan };
    let (gateway, gate) = behind_one(plan, port);
    let leaf = &world().pki.prefect;
    let (chain, key) = (leaf.certificate.display().to_string(), leaf.key.display().to_string());
    let credential = basic(&world().secrets.prefect_auth_string);
    let (file, table) = match program {
        Program::Nginx => (
            "nginx/auth-request.conf",
            vec![
                ("listen 443 ssl http2;", format!("listen 127.0.0.1:{port} ssl http2;")),
                ("/etc/nginx/tls/fullchain.pem", chain),
                ("/etc/nginx/tls/privkey.pem", key),
                ("/etc/nginx/tls/envoy-ca.pem", world().pki.ca.display().to_string()),
                ("\"Basic …\"", format!("\"{credential}\"")),
                ("Secret \"…\"", format!("Secret \"{SECRET}\"")),
            ],
        ),
        Program::Caddy => (
            "proxies/Caddyfile.forward-auth",
            vec![
                (
                    "\nprefect.example.com {",
                    format!("\nhttps://{PREFECT_HOST}:{port}, https://localhost:{port} {{"),
                ),
                ("/etc/caddy/tls/fullchain.pem", chain),
                ("/etc/caddy/tls/privkey.pem", key),
                ("/etc/caddy/tls/envoy-ca.pem", world().pki.ca.display().to_string()),
                ("{$PREFECT_AUTHORIZATION}", credential),
                ("{$LICTOR_AUTH_REQUEST_SECRET}", SECRET.to_owned()),
            ],
        ),
        Program::Traefik => {
            let mut table = of_traefik();
            let envoy = gateway.layout.ports.https;
            table.extend([
                ("localhost:8443", format!("localhost:{envoy}")),
                (r#"{{ env "PREFECT_AUTHORIZATION" }}"#, credential),
                (r#"{{ env "LICTOR_AUTH_REQUEST_SECRET" }}"#, SECRET.to_owned()),
            ]);
            ("proxies/traefik-asking.yaml", table)
        }
        Program::Apache | Program::HaProxy => panic!("it asks nobody by itself"),
    };
    let addresses = [
        ("prefect.example.com", PREFECT_HOST.to_owned()),
        ("127.0.0.1:8443", format!("127.0.0.1:{}", gateway.layout.ports.https)),
        ("127.0.0.1:4200", format!("127.0.0.1:{prefect}")),
    ];
    let text = file_of(&checkout().join("envoy").join(file));
    let text = replaced(replaced(text, &table), &addresses);
    (FrontProxy::start(program, port, &text), gateway, gate)
}

/// Traefik asks by the name and port of its address.
fn named_by_traefik(plan: Plan) -> Plan {
    const NAME: &str = "localhost:{{https_port}}";
    plan.patch(json!({ "endpoints": { "hosts": [NAME] } })).envoy(NAME, NAME)
}

fn whole(name: &'static str, program: Program) {
    let (_proxy, gateway, gate) = sample(name, program, world().layout.ports.prefect);
    older_browsers(&gate, program);
    people(&gate, program);
    machines(&gate);
    sockets(&gate);
    lies(&gate);
    both_uis(&gate);
    gateway.admin.assert_vm_alive();
}

/// Whatever the path and the headers of a client.
fn received(name: &'static str, program: Program) {
    let prefect = Recorder::start();
    let (_proxy, gateway, gate) = sample(name, program, prefect.port);
    let credential = basic(&world().secrets.prefect_auth_string).to_ascii_lowercase();
    let asks = |path: &str| {
        Request::get(path).host(gate.machine_host()).headers(&[
            ("cookie", "a=cookie-of-the-client"),
            ("prefect-automation-id", "an-automation"),
            ("prefect-automation-name", "an-automation"),
            ("x-forwarded-for", "203.0.113.9"),
            ("forwarded", "for=203.0.113.9"),
        ])
    };
    for path in ["/api/flows/1", "/api/flows/1?limit=2&role=admin", "/api/flows/name/a%20b"] {
        gate.send(&asks(path).header("authorization", machine())).expect(200);
        let head = prefect.take().heads.remove(0).to_ascii_lowercase();
        assert!(head.starts_with(&format!("get {path} ")), "{head}");
        assert!(head.contains(&credential), "not Prefect's credential");
        for own in ["lk_", "cookie-of", "automation", "203.0.113.9"] {
            assert!(!head.contains(own), "{own}: {head}");
        }
    }
    // Near the paths that go to Lictor itself, and around them.
    for path in [
        "/oauth2",
        "/oauth2/auth/",
        "//oauth2/auth",
        "/oauth2/%61uth",
        "/x/../oauth2/auth",
        "/OAUTH2/AUTH",
        "/oauth2/../api/flows/1",
        "/oauth2/%2e%2e/api/flows/1",
        "/oauth2/..%2fapi/flows/1",
        "/ui-settings",
        "/ui-settings/",
        "//ui-settings",
        "/UI-SETTINGS",
        "/ui-settings/../api/flows/1",
        "/ui-settings;/../api/flows/1",
        "/api/flows/1",
        "//api/flows/1",
        "/api//flows/1",
        "/api/%66lows/1",
    ] {
        let answer = gate.send(&asks(path));
        assert!((300..500).contains(&answer.status), "{path}: {answer:?}");
        assert_eq!(prefect.take().heads, [""; 0], "{path}");
    }
    gateway.admin.assert_vm_alive();
}

/// Where the program sends a page load without a session.
fn is_login(program: Program, location: &str, page: &str) -> bool {
    match program {
        // It passes on what Lictor's endpoint answers.
        Program::Traefik => location.starts_with(&world().layout.issuer()),
        _ => location.ends_with(&format!("/oauth2/start?rd={page}")),
    }
}

/// What a browser without Fetch Metadata sends is a page load if it wants HTML.
fn older_browsers(gate: &Gate, program: Program) {
    let html = "text/html,application/xhtml+xml,*/*;q=0.8";
    for (lines, is_page) in [
        ([("accept", html)].as_slice(), true),
        (&[("accept", "*/*")], false),
        (&[("accept", "application/json")], false),
        (&[], false),
        (&[("accept", html), ("sec-fetch-mode", "cors")], false),
        (&[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")], true),
    ] {
        let answer = gate.send(&Request::get("/dashboard").headers(lines));
        assert_eq!(answer.status, if is_page { 302 } else { 401 }, "{lines:?}");
        assert!(!is_page || is_login(program, answer.location(), "/dashboard"), "{answer:?}");
    }
}

fn people(gate: &Gate, program: Program) {
    let mut carol = CookieClient::new(gate);
    carol.fetch("/api/admin/version").expect(401);
    let page = "/runs?x=1&y=2";
    let mut asked = carol.navigate(page).expect(302);
    assert!(is_login(program, asked.location(), page), "{}", asked.location());
    if let Some(at) = asked.location().find("/oauth2/start") {
        asked = carol.navigate(&asked.location()[at..]).expect(302);
    }
    let callback = authenticate(&mut carol, asked.location(), "carol");
    let home = carol.send(callback_request(&callback)).expect(302);
    assert_eq!(home.location(), format!("{}{page}", gate.origin()));
    // The redirects began at the provider's site.
    let page = carol.send(Request::get("/dashboard").navigation_from("cross-site"));
    assert!(matches!(page.status, 200 | 307), "{page:?}");
    carol.fetch("/api/admin/version").expect(200);
    carol.post("/api/flows/filter", "{}").expect(200);
    // A viewer: no writes, and nothing of which Lictor would have to remove a part.
    carol.post("/api/flows/", r#"{"name":"hers"}"#).expect(403);
    carol.post("/api/block_documents/filter", "{}").expect(403);
    let form = Request::new("POST", "/api/flows/").form("x=1").navigation_from("cross-site");
    carol.send(form).expect(403);
    // The cookie is renewed, one line at a time.
    pause(RECHECK + Duration::from_secs(1));
    let answer = carol.fetch("/api/admin/version").expect(200);
    assert_eq!(answer.all("set-cookie").count(), 1, "{answer:?}");
    carol.fetch("/api/admin/version").expect(200);
    carol.navigate("/oauth2/sign_out").expect(200);
    carol.fetch("/api/admin/version").expect(401);
    let asked = carol.navigate("/dashboard").expect(302);
    assert!(is_login(program, asked.location(), "/dashboard"), "{}", asked.location());
    let mut bob = CookieClient::new(gate);
    log_in(&mut bob, "/oauth2/start?rd=/", "bob");
    bob.post("/api/flows/filter", "{}").expect(200);
}

fn machines(gate: &Gate) {
    let by = |request: Request, credential: &str| {
        gate.send(&request.host(gate.machine_host()).header("authorization", credential))
    };
    let version = || Request::get("/api/admin/version");
    by(version(), &machine()).expect(200);
    by(version(), &basic(&world().stack.machine.auth_string)).expect(200);
    by(Request::post("/api/flows/filter", "{}"), &machine()).expect(200);
    by(version(), "Bearer lk_wrong").expect(401);
    by(Request::post("/api/admin/database/clear", "{\"confirm\":true}"), &machine()).expect(403);
    gate.send(&version().host(gate.machine_host())).expect(401);
}

/// A socket with a credential in its header, as Prefect's clients of today can send it.
fn sockets(gate: &Gate) {
    let by = |credential: &str| upgrade("/api/events/in").header("authorization", credential);
    drop(Socket::opened(gate, &by(&machine())));
    assert_eq!(Socket::refused(gate, &by("Bearer lk_wrong")).status, 401);
    assert_eq!(Socket::refused(gate, &upgrade("/api/events/in")).status, 401);
}

/// What only the proxy may say, said by a client.
fn lies(gate: &Gate) {
    let mut carol = CookieClient::new(gate);
    log_in(&mut carol, "/oauth2/start?rd=/", "carol");
    let descriptions: [&[(&str, &str)]; 4] = [
        &[("x-original-method", "GET"), ("x-original-uri", "/")],
        &[("x-forwarded-method", "GET"), ("x-forwarded-uri", "/")],
        &[("x-lictor-auth-request-secret", "guess")],
        &[("x-lictor-auth-request-secret", SECRET)],
    ];
    for lines in descriptions {
        let cookie = carol.jar.header().unwrap();
        let write = Request::post("/api/flows/", r#"{"name":"lie"}"#).fetch();
        let write = write.header("cookie", &cookie).headers(lines);
        let answer = gate.send(&write);
        assert!(matches!(answer.status, 401 | 403), "{lines:?}: {}", answer.status);
        // The endpoint itself gives no verdict to clients.
        let verdict = Request::get("/oauth2/auth").fetch().header("cookie", &cookie).headers(lines);
        assert_eq!(gate.send(&verdict).status, 404, "{lines:?}");
    }
}

fn both_uis(gate: &Gate) {
    some_runs(gate);
    let browser = Browser::open();
    browser.goto(&format!("{}/v2/flows", gate.origin()));
    browser.log_in("alice");
    browser.wait("the newer UI", |browser| browser.text().contains("load-orders"));
    assert_inside(&browser, &gate.origin());
    choose_ui(&browser, "v1");
    browser.goto(&format!("{}/flows", gate.origin()));
    browser.wait("the older UI", |browser| browser.text().contains("load-orders"));
    assert_inside(&browser, &gate.origin());
    browser.goto(&format!("{}/oauth2/sign_out", gate.origin()));
    browser.wait_text("Signed out");
}
