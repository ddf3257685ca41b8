//! Keycloak 24, as many run it: other claims, other logout tokens, other settings of its names.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Story, story};
use crate::client::{Gate, Request};
use crate::cookie_client::CookieClient;
use crate::keycloak_admin::{REALM, text, tokens_at};
use crate::keycloak_login::{self, is_form, open};
use crate::keycloak_versions::{KEYCLOAK_24, Keycloak, oldest};
use crate::world::{eventually, world};

const ABOUT: &str = "Keycloak 24";

pub fn stories() -> Vec<Story> {
    vec![
        story(
            ABOUT,
            "people log in, are rechecked and signed out, machines are believed",
            whole_way,
        )
        .own_provider()
        .early()
        .in_group(KEYCLOAK_24),
    ]
}

fn log_in(keycloak: Keycloak<'_>, gate: &Gate, user: &str) -> CookieClient {
    let mut visitor = keycloak.visitor(gate);
    let home = keycloak_login::log_in(&mut visitor, "/runs?x=1", user);
    assert_eq!(home.location(), format!("{}/runs?x=1", gate.origin()));
    visitor
}

fn whole_way() {
    let keycloak = Keycloak::oldest();
    let admin = |method: &str, path: &str| keycloak.admin(method, path);
    let user = text(&admin("GET", "/users?username=alice&exact=true").json()[0], "id");
    let sessions = || -> Vec<String> {
        let found: Value = admin("GET", &format!("/users/{user}/sessions")).json();
        found.as_array().unwrap().iter().map(|session| text(session, "id")).collect()
    };

    // A day: login, rechecks, sign-out at both ends.
    let often = keycloak.gateway("keycloak-24-often", json!({ "session": { "recheck": "1s" } }));
    let rotation = keycloak.rotate_strictly();
    let mut alice = log_in(keycloak, &often.gate, "alice");
    assert!(alice.session().len() <= 1536, "{} bytes", alice.session().len());
    alice.fetch("/api/admin/version").expect(200);
    eventually("three refreshes, each with the last one's token", Duration::from_secs(20), || {
        alice.fetch("/api/admin/version").expect(200);
        (rotation.refreshes() >= 3).then_some(())
    });
    let own = sessions();
    assert_eq!(own.len(), 1);
    alice.navigate("/oauth2/sign_out").expect(200);
    assert_eq!(sessions(), Vec::<String>::new(), "signed out at Keycloak, too");
    let asked = alice.navigate("/").expect(302);
    assert!(is_form(&open(&mut alice, asked.location())));

    // The administrator ends a session: the logout token says `JWT`, and it is over at once. At the
    // gate that Keycloak tells, which asks by itself only every five minutes.
    let gateway = oldest();
    let alice = log_in(keycloak, &gateway.gate, "alice");
    let other = log_in(keycloak, &gateway.gate, "bob");
    admin("DELETE", &format!("/sessions/{}", sessions()[0])).expect(204);
    for _ in 0..12 {
        alice.clone().fetch("/oauth2/userinfo").expect(401);
    }
    other.clone().fetch("/oauth2/userinfo").expect(200);

    // A machine's token from the inside address names the outside issuer.
    let secret = &world().secrets.worker_client_secret;
    let form = format!("grant_type=client_credentials&client_id=etl-worker&client_secret={secret}");
    let token = text(&tokens_at(keycloak.port(), REALM, &form), "access_token");
    let request = Request::get("/api/admin/version");
    gateway.gate.send(&request.header("authorization", format!("Bearer {token}"))).expect(200);
    gateway.admin.assert_vm_alive();
    often.admin.assert_vm_alive();
}
