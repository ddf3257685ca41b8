//! Verdicts for the real nginx: `auth_request` before an application of one's own.

use lictor_integration::layout::PREFECT_HOST;
use lictor_integration::ports;

use super::{Story, story};
use crate::canary;
use crate::client::Request;
use crate::cookie_client::CookieClient;
use crate::front_proxy::{FrontProxy, Program};
use crate::gateway::{Gateway, Plan};
use crate::keycloak_admin::{allow_callback, basic, worker_token};
use crate::keycloak_login::log_in;
use crate::recorder::Recorder;
use crate::world::world;

const ABOUT: &str = "nginx";
const SECRET: &str = "what-only-nginx-and-lictor-know-0123456789";

pub fn stories() -> Vec<Story> {
    vec![story(ABOUT, "auth_request lets in whom Lictor lets in, and nobody else", nginx)]
}

/// Starts nginx in front of an application. If it `vouches`, it says what it holds, with the
/// secret.
fn start(gateway: &Gateway, application: u16, vouches: bool) -> FrontProxy {
    let [port] = ports::unused().unwrap();
    let vouching = format!(
        "proxy_set_header X-Original-Method $request_method;
         proxy_set_header X-Original-URI $request_uri;
         proxy_set_header X-Real-IP $remote_addr;
         proxy_set_header X-Lictor-Auth-Request-Secret {SECRET};"
    );
    let server = format!(
        "server {{
          listen 127.0.0.1:{port};
          location / {{
            auth_request /oauth2/auth;
            auth_request_set $who $upstream_http_x_auth_request_user;
            proxy_set_header X-Who $who;
            proxy_set_header Authorization \"\";
            proxy_set_header X-Api-Key \"\";
            proxy_set_header Cookie \"\";
            proxy_pass http://127.0.0.1:{application};
          }}
          location = /oauth2/auth {{
            internal;
            proxy_pass https://127.0.0.1:{gate};
            proxy_ssl_server_name on;
            proxy_ssl_name {PREFECT_HOST};
            proxy_http_version 1.1;
            proxy_set_header Host {host};
            proxy_set_header Connection \"\";
            proxy_pass_request_body off;
            proxy_set_header Content-Length \"\";
            {vouching}
          }}
        }}",
        gate = gateway.gate.port,
        host = gateway.gate.public_host(),
        vouching = if vouches { vouching.as_str() } else { "" },
    );
    FrontProxy::start(Program::Nginx, port, &server)
}

fn nginx() {
    canary::plant(SECRET);
    let application = Recorder::start();
    let gateway = Plan::new("nginx").environment("LICTOR_AUTH_REQUEST_SECRET", SECRET).start();
    let token = format!("Bearer {}", worker_token());
    let key = basic(&world().stack.machine.auth_string);
    allow_callback(&gateway.gate.origin());
    let mut carol = CookieClient::new(&gateway.gate);
    log_in(&mut carol, "/", "carol");
    let cookie = carol.jar.header().unwrap();
    // The endpoint itself: what nginx sees.
    let verdict = Request::get("/oauth2/auth").header("authorization", &token);
    let verdict = gateway.gate.send(&verdict).expect(202);
    assert_eq!(verdict.header("x-auth-request-user"), Some("client:etl-worker"));
    assert_eq!(verdict.header("x-auth-request-groups"), Some("worker"));
    gateway.gate.get("/oauth2/auth").expect(401);

    {
        let nginx = start(&gateway, application.port, false);
        for credential in [&token, &key] {
            nginx.send(&Request::get("/report").header("authorization", credential)).expect(200);
            let head = application.take().heads.remove(0).to_ascii_lowercase();
            assert!(head.contains("x-who: client:etl-worker") || head.contains("x-who: key:"));
        }
        nginx.send(&Request::get("/report").fetch().header("cookie", &cookie)).expect(200);
        application.take();
        // A page load that comes back from the provider, or by a link.
        let page = Request::get("/report").navigation_from("cross-site");
        nginx.send(&page.header("cookie", &cookie)).expect(200);
        application.take();
        nginx.send(&Request::get("/report")).expect(401);
        let wrong = Request::get("/report").header("authorization", "Bearer e30.e30.AA");
        nginx.send(&wrong).expect(401);
        // A form elsewhere posts with the cookie: the subrequest hides that it is a POST.
        let form = Request::post("/report", "{}").navigation_from("cross-site");
        nginx.send(&form.header("cookie", &cookie)).expect(403);
        // Only nginx may say what the request was.
        let forged = Request::post("/report", "{}")
            .navigation_from("cross-site")
            .header("cookie", &cookie)
            .header("x-original-method", "GET")
            .header("x-original-uri", "/");
        nginx.send(&forged).expect(403);
        assert_eq!(application.take().heads.len(), 0);
    }

    let nginx = start(&gateway, application.port, true);
    let page = Request::get("/").navigation_from("cross-site").header("cookie", &cookie);
    nginx.send(&page).expect(200);
    let own = |request: Request| nginx.send(&request.fetch().header("cookie", &cookie));
    own(Request::post("/api/flows/filter", "{}")).expect(200);
    own(Request::post("/api/block_documents/", "{}")).expect(403);
    let form = Request::post("/", "{}").navigation_from("cross-site");
    nginx.send(&form.header("cookie", &cookie)).expect(403);
    assert_eq!(application.take().heads.len(), 2);
    gateway.admin.assert_vm_alive();
}
