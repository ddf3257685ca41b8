//! Keycloak's inside: tokens, and its administration by REST.

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

/// Lets people log in at a further Envoy.
#[track_caller]
pub fn allow_callback(origin: &str) {
    let mut client = admin("GET", "/clients?clientId=prefect", None).json()[0].take();
    let id = text(&client, "id");
    client["redirectUris"].as_array_mut().unwrap().push(format!("{origin}/oauth2/callback").into());
    admin("PUT", &format!("/clients/{id}"), Some(&client));
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
