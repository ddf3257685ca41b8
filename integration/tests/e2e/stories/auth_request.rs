//! Verdicts for the real nginx: `auth_request` before an application of one's own.

use std::fs;
use std::path::Path;
use std::time::Duration;

use lictor_integration::launch::Launch;
use lictor_integration::layout::PREFECT_HOST;
use lictor_integration::ports;
use lictor_integration::process::Running;

use super::{Story, story};
use crate::canary;
use crate::client::{Request, plain};
use crate::cookie_client::CookieClient;
use crate::gateway::{Gateway, Plan};
use crate::http1::Answer;
use crate::keycloak_admin::{allow_callback, basic, worker_token};
use crate::keycloak_login::log_in;
use crate::recorder::Recorder;
use crate::world::{eventually, stop, world};

const ABOUT: &str = "nginx";
const SECRET: &str = "what-only-nginx-and-lictor-know-0123456789";

pub fn stories() -> Vec<Story> {
    vec![story(ABOUT, "auth_request lets in whom Lictor lets in, and nobody else", nginx)]
}

/// The real nginx in front of an application. Dropping it ends it.
struct Nginx {
    port: u16,
    running: Running,
}

impl Nginx {
    /// `vouches` says what it holds, with the secret.
    fn start(gateway: &Gateway, application: u16, vouches: bool) -> Self {
        let program = ["/usr/sbin/nginx", "/usr/bin/nginx"].map(Path::new);
        let program = program.into_iter().find(|path| path.is_file());
        let program = program.expect("nginx is not there (make setup)").to_path_buf();
        let [port] = ports::unused().unwrap();
        let folder = gateway.layout.state.join("nginx");
        fs::create_dir_all(&folder).unwrap();
        let configuration = configuration(gateway, port, application, vouches);
        let file = folder.join("nginx.conf");
        fs::write(&file, configuration).unwrap();
        let launch = Launch {
            part: "nginx",
            program,
            args: vec![
                "-p".into(),
                folder.to_string_lossy().into_owned(),
                "-c".into(),
                file.to_string_lossy().into_owned(),
            ],
            env: Vec::new(),
            folder,
            inputs: Vec::new(),
        };
        let running = launch.start(&gateway.layout).unwrap_or_else(|e| panic!("{e}"));
        eventually("nginx listens", Duration::from_secs(10), || {
            assert!(
                running.is_alive(),
                "nginx has ended: {}",
                gateway.layout.log("nginx").display()
            );
            crate::client::connect(port).ok()
        });
        Self { port, running }
    }

    fn send(&self, request: Request) -> Answer {
        plain(self.port, &request).unwrap()
    }
}

/// What nginx reads. `vouches` says what it tells Lictor, with the secret.
fn configuration(gateway: &Gateway, port: u16, application: u16, vouches: bool) -> String {
    let vouching = format!(
        "proxy_set_header X-Original-Method $request_method;
         proxy_set_header X-Original-URI $request_uri;
         proxy_set_header X-Real-IP $remote_addr;
         proxy_set_header X-Lictor-Auth-Request-Secret {SECRET};"
    );
    format!(
        "daemon off; worker_processes 1; pid nginx.pid; error_log stderr;
        events {{}}
        http {{
          access_log off;
          client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4;
          scgi_temp_path t5;
          server {{
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
          }}
        }}",
        gate = gateway.gate.port,
        host = gateway.gate.public_host(),
        vouching = if vouches { vouching.as_str() } else { "" },
    )
}

impl Drop for Nginx {
    fn drop(&mut self) {
        stop(&self.running);
    }
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
        let nginx = Nginx::start(&gateway, application.port, false);
        for credential in [&token, &key] {
            nginx.send(Request::get("/report").header("authorization", credential)).expect(200);
            let head = application.take().heads.remove(0).to_ascii_lowercase();
            assert!(head.contains("x-who: client:etl-worker") || head.contains("x-who: key:"));
        }
        nginx.send(Request::get("/report").fetch().header("cookie", &cookie)).expect(200);
        application.take();
        nginx.send(Request::get("/report")).expect(401);
        nginx
            .send(Request::get("/report").header("authorization", "Bearer e30.e30.AA"))
            .expect(401);
        // A form elsewhere posts with the cookie: the subrequest hides that it is a POST.
        let form = Request::post("/report", "{}").navigation_from("cross-site");
        nginx.send(form.header("cookie", &cookie)).expect(403);
        // Only nginx may say what the request was.
        let forged = Request::get("/report")
            .navigation_from("cross-site")
            .header("cookie", &cookie)
            .header("x-original-method", "GET")
            .header("x-original-uri", "/");
        nginx.send(forged).expect(403);
        assert_eq!(application.take().heads.len(), 0);
    }

    let nginx = Nginx::start(&gateway, application.port, true);
    let page = Request::get("/").navigation_from("cross-site").header("cookie", &cookie);
    nginx.send(page).expect(200);
    let own = |request: Request| nginx.send(request.fetch().header("cookie", &cookie));
    own(Request::post("/api/flows/filter", "{}")).expect(200);
    own(Request::post("/api/block_documents/", "{}")).expect(403);
    let form = Request::post("/", "{}").navigation_from("cross-site");
    nginx.send(form.header("cookie", &cookie)).expect(403);
    assert_eq!(application.take().heads.len(), 2);
    gateway.admin.assert_vm_alive();
}
