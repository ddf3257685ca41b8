//! Back-channel logout: the logout tokens of the provider, and the endpoint that takes them.

use crate::answer::reply::Reply;
use crate::wire::http::query::encode;
use serde_json::{Value, json};

use super::{FORM, Headers, ISSUER, World, configuration, request};

/// The member of `events` that makes a token a logout token.
pub const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Settings that state that Envoy's buffer filter holds the requests to endpoints that read a body.
pub fn buffered() -> Value {
    let mut settings = configuration();
    settings["prefect"] = json!({"buffered_routes": true});
    settings
}

/// The head of a request to the endpoint.
pub fn logout_request(extra: &[(&str, &str)]) -> Headers {
    request("POST", "/oauth2/backchannel_logout", extra)
}

impl World {
    /// Claims of a logout token for a session of alice.
    pub fn logout_claims(&self) -> Value {
        json!({
            "iss": ISSUER, "aud": "prefect", "iat": self.now.secs(), "exp": self.now.secs() + 120,
            "jti": "j1", "typ": "Logout", "sub": "alice-1", "sid": "sid-1", "events": {EVENT: {}},
        })
    }

    /// The provider sends a logout token with these claims.
    pub fn log_out(&mut self, claims: &Value) -> Reply {
        let header = json!({"alg": "EdDSA", "typ": "logout+jwt", "kid": "k1"});
        let token = self.idp.sign_with(&header, claims);
        self.send_logout_token(&token)
    }

    pub fn send_logout_token(&mut self, token: &str) -> Reply {
        let body = encode([("logout_token", token)]);
        self.post(&logout_request(&[FORM]), body.as_bytes(), 100).reply()
    }
}
