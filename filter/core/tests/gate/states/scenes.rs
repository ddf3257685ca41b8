//! How a gate comes to each of its states.

use serde_json::{Value, json};

use crate::Gate;
use crate::foundation::stream::StreamId;
use crate::identity::role::Role;
use crate::provider::callout::CalloutReply;
use crate::testing::browser::{Browser, NAVIGATION, SCRIPT};
use crate::testing::idp::merge;
use crate::testing::logout::{EVENT, buffered, logout_request};
use crate::testing::{API_KEY, FORM, Headers, ISSUER, World, auth_frame, configuration, request};
use crate::tests::roles::{by, settings};
use crate::wire::http::query::encode;
use crate::wire::http::request::{RequestView, ResponseView};

/// A gate that has come to a state, with what its world and its request are.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) gate: Gate,
    pub(super) headers: Headers,
}

impl Scene {
    fn new(settings: &Value) -> Self {
        Self { world: World::with(settings), gate: Gate::new(StreamId(1)), headers: Vec::new() }
    }

    fn head(mut self, headers: Headers) -> Self {
        let _ =
            self.gate.on_request(RequestView { headers: &headers }, false, &mut self.world.cx());
        self.headers = headers;
        self
    }

    fn callout(mut self) -> Self {
        // The token endpoint's answer, whatever call it was.
        let body = self.tokens();
        let reply = CalloutReply::Answer { status: 200, encoded: false, body: &body };
        let view = RequestView { headers: &self.headers };
        let _ = self.gate.on_callout(reply, view, &mut self.world.cx());
        self
    }

    pub(super) fn tokens(&mut self) -> Vec<u8> {
        let mut claims = self.world.idp.person_claims(self.world.now);
        merge(&mut claims, &self.world.idp.claims);
        claims["nonce"] = self.world.idp.nonce.clone().into();
        let id = self.world.idp.sign(&claims);
        json!({"token_type": "Bearer", "access_token": "a", "id_token": id, "refresh_token": "r"})
            .to_string()
            .into_bytes()
    }

    fn data(mut self, bytes: &[u8]) -> Self {
        let _ = self.gate.on_request_data(bytes, false, &mut self.world.cx());
        self
    }

    fn response(mut self, status: &str) -> Self {
        let headers = [(":status".to_owned(), status.as_bytes().to_vec())];
        let _ = self.gate.on_response(ResponseView { headers: &headers }, &mut self.world.cx());
        self
    }
}

pub(super) fn new() -> Scene {
    let mut scene = Scene::new(&configuration());
    scene.headers = request("GET", "/api/flows/1", &[("x-api-key", API_KEY)]);
    scene
}

/// A session that must be confirmed first.
pub(super) fn waiting() -> Scene {
    let mut scene = Scene::new(&configuration());
    let browser = scene.world.log_in();
    scene.world.pass(301);
    let headers = browser.headers("GET", "/api/flows/1", &SCRIPT);
    scene.head(headers)
}

fn callback_of(mut scene: Scene) -> Scene {
    let mut browser = Browser::default();
    let callback = browser.start_login(&mut scene.world, "/");
    let headers = browser.headers("GET", &callback, &NAVIGATION);
    scene.head(headers)
}

pub(super) fn redeeming() -> Scene {
    callback_of(Scene::new(&configuration()))
}

pub(super) fn awaiting_key() -> Scene {
    let mut scene = redeeming();
    scene.world.pass(60);
    scene.world.idp.rotate("k2");
    scene.callout()
}

pub(super) fn asking_userinfo() -> Scene {
    let mut settings = configuration();
    settings["idp"] = json!({"userinfo": true});
    let mut scene = Scene::new(&settings);
    scene.world.idp.claims["realm_access"] = Value::Null;
    callback_of(scene).callout()
}

fn sign_out_of(mut scene: Scene) -> Scene {
    let browser = scene.world.log_in();
    let same = [("origin", crate::testing::PUBLIC), ("sec-fetch-site", "same-origin")];
    let headers = browser.headers("POST", "/oauth2/sign_out", &same);
    scene.head(headers)
}

pub(super) fn signing_out() -> Scene {
    sign_out_of(Scene::new(&configuration()))
}

/// A provider that is not Keycloak, with these endpoints beside those that each one has.
fn at_provider_with(endpoints: &Value) -> Scene {
    let mut scene = Scene { world: World::starting(&configuration()), ..new() };
    let mut metadata = json!({
        "issuer": ISSUER,
        "authorization_endpoint": format!("{ISSUER}/auth"),
        "token_endpoint": format!("{ISSUER}/token"),
        "jwks_uri": format!("{ISSUER}/certs"),
    });
    merge(&mut metadata, endpoints);
    scene.world.idp.instead_of_metadata = Some(metadata);
    scene.world.work();
    scene
}

pub(super) fn asking_for_hint() -> Scene {
    let endpoint = json!({ "end_session_endpoint": "https://sso.example.com/logout" });
    sign_out_of(at_provider_with(&endpoint))
}

pub(super) fn revoking() -> Scene {
    let endpoint = json!({ "revocation_endpoint": format!("{ISSUER}/revoke") });
    sign_out_of(at_provider_with(&endpoint))
}

pub(super) fn pushing() -> Scene {
    let scene = at_provider_with(&json!({
        "require_pushed_authorization_requests": true,
        "pushed_authorization_request_endpoint": format!("{ISSUER}/par"),
    }));
    scene.head(request("GET", "/", &NAVIGATION))
}

pub(super) fn reading_logout() -> Scene {
    Scene::new(&buffered()).head(logout_request(&[FORM]))
}

pub(super) fn logout_token() -> Scene {
    let mut scene = reading_logout();
    scene.world.pass(60);
    scene.world.idp.rotate("k2");
    let mut claims = scene.world.logout_claims();
    claims["events"] = json!({EVENT: {}});
    let header = json!({"alg": "EdDSA", "typ": "logout+jwt", "kid": "k2"});
    let token = scene.world.idp.sign_with(&header, &claims);
    let body = encode([("logout_token", token.as_str())]);
    let _ = scene.gate.on_request_data(body.as_bytes(), true, &mut scene.world.cx());
    scene
}

pub(super) fn reading_token_request() -> Scene {
    Scene::new(&buffered()).head(request("POST", "/oauth2/token", &[FORM]))
}

pub(super) fn awaiting_body() -> Scene {
    Scene::new(&settings()).head(by(Role::Viewer, "POST", "/api/block_documents/filter"))
}

pub(super) fn forwarded() -> Scene {
    Scene::new(&configuration()).head(request("GET", "/api/flows/1", &[("x-api-key", API_KEY)]))
}

/// Forwarded, and its response is masked.
pub(super) fn masked() -> Scene {
    Scene::new(&settings()).head(by(Role::Viewer, "GET", "/api/block_documents/1"))
}

fn upgrade(extra: &[(&str, &str)]) -> Headers {
    let own = [
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-protocol", "prefect"),
    ];
    request("GET", "/api/events/out", &[own.as_slice(), extra].concat())
}

pub(super) fn handshake() -> Scene {
    Scene::new(&configuration()).head(upgrade(&[]))
}

pub(super) fn authorized_handshake() -> Scene {
    Scene::new(&configuration()).head(upgrade(&[("x-api-key", API_KEY)]))
}

pub(super) fn socket_asking() -> Scene {
    handshake().response("101").data(&auth_frame("etl-worker:planted-secret-of-etl"))
}

pub(super) fn socket_open() -> Scene {
    handshake().response("101")
}

pub(super) fn socket_header() -> Scene {
    authorized_handshake().response("101")
}

pub(super) fn socket_passing() -> Scene {
    handshake().response("101").data(&auth_frame(&format!("etl:{API_KEY}")))
}

pub(super) fn socket_filtered() -> Scene {
    let key = crate::tests::roles::key(Role::Viewer);
    Scene::new(&settings()).head(upgrade(&[])).response("101").data(&auth_frame(&key))
}

pub(super) fn socket_closed() -> Scene {
    handshake().response("101").data(&auth_frame("etl:lk_unknown"))
}

pub(super) fn socket_refused() -> Scene {
    authorized_handshake().response("403")
}

pub(super) fn delayed() -> Scene {
    let mut scene = Scene::new(&configuration());
    scene.world.peer.http2 = true;
    scene.head(request("POST", "/api/flows/filter", &[]))
}

pub(super) fn over() -> Scene {
    Scene::new(&configuration()).head(request("GET", "/api/flows/1", &[]))
}

/// The gate that takes the place of one whose event is being handled. The request is a good one.
pub(super) fn refusing() -> Scene {
    Scene { gate: Gate::refusing(StreamId(1)), ..new() }
}
