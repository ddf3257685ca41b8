//! A provider with two names: browsers and tokens know the issuer's; Envoy another, on another
//! host, port and scheme, which nobody outside can resolve.

use std::time::Duration;

use serde_json::{Value, json};

use super::people::assert_refusal;
use super::{Story, story};
use crate::canary;
use crate::client::{Request, plain};
use crate::forge::Token;
use crate::gateway::Gateway;
use crate::http1::Answer;
use crate::keycloak_admin::{REALM, text};
use crate::keycloak_login::{is_form, log_in, open};
use crate::keycloak_versions::{KEYCLOAK_24, Keycloak};
use crate::world::{eventually, prefect_sees_nothing, world};

const ABOUT: &str = "split names";
/// As a container network or a cluster calls it.
const INSIDE: &str = "keycloak.internal:8080";

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "the newest Keycloak has one name for people and another for Envoy", || {
            two_names("split-newest", Keycloak::newest());
        })
        .apart()
        .changing_realm(),
        story(ABOUT, "Keycloak 24 has one name for people and another for Envoy", || {
            two_names("split-24", Keycloak::oldest());
        })
        .own_provider()
        .early()
        .in_group(KEYCLOAK_24),
    ]
}

/// Asks Keycloak by its inside name.
#[track_caller]
fn inside(keycloak: Keycloak<'_>, request: Request) -> Answer {
    plain(keycloak.port(), &request.host(INSIDE)).unwrap()
}

fn two_names(name: &'static str, keycloak: Keycloak<'_>) {
    let outside = keycloak.layout.issuer();
    let inside_issuer = format!("http://{INSIDE}/realms/{REALM}");
    // That the names are split, or all that follows would show nothing.
    let path = format!("/realms/{REALM}/.well-known/openid-configuration");
    let metadata = inside(keycloak, Request::get(path)).expect(200).json();
    assert_eq!(text(&metadata, "issuer"), outside);
    for (endpoint, issuer) in [
        ("authorization_endpoint", &outside),
        ("end_session_endpoint", &outside),
        ("token_endpoint", &inside_issuer),
        ("jwks_uri", &inside_issuer),
    ] {
        let url = text(&metadata, endpoint);
        assert!(url.starts_with(&format!("{issuer}/")), "{endpoint} is {url}");
    }

    let settings =
        json!({ "idp": { "internal_url": inside_issuer }, "session": { "recheck": "1s" } });
    let gateway = keycloak.gateway(name, settings);
    people(keycloak, &gateway);
    machines(keycloak, &gateway);
    gateway.admin.assert_vm_alive();
}

fn people(keycloak: Keycloak<'_>, gateway: &Gateway) {
    let rotation = keycloak.rotate_strictly();
    let mut bob = keycloak.visitor(&gateway.gate);
    let asked = bob.navigate("/runs").expect(302);
    let there = format!("{}/protocol/openid-connect/auth?", keycloak.layout.issuer());
    assert!(asked.location().starts_with(&there), "{}", asked.location());
    let done = log_in(&mut bob, "/runs?x=1", "bob").expect(302);
    assert_eq!(done.location(), format!("{}/runs?x=1", gateway.gate.origin()));
    let answer = bob.fetch("/api/admin/version").expect(200);
    assert_eq!(answer.text().trim_matches('"'), world().stack.prefect.version);
    eventually("a refresh by the inside name", Duration::from_secs(20), || {
        bob.fetch("/api/admin/version").expect(200);
        (rotation.refreshes() >= 1).then_some(())
    });
    let refused = prefect_sees_nothing(gateway.admin, || {
        bob.post("/api/admin/database/clear", "{\"confirm\":true}").expect(403)
    });
    assert_refusal(&refused, "role_missing");
    // The logout endpoint is announced under the outside name and called by the inside one.
    bob.navigate("/oauth2/sign_out").expect(200);
    let asked = bob.navigate("/").expect(302);
    assert!(is_form(&open(&mut bob, asked.location())), "Keycloak still knows bob");
}

/// A worker in the same network gets its token by the inside name, too.
fn machines(keycloak: Keycloak<'_>, gateway: &Gateway) {
    let secret = &world().secrets.worker_client_secret;
    let form = format!("grant_type=client_credentials&client_id=etl-worker&client_secret={secret}");
    let path = format!("/realms/{REALM}/protocol/openid-connect/token");
    let answer = inside(keycloak, Request::new("POST", path).form(&form)).expect(200).json();
    let token = text(&answer, "access_token");
    canary::plant(&token);
    assert_eq!(Token::parse(&token).claims["iss"], Value::from(keycloak.layout.issuer()));
    let request =
        Request::get("/api/admin/version").header("authorization", format!("Bearer {token}"));
    gateway.gate.send(&request).expect(200);
}
