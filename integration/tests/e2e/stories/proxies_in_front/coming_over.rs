//! From oauth2-proxy to Lictor in the steps of docs/moving/oauth2-proxy.md, with nginx as users have
//! it. Nobody is interrupted, and each step can be taken back.

use std::time::Duration;

use lictor_integration::layout::PREFECT_HOST;
use lictor_integration::ports;
use serde_json::json;

use super::nginx::{as_users_have_it, asked_without_tls};
use super::{machine, passing};
use crate::client::{Gate, Request, plain};
use crate::cookie_client::CookieClient;
use crate::front_proxy::{FrontProxy, Program};
use crate::gateway::Plan;
use crate::keycloak_admin::{allow_callback, basic};
use crate::keycloak_login::{authenticate, callback_request, is_form, open, path_of};
use crate::keycloak_versions::Keycloak;
use crate::oauth2_proxy::OAuth2Proxy;
use crate::prefect_client::server_with;
use crate::stories::{Story, story};
use crate::world::{eventually, world};

const ABOUT: &str = "coming over from oauth2-proxy";
const PATIENCE: Duration = Duration::from_secs(20);
const PAGE: &str = "/runs?x=1&y=2";

pub(super) fn stories() -> Vec<Story> {
    vec![story(ABOUT, "step by step, and back once, with one login for each person", steps)]
}

/// Waits until nginx asks Lictor, or oauth2-proxy, which has no such endpoint. The processes of
/// before accept connections for a moment, besides the new ones.
fn asks_lictor(carol: &CookieClient, wanted: bool) {
    let mut in_a_row = 0;
    eventually("nginx asks the other one", PATIENCE, || {
        let answer = carol.gate.send(&Request::get("/oauth2/live"));
        in_a_row = if (answer.status == 200) == wanted { in_a_row + 1 } else { 0 };
        (in_a_row == 50).then_some(())
    });
}

fn steps() {
    let [port, beside, asked] = ports::unused().unwrap();
    let origin = format!("https://{PREFECT_HOST}:{port}");
    // Nothing but nginx guards this Prefect.
    let address = format!("{origin}/api");
    let own = ("PREFECT_UI_API_URL", address.as_str());
    let settings = [("PREFECT_SERVER_API_AUTH_STRING", ""), own];
    let mut server = server_with("unguarded-prefect", &settings, "/api");
    let prefect = server.port;

    // Before, and step 1.
    allow_callback(&origin);
    let old = OAuth2Proxy::start(asked, &origin, "static://200", Keycloak::newest());
    let asks = |asked: u16| as_users_have_it("as-in-the-wild-oauth2.conf", port, asked, prefect);
    let nginx = FrontProxy::start(Program::Nginx, port, &asks(asked));
    let gate = Gate::new(&world().pki.ca, port);
    let mut carol = CookieClient::new(&gate);
    let start = carol.navigate(PAGE).expect(302);
    let callback = authenticate(&mut carol, start.location(), "carol");
    let home = carol.send(callback_request(&callback)).expect(302);
    // oauth2-proxy takes only the first parameter of a page that nginx does not encode.
    assert!(home.location().ends_with("/runs?x=1"), "{}", home.location());
    carol.fetch("/api/admin/version").expect(200);
    assert_eq!(carol.jar.names("_oauth2_proxy").len(), 1, "{:?}", carol.jar.names(""));

    // Steps 2 to 4: Envoy beside it changes nothing.
    let plan = Plan::new("coming-over")
        .prefect(prefect)
        .reloadable()
        .patch(json!({ "machines": { "accept_auth_string": true } }));
    let (gateway, _) = asked_without_tls(plan, port, beside);
    carol.fetch("/api/admin/version").expect(200);
    asks_lictor(&carol, false);

    // Step 5: the one login, without a question of Keycloak's.
    nginx.reload(&asks(beside));
    asks_lictor(&carol, true);
    carol.fetch("/api/admin/version").expect(401);
    let start = carol.navigate(PAGE).expect(302);
    let answer = open(&mut carol, start.location());
    assert!(!is_form(&answer), "Keycloak asks again");
    let callback = path_of(answer.expect(302).location());
    let home = carol.send(callback_request(&callback)).expect(302);
    assert_eq!(home.location(), format!("{origin}{PAGE}"));
    carol.fetch("/api/admin/version").expect(200);

    // Back and forth: both sessions are there.
    nginx.reload(&asks(asked));
    asks_lictor(&carol, false);
    carol.fetch("/api/admin/version").expect(200);
    nginx.reload(&asks(beside));
    asks_lictor(&carol, true);
    carol.fetch("/api/admin/version").expect(200);
    // Neither oauth2-proxy nor Lictor learns what the request is.
    carol.post("/api/flows/", r#"{"name":"before-roles"}"#).expect(201);

    // Step 6.
    nginx.reload(&passing::configuration(Program::Nginx, port, gateway.layout.ports.https));
    drop(old);
    eventually("roles apply to each operation", PATIENCE, || {
        let answer = carol.post("/api/flows/", r#"{"name":"hers"}"#);
        (answer.status == 403).then_some(())
    });
    carol.fetch("/api/admin/version").expect(200);
    carol.send(Request::get("/dashboard").navigation()).expect(200);

    let by = |credential: &str| {
        let request = Request::get("/api/admin/version").host(gate.machine_host());
        gate.send(&request.header("authorization", credential))
    };
    let shared = basic(&world().secrets.prefect_auth_string);

    // Step 7: whoever goes past Envoy needs the secret from then on, and nobody else notices.
    let past = |request: Request| plain(prefect, &request).unwrap().status;
    let version = || Request::get("/api/admin/version");
    assert_eq!(past(version()), 200);
    server.restart(&[own]);
    assert_eq!(past(version()), 401);
    assert_eq!(past(version().header("authorization", &shared)), 200);
    carol.fetch("/api/admin/version").expect(200);
    carol.post("/api/flows/filter", "{}").expect(200);
    by(&machine()).expect(200);

    // Step 8: who still uses the shared string is counted.
    let counted = || {
        let name = "wasmcustom.lictor_requests.outcome=forwarded.method=auth_string.reason=ok";
        gateway.admin.counter(name)
    };
    by(&shared).expect(200);
    assert_eq!(counted(), 1);
    by(&machine()).expect(200);
    assert_eq!(counted(), 1);

    // Step 9.
    gateway.reconfigure(&json!({ "machines": { "accept_auth_string": false } }));
    eventually("the shared string is refused", PATIENCE, || {
        (by(&shared).status == 401).then_some(())
    });
    by(&machine()).expect(200);
    carol.fetch("/api/admin/version").expect(200);
    gateway.admin.assert_vm_alive();
}
