//! Keycloak's inside: tokens, and its administration by REST.

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::canary;
use crate::client::{Request, plain};
use crate::http1::Answer;
use crate::world::{password, world};

/// The realm of the stack.
pub const REALM: &str = "prefect";

fn main_port() -> u16 {
    world().layout.ports.keycloak
}

/// Asks a realm's token endpoint. Everything it gives is a secret for [`canary`].
#[track_caller]
pub fn tokens(realm: &str, form: &str) -> Value {
    tokens_at(main_port(), realm, form)
}

/// The same of a Keycloak at another port.
#[track_caller]
pub fn tokens_at(port: u16, realm: &str, form: &str) -> Value {
    let path = format!("/realms/{realm}/protocol/openid-connect/token");
    // Tokens must name the issuer that browsers see.
    let answer = plain(port, &Request::new("POST", path).form(form)).unwrap().expect(200).json();
    for name in ["access_token", "refresh_token", "id_token"] {
        if let Some(token) = answer[name].as_str() {
            canary::plant(token);
        }
    }
    answer
}

/// An access token of a service account.
#[track_caller]
pub fn client_token(client: &str, secret: &str) -> String {
    let form = format!("grant_type=client_credentials&client_id={client}&client_secret={secret}");
    text(&tokens(REALM, &form), "access_token")
}

/// An access token of the worker that the realm comes with.
#[track_caller]
pub fn worker_token() -> String {
    client_token("etl-worker", &world().secrets.worker_client_secret)
}

/// All tokens of a person, by the password grant of the realm's test client.
#[track_caller]
pub fn person_tokens(user: &str) -> Value {
    let password = password(user);
    tokens(
        REALM,
        &format!(
            "grant_type=password&client_id=prefect-cli&username={user}&password={password}&scope=openid"
        ),
    )
}

#[track_caller]
pub fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name}: {value}")).to_owned()
}

/// A token of the realm `master` for the administrator.
#[track_caller]
pub fn master_token(port: u16) -> String {
    let keycloak = &world().stack.keycloak;
    let form = format!(
        "grant_type=password&client_id=admin-cli&username={}&password={}",
        keycloak.admin, keycloak.admin_password
    );
    text(&tokens_at(port, "master", &form), "access_token")
}

/// One call of the administration, below the realm's path.
#[track_caller]
pub fn admin(method: &str, path: &str, body: Option<&Value>) -> Answer {
    admin_at(main_port(), method, path, body)
}

/// The same of a Keycloak at another port.
#[track_caller]
pub fn admin_at(port: u16, method: &str, path: &str, body: Option<&Value>) -> Answer {
    let mut request = Request::new(method, format!("/admin/realms/{REALM}{path}"))
        .header("authorization", format!("Bearer {}", master_token(port)));
    if let Some(body) = body {
        request = request.json_body(&body.to_string());
    }
    let answer = plain(port, &request).unwrap();
    assert!(
        (200..300).contains(&answer.status),
        "{method} {path}: {} {}",
        answer.status,
        answer.text()
    );
    answer
}

/// A further service account; `edit` changes what is sent.
#[track_caller]
pub fn add_client(name: &str, edit: impl FnOnce(&mut Value)) -> String {
    let secret = format!("secret-of-{name}-0123456789");
    let audience = json!({
        "name": "aud", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
        "config": { "included.client.audience": "prefect", "access.token.claim": "true" },
    });
    let mut client = json!({
        "clientId": name, "enabled": true, "publicClient": false, "secret": secret,
        "standardFlowEnabled": false, "serviceAccountsEnabled": true,
        "attributes": {}, "protocolMappers": [audience],
    });
    edit(&mut client);
    admin("POST", "/clients", Some(&client));
    secret
}

/// What [`add_client`] changes for a client with a role of Prefect's.
pub fn with_role(client: &mut Value, role: &str) {
    client["protocolMappers"].as_array_mut().unwrap().push(json!({
        "name": "role", "protocol": "openid-connect",
        "protocolMapper": "oidc-hardcoded-claim-mapper",
        "config": {
            "claim.name": "groups", "claim.value": format!("[\"prefect-{role}\"]"),
            "jsonType.label": "JSON", "access.token.claim": "true",
        },
    }));
}

/// Lets people log in at a further Envoy.
#[track_caller]
pub fn allow_callback(origin: &str) {
    allow_callback_at(main_port(), origin);
}

/// The same of a Keycloak at another port.
#[track_caller]
pub fn allow_callback_at(port: u16, origin: &str) {
    // The client is read and written back as a whole: one at a time.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut client = admin_at(port, "GET", "/clients?clientId=prefect", None).json()[0].take();
    let id = text(&client, "id");
    client["redirectUris"].as_array_mut().unwrap().push(format!("{origin}/oauth2/callback").into());
    admin_at(port, "PUT", &format!("/clients/{id}"), Some(&client));
}

/// Keycloak's `revokeRefreshToken` without reuse, until it is dropped: a refresh token that comes
/// twice ends the session. Keycloak writes down meanwhile who redeems one.
pub struct StrictRotation {
    port: u16,
    /// Events of before, by the time of the newest.
    before: u64,
}

impl StrictRotation {
    #[track_caller]
    pub fn begin(port: u16) -> Self {
        let mut rotation = Self { port, before: 0 };
        rotation.set(true);
        let times = rotation.events().into_iter().filter_map(|event| event["time"].as_u64());
        rotation.before = times.max().unwrap_or(0);
        rotation
    }

    /// How many refresh tokens were redeemed. A refused one fails the test.
    #[track_caller]
    pub fn refreshes(&self) -> usize {
        let events = self.events();
        let refused: Vec<_> = events.iter().filter(|event| event.get("error").is_some()).collect();
        assert!(refused.is_empty(), "{refused:?}");
        events.len()
    }

    fn events(&self) -> Vec<Value> {
        let path = "/events?client=prefect&type=REFRESH_TOKEN&type=REFRESH_TOKEN_ERROR";
        let mut events = admin_at(self.port, "GET", path, None).json();
        let events = events.as_array_mut().unwrap();
        events.retain(|event| event["time"].as_u64() > Some(self.before));
        std::mem::take(events)
    }

    #[track_caller]
    fn set(&self, on: bool) {
        let patch = json!({
            "revokeRefreshToken": on, "refreshTokenMaxReuse": 0, "eventsEnabled": on,
            "enabledEventTypes": ["REFRESH_TOKEN", "REFRESH_TOKEN_ERROR"],
        });
        admin_at(self.port, "PUT", "", Some(&patch));
    }
}

impl Drop for StrictRotation {
    fn drop(&mut self) {
        self.set(false);
    }
}

/// A further signing key, preferred over those that are there. Dropping it removes it.
pub struct SigningKey(String);

impl SigningKey {
    #[track_caller]
    pub fn add(name: &str, provider: &str, algorithm: (&str, &str)) -> Self {
        let realm = text(&admin("GET", "", None).json(), "id");
        let component = json!({
            "name": name, "providerId": provider, "providerType": "org.keycloak.keys.KeyProvider",
            "parentId": realm,
            "config": {
                "priority": ["500"], "enabled": ["true"], "active": ["true"],
                algorithm.0: [algorithm.1],
            },
        });
        let answer = admin("POST", "/components", Some(&component));
        Self(answer.location().rsplit('/').next().unwrap().to_owned())
    }
}

impl Drop for SigningKey {
    fn drop(&mut self) {
        admin("DELETE", &format!("/components/{}", self.0), None);
    }
}

/// `Authorization: Basic`.
pub fn basic(pair: &str) -> String {
    let value = STANDARD.encode(pair);
    canary::plant(&value);
    format!("Basic {value}")
}

/// A second realm with a worker of its own; gives its issuer.
#[track_caller]
pub fn add_partner_realm(name: &str) -> String {
    let audience = json!({
        "name": "aud", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
        "config": { "included.custom.audience": "prefect", "access.token.claim": "true" },
    });
    let realm = json!({
        "realm": name, "enabled": true, "sslRequired": "none",
        "roles": { "realm": [{ "name": "prefect-worker" }] },
        "clients": [{
            "clientId": "worker", "enabled": true, "publicClient": false, "secret": PARTNER_SECRET,
            "standardFlowEnabled": false, "serviceAccountsEnabled": true, "protocolMappers": [audience],
        }],
        "users": [{
            "username": "service-account-worker", "enabled": true,
            "serviceAccountClientId": "worker", "realmRoles": ["prefect-worker"],
        }],
    });
    let request = Request::new("POST", "/admin/realms")
        .header("authorization", format!("Bearer {}", master_token(main_port())))
        .json_body(&realm.to_string());
    plain(main_port(), &request).unwrap().expect(201);
    world().layout.issuer().replace(&format!("/realms/{REALM}"), &format!("/realms/{name}"))
}

const PARTNER_SECRET: &str = "secret-of-a-partner-0123456789";

/// An access token of that realm's worker.
#[track_caller]
pub fn partner_token(realm: &str) -> String {
    let form =
        format!("grant_type=client_credentials&client_id=worker&client_secret={PARTNER_SECRET}");
    text(&tokens(realm, &form), "access_token")
}
