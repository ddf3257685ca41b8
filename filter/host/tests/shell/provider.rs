//! An OpenID provider that signs what it is told to.

use std::sync::LazyLock;

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use lictor_host::{HttpCall, headers};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

pub const ISSUER: &str = "https://sso.example.com/realms/prefect";
pub const CLIENT: &str = "etl-worker";
pub const CLIENT_SECRET: &str = "planted-secret-of-etl";

/// Two keys that it may publish, and one that is somebody else's.
static KEYS: LazyLock<[EcdsaKeyPair; 3]> = LazyLock::new(|| [(); 3].map(|()| generated()));

fn generated() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref(), &random).unwrap()
}

pub const FIRST: usize = 0;
pub const SECOND: usize = 1;
pub const STRANGE: usize = 2;

pub struct Provider {
    /// How many keys it publishes.
    pub published: usize,
    /// The nonce of the login that is under way.
    pub nonce: String,
    /// Whether refresh tokens are refused.
    pub refuses_refresh: bool,
    pub auth_time: u64,
}

impl Default for Provider {
    fn default() -> Self {
        Self {
            published: 1,
            nonce: String::new(),
            refuses_refresh: false,
            auth_time: 1_799_999_000,
        }
    }
}

impl Provider {
    /// What it answers to a call: a status and a body.
    pub fn answer(&self, call: &HttpCall, now: u64) -> (&'static str, Vec<u8>) {
        let path = headers::text(&call.headers, ":path").unwrap_or_default();
        let form = String::from_utf8_lossy(&call.body).into_owned();
        let body = match path {
            "/realms/prefect/.well-known/openid-configuration" => metadata(),
            "/realms/prefect/certs" => {
                json!({"keys": (0..self.published).map(jwk).collect::<Vec<_>>()})
            }
            "/realms/prefect/token" if form.contains("grant_type=client_credentials") => {
                let pair = BASE64_STANDARD.encode(format!("{CLIENT}:{CLIENT_SECRET}"));
                let wanted = format!("Basic {pair}");
                if headers::text(&call.headers, "authorization") != Some(&wanted) {
                    return ("401", br#"{"error":"unauthorized_client"}"#.to_vec());
                }
                json!({"token_type": "Bearer", "access_token": sign(FIRST, &machine(now))})
            }
            "/realms/prefect/token"
                if self.refuses_refresh && form.contains("grant_type=refresh_token") =>
            {
                return ("400", br#"{"error":"invalid_grant"}"#.to_vec());
            }
            "/realms/prefect/token" => self.tokens(&form, now),
            "/realms/prefect/logout" => return ("204", Vec::new()),
            _ => return ("404", Vec::new()),
        };
        ("200", body.to_string().into_bytes())
    }

    fn tokens(&self, form: &str, now: u64) -> Value {
        let mut claims = json!({
            "iss": ISSUER, "aud": "prefect", "azp": "prefect", "sub": "alice-1", "typ": "ID",
            "sid": "sid-1", "iat": now, "exp": now + 300, "auth_time": self.auth_time,
            "preferred_username": "alice", "email": "alice@example.com", "email_verified": true,
            "realm_access": {"roles": ["prefect-operator"]},
        });
        if form.contains("grant_type=authorization_code") {
            claims["nonce"] = json!(self.nonce);
        }
        json!({
            "token_type": "Bearer", "expires_in": 300, "access_token": "planted-access-token",
            "id_token": sign(FIRST, &claims), "refresh_token": "planted-refresh-token",
        })
    }
}

fn metadata() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": format!("{ISSUER}/auth"),
        "token_endpoint": format!("{ISSUER}/token"),
        "jwks_uri": format!("{ISSUER}/certs"),
        "end_session_endpoint": format!("{ISSUER}/logout"),
        "authorization_response_iss_parameter_supported": true,
    })
}

/// Claims of a service account's access token.
pub fn machine(now: u64) -> Value {
    json!({
        "iss": ISSUER, "aud": "prefect", "azp": CLIENT, "sub": "service-1", "typ": "Bearer",
        "iat": now, "exp": now + 300, "preferred_username": format!("service-account-{CLIENT}"),
        "realm_access": {"roles": ["prefect-worker"]},
    })
}

/// Claims of a logout token for Alice's session.
pub fn logout(now: u64) -> Value {
    json!({
        "iss": ISSUER, "aud": "prefect", "iat": now, "exp": now + 120, "jti": "j1", "typ": "Logout",
        "sub": "alice-1", "sid": "sid-1",
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    })
}

/// A token by one of the keys, which it names.
pub fn sign(key: usize, claims: &Value) -> String {
    forge(key, key, claims)
}

/// A token by one key that names another.
pub fn forge(key: usize, named: usize, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({"alg": "ES256", "typ": "JWT", "kid": format!("k{named}")});
    let signed = format!("{}.{}", part(&header), part(claims));
    let signature = KEYS[key].sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

fn jwk(key: usize) -> Value {
    let point = KEYS[key].public_key().as_ref();
    let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": format!("k{key}"),
        "x": part(&point[1..33]), "y": part(&point[33..])})
}
