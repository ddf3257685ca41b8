//! Access tokens as Keycloak makes them for a service account: RS256, about 1.1 kB.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lictor_integration::error::{Error, Result};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use rsa::RsaPrivateKey;
use rsa::pkcs8::EncodePrivateKey as _;
use rsa::rand_core::OsRng;
use serde_json::{Value, json};

/// Who signs.
pub const ISSUER: &str = "https://sso.example.com/realms/prefect";
const KID: &str = "mgfX9WJqJgdlJm1Yb0qkqVQeHkO8p0lTzS3bQ7c4v2k";

/// A key pair of 2048 bits; ring makes none, and signs faster.
pub struct Signer(RsaKeyPair);

impl Signer {
    pub fn new() -> Result<Self> {
        let bad = |cause: String| Error::new(format!("no RSA key pair: {cause}"));
        let made = RsaPrivateKey::new(&mut OsRng, 2048).map_err(|e| bad(e.to_string()))?;
        let der = made.to_pkcs8_der().map_err(|e| bad(e.to_string()))?;
        Ok(Self(RsaKeyPair::from_pkcs8(der.as_bytes()).map_err(|e| bad(e.to_string()))?))
    }

    /// The public key.
    pub fn jwks(&self) -> Value {
        let public = PublicKeyComponents::<Vec<u8>>::from(self.0.public_key());
        json!({ "keys": [{
            "kty": "RSA", "alg": "RS256", "use": "sig", "kid": KID,
            "n": URL_SAFE_NO_PAD.encode(public.n),
            "e": URL_SAFE_NO_PAD.encode(public.e),
        }] })
    }

    pub fn sign(&self, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": KID});
        let text = format!("{}.{}", part(&header), part(claims));
        let mut signature = vec![0; self.0.public().modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The access token with this number.
    pub fn access_token(&self, number: usize) -> String {
        let mut claims = claims("Bearer", "etl-worker", "9a0c1f1e-6a52-4f0e-8c46-6f3f0a8c2b11");
        claims["jti"] = format!("trrtcc:6b1de6a2-2f3b-4b8e-9d7a-{number:012x}").into();
        claims["realm_access"] = json!({"roles": ["offline_access", "prefect-worker"]});
        claims["resource_access"] = json!({"account": {"roles": ["manage-account"]}});
        claims["scope"] = "profile email".into();
        claims["clientHost"] = "10.1.2.3".into();
        claims["clientAddress"] = "10.1.2.3".into();
        claims["client_id"] = "etl-worker".into();
        claims["preferred_username"] = "service-account-etl-worker".into();
        self.sign(&claims)
    }

    /// The ID token of a person who has just logged in.
    pub fn id_token(&self, nonce: &str) -> String {
        let mut claims = claims("ID", "prefect", "1f4e7c52-9d3b-4d19-a1a6-3a8d5d0f5f21");
        claims["aud"] = "prefect".into();
        claims["sid"] = "c2f1a5e0-7d0c-4f0a-9b6e-0d6e3f3b9a77".into();
        claims["auth_time"] = now().into();
        claims["nonce"] = nonce.into();
        claims["preferred_username"] = "alice".into();
        claims["email"] = "alice@example.com".into();
        claims["email_verified"] = true.into();
        claims["realm_access"] = json!({"roles": ["prefect-operator"]});
        self.sign(&claims)
    }
}

fn claims(kind: &str, party: &str, subject: &str) -> Value {
    json!({
        "iss": ISSUER, "aud": ["prefect", "account"], "azp": party, "sub": subject, "typ": kind,
        "iat": now(), "exp": now() + 3600,
    })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
