//! Tokens as a forger makes them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

/// A token in parts.
#[derive(Clone, Debug)]
pub struct Token {
    pub header: Value,
    pub claims: Value,
    pub signature: Vec<u8>,
}

impl Token {
    pub fn parse(text: &str) -> Self {
        let parts: Vec<Vec<u8>> =
            text.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
        let json = |at: usize| serde_json::from_slice(&parts[at]).unwrap();
        Self { header: json(0), claims: json(1), signature: parts[2].clone() }
    }

    fn signed_part(&self) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}", part(&self.header), part(&self.claims))
    }

    /// With whatever signature is there.
    pub fn text(&self) -> String {
        format!("{}.{}", self.signed_part(), URL_SAFE_NO_PAD.encode(&self.signature))
    }

    /// `alg: none`, without a signature.
    pub fn unsigned(mut self, spelling: &str) -> String {
        self.header["alg"] = spelling.into();
        format!("{}.", self.signed_part())
    }

    /// HS256 with a text that everybody knows as the secret.
    pub fn hs256(mut self, secret: &[u8]) -> String {
        self.header["alg"] = "HS256".into();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        self.signature = hmac::sign(&key, self.signed_part().as_bytes()).as_ref().to_vec();
        self.text()
    }

    /// ES256 with a key of the forger's; `edit` may name or embed it.
    pub fn es256(mut self, edit: impl FnOnce(&mut Value, Value)) -> String {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
        let point = key.public_key().as_ref();
        let coordinate = |from: usize| URL_SAFE_NO_PAD.encode(&point[from..from + 32]);
        let jwk = json!({"kty": "EC", "crv": "P-256", "x": coordinate(1), "y": coordinate(33)});
        self.header["alg"] = "ES256".into();
        edit(&mut self.header, jwk);
        let signature = key.sign(&random, self.signed_part().as_bytes()).unwrap();
        self.signature = signature.as_ref().to_vec();
        self.text()
    }
}
