//! A stack as many have it on one host: Keycloak 24 with one name for browsers and another for
//! containers, Prefect 3.4.13, a worker, and a service of the user's own that starts runs. First
//! oauth2-proxy guards Prefect's pages, and nothing guards its API. Then Lictor guards both.

use std::time::Duration;

use lictor_integration::ports;
use lictor_integration::tools::PREFECT_VERSIONS;
use serde_json::json;

use super::in_the_browser::{assert_inside, inside_at};
use super::{Story, story};
use crate::client::{Request, plain};
use crate::keycloak_admin::{REALM, allow_callback_at};
use crate::keycloak_versions::{KEYCLOAK_24, Keycloak};
use crate::oauth2_proxy::OAuth2Proxy;
use crate::prefect_client::{Client, Credential, Setup, server_of};
use crate::world::{checkout, eventually, stop};

const ABOUT: &str = "a laptop's stack";
const PATIENCE: Duration = Duration::from_secs(90);
const DEPLOYMENT: &str = "laptop";

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "from oauth2-proxy before the pages to a credential for each", all)
            .own_provider()
            .early()
            .heavy()
            .in_group(KEYCLOAK_24),
    ]
}

fn all() {
    let keycloak = Keycloak::oldest();
    let [port] = ports::unused().unwrap();
    let old_origin = format!("http://localhost:{port}");
    // The pages call Prefect past oauth2-proxy, unless this setting names another address.
    let address = format!("{old_origin}/api");
    let settings = [("PREFECT_SERVER_API_AUTH_STRING", ""), ("PREFECT_UI_API_URL", &address)];
    let version = PREFECT_VERSIONS[0];
    let mut prefect = server_of(version, "laptop-prefect", &settings, "/api");
    let direct = format!("http://127.0.0.1:{}", prefect.port);
    allow_callback_at(keycloak.port(), &old_origin);
    {
        let _old = OAuth2Proxy::start(port, &old_origin, &direct, keycloak);
        assert_eq!(plain(port, &Request::get("/api/admin/version")).unwrap().status, 302);
        let browser = inside_at(&old_origin, "/runs", "alice");
        browser.wait_text("Runs");
        // Whoever is on the host or in its network needs no login.
        let open = plain(prefect.port, &Request::get("/api/admin/version")).unwrap();
        assert_eq!(open.expect(200).text(), format!("\"{version}\""));
    }

    // Prefect gets its secret, and its pages need no address.
    prefect.restart(&[]);
    // All that the two names need.
    let inside = format!("http://127.0.0.1:{}/realms/{REALM}", keycloak.port());
    let plan = keycloak.plan("laptop", json!({ "idp": { "internal_url": inside } }));
    let gateway = plan.prefect(prefect.port).start();
    let gate = &gateway.gate;
    allow_callback_at(keycloak.port(), &gate.origin());
    assert_eq!(plain(prefect.port, &Request::get("/api/admin/version")).unwrap().status, 401);

    let setup = |credential| Setup::at(gate, version, &prefect.python, credential);
    let worker = Client::new("laptop-worker", setup(Credential::OfClient));
    worker.deploy(DEPLOYMENT, 0);
    let running = worker.start_worker(DEPLOYMENT, &[]);
    let service = Client::new("laptop-service", setup(Credential::ApiKey));
    let [port] = ports::unused().unwrap();
    let script = checkout().join("integration/flows/service.py");
    let serving = service.start_python("service", &[&script.to_string_lossy(), &port.to_string()]);
    eventually("the service is healthy", PATIENCE, || {
        assert!(serving.is_alive(), "{}", service.log("service"));
        plain(port, &Request::get("/health")).ok().filter(|answer| answer.status == 200)
    });
    let ended = plain(port, &Request::get(format!("/run/hello/{DEPLOYMENT}"))).unwrap();
    assert_eq!(ended.expect(200).text(), "COMPLETED", "{}", worker.log("worker"));

    let browser = inside_at(&gate.origin(), "/runs", "alice");
    browser.wait("the run", |browser| browser.text().contains("hello"));
    assert_inside(&browser, &gate.origin());
    stop(&serving);
    stop(&running);
    gateway.admin.assert_vm_alive();
}
