//! Signatures of Lictor's own (RFC 7515): tokens that prove who its client is.

use core::fmt;

use ed25519_compact::{KeyPair, Seed};
use jwt_simple::algorithms::P256KeyPair;
use p256::ecdsa::signature::Signer as _;
use serde_json::{Value, json};

use crate::foundation::crypto::{from_base64, from_base64url, sha256, to_base64url};
use crate::wire::jose::Algorithm;

/// A private key for ES256 or EdDSA (RFC 7518 §3.4, RFC 8037 §3.1).
///
/// Both sign without randomness (RFC 6979, RFC 8032). There is no RSA: its private operations are
/// slow in the module, and their time would tell about the key.
pub(crate) struct SigningKey {
    key: Key,
    /// The public key as a JWK, with its `kid` and `alg`.
    public: Value,
    id: String,
}

enum Key {
    P256(P256KeyPair),
    Ed25519(KeyPair),
}

/// Makes a key of its 32 private bytes; `None` if they are no key.
type ReadKey = fn(&[u8]) -> Option<Key>;

/// The forms of PKCS#8 that OpenSSL writes, P-256 with its public key and without, and Ed25519: the
/// whole length, and what is before the 32 bytes of the private key (RFC 5958 §2, RFC 5915 §3, RFC
/// 8410 §7).
///
/// All parts before these bytes are fixed, lengths included, so nothing else begins like them.
const FORMS: [(usize, &[u8], ReadKey); 3] = [
    (138, b"\x30\x81\x87\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x04\x6d\x30\x6b\x02\x01\x01\x04\x20", Key::p256),
    (67, b"\x30\x41\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x04\x27\x30\x25\x02\x01\x01\x04\x20", Key::p256),
    (48, b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20", Key::ed25519),
];

/// Returns the bytes of a private key in PEM (RFC 7468 §10).
fn der_of_pem(text: &str) -> Option<Vec<u8>> {
    let text = text.strip_prefix("-----BEGIN PRIVATE KEY-----")?;
    let text = text.strip_suffix("-----END PRIVATE KEY-----")?;
    from_base64(&text.split_ascii_whitespace().collect::<String>().into_bytes())
}

impl Key {
    fn p256(secret: &[u8]) -> Option<Self> {
        P256KeyPair::from_bytes(secret).ok().map(Self::P256)
    }

    fn ed25519(secret: &[u8]) -> Option<Self> {
        let pair = Seed::from_slice(secret).and_then(KeyPair::try_from_seed);
        pair.ok().map(Self::Ed25519)
    }

    const fn algorithm(&self) -> &'static str {
        match self {
            Self::P256(_) => Algorithm::Es256.name(),
            Self::Ed25519(_) => Algorithm::EdDsa.name(),
        }
    }
}

/// Why a text is no usable private key. It shows nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadKey(pub(crate) &'static str);

/// Shows the identifier of the key only.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Reads a private key: a JWK (RFC 7517), or PKCS#8 in PEM (RFC 5958).
    ///
    /// The identifier is `kid` of the JWK, or the key's thumbprint (RFC 7638).
    ///
    /// # Errors
    /// When the text is neither, or a key of another kind, or the parts of a JWK do not belong
    /// together.
    pub(crate) fn read(text: &str) -> Result<Self, BadKey> {
        let text = text.trim();
        if text.starts_with('{') {
            return Self::from_jwk(text);
        }
        let wanted = BadKey("no JWK, and no PKCS#8 of P-256 or Ed25519 in PEM");
        let der = der_of_pem(text).ok_or(wanted)?;
        let key = FORMS.iter().find_map(|(length, before, read)| {
            let secret = der.strip_prefix(*before)?.first_chunk::<32>()?;
            read(secret).filter(|_| der.len() == *length)
        });
        key.map(|key| Self::new(key, None)).ok_or(wanted)
    }

    fn from_jwk(text: &str) -> Result<Self, BadKey> {
        let jwk = crate::foundation::json::parse(text.as_bytes()).map_err(|_| BadKey("no JSON"))?;
        let member = |name: &str| jwk.get(name).and_then(Value::as_str);
        let secret = member("d").and_then(|text| from_base64url(text.as_bytes()));
        let secret = secret.ok_or(BadKey("a JWK without the private part d"))?;
        let key = match (member("kty"), member("crv")) {
            (Some("EC"), Some("P-256")) => Key::p256(&secret).ok_or(BadKey("no P-256 key"))?,
            (Some("OKP"), Some("Ed25519")) => {
                Key::ed25519(&secret).ok_or(BadKey("no Ed25519 key"))?
            }
            _ => return Err(BadKey("a key other than EC with P-256 and OKP with Ed25519")),
        };
        let key = Self::new(key, member("kid"));
        let is_same = |name: &str| jwk.get(name).is_none() || jwk.get(name) == key.public.get(name);
        if ["x", "y", "alg"].into_iter().all(is_same) {
            Ok(key)
        } else {
            Err(BadKey("a JWK whose x, y or alg is of another key"))
        }
    }

    fn new(key: Key, id: Option<&str>) -> Self {
        let mut public = match &key {
            Key::P256(pair) => {
                // A point without compression is a tag and two coordinates (SEC 1 §2.3.3).
                let point = pair.public_key().to_bytes_uncompressed();
                let (x, y) =
                    point.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
                json!({"crv": "P-256", "kty": "EC", "x": to_base64url(x), "y": to_base64url(y)})
            }
            Key::Ed25519(pair) => {
                json!({"crv": "Ed25519", "kty": "OKP", "x": to_base64url(pair.pk.as_ref())})
            }
        };
        // The required members in alphabetical order, without blanks (RFC 7638 §3.1).
        let thumbprint = to_base64url(&sha256(public.to_string().as_bytes()));
        let id = id.map_or(thumbprint, str::to_owned);
        for (name, value) in [("alg", key.algorithm()), ("kid", &id), ("use", "sig")] {
            if let Some(members) = public.as_object_mut() {
                members.insert(name.to_owned(), Value::from(value));
            }
        }
        Self { key, public, id }
    }

    /// Returns the public key as a JWK, for the provider's administrator.
    pub(crate) const fn public(&self) -> &Value {
        &self.public
    }

    /// Signs claims: a JWT in compact form (RFC 7519).
    #[must_use]
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": self.key.algorithm(), "kid": self.id, "typ": "JWT"});
        let part = |value: &Value| to_base64url(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = match &self.key {
            Key::P256(pair) => {
                let key: &p256::ecdsa::SigningKey = pair.as_ref();
                let signature: p256::ecdsa::Signature = key.sign(signed.as_bytes());
                signature.to_bytes().to_vec()
            }
            Key::Ed25519(pair) => pair.sk.sign(signed.as_bytes(), None).to_vec(),
        };
        format!("{signed}.{}", to_base64url(&signature))
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::foundation::limits::TOKEN;
    use crate::wire::jose::compact::Jws;
    use crate::wire::jose::jwk::PublicKey;
    use crate::wire::jose::signature::InRust;

    /// The key of RFC 8037 appendix A.1, with its thumbprint in appendix A.3.
    const ED25519: &str = r#"{"kty":"OKP","crv":"Ed25519",
        "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    /// The key of RFC 7515 appendix A.3.
    const P256: &str = r#"{"kty":"EC","crv":"P-256",
        "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        "d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;
    /// As `openssl genpkey` writes keys of P-256 and, with the key of RFC 8037, of Ed25519.
    const P256_PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg/SlkOqI+MWA1dGlz\n\
        G4G+WMGcNMZSbGHmCCm+p6fkXZqhRANCAAStMLaiGA6pL3/LiwStaO503kLVAeFQ\n\
        Rrw6MZxiaQuvooaVp7QbaTqAfwRLlskGh6H/HM29CXO+lPz/F65rNb+d\n\
        -----END PRIVATE KEY-----\n";
    const ED25519_PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
        -----END PRIVATE KEY-----\n";

    #[test]
    fn what_is_signed_verifies_with_the_public_key() {
        for text in [ED25519, P256, ED25519_PEM, P256_PEM] {
            let key = SigningKey::read(text).unwrap();
            let token = key.sign(&json!({"iss": "prefect"}));
            let jws = Jws::parse(token.as_bytes(), TOKEN).unwrap();
            let public = PublicKey::from_jwk(key.public().as_object().unwrap()).unwrap();
            assert!(public.has_signed(&jws, &InRust), "{text}");
            assert_eq!(jws.token_type.as_deref(), Some("jwt"));
            assert_eq!(public.id, jws.key_id);
            assert!(key.public().get("d").is_none());
            assert_eq!(token, key.sign(&json!({"iss": "prefect"})), "without randomness");
            assert!(!format!("{key:?}").contains("jpsQ") && !format!("{key:?}").contains("nWGx"));
        }
    }

    #[test]
    fn pkcs_8_is_read_in_each_form_and_as_a_whole() {
        let pem = |der: &[u8]| {
            let text = crate::foundation::crypto::to_base64(der);
            format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----")
        };
        let secrets = [
            "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
            "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        ];
        let secrets = secrets.map(|text| from_base64url(text.as_bytes()).unwrap());
        let [(_, _, _), (short, p256, _), (whole, ed25519, _)] = FORMS;
        for (length, before, secret, wanted) in
            [(short, p256, &secrets[0], P256), (whole, ed25519, &secrets[1], ED25519)]
        {
            let der = [before, secret].concat();
            assert_eq!(der.len(), length);
            let key = SigningKey::read(&pem(&der)).unwrap();
            assert_eq!(key.public(), SigningKey::read(wanted).unwrap().public());
            assert!(SigningKey::read(&pem(&[&der[..], &[0]].concat())).is_err(), "more");
            assert!(SigningKey::read(&pem(&der[..der.len() - 1])).is_err(), "less");
        }
    }

    #[test]
    fn the_identifier_is_the_thumbprint_unless_the_key_has_one() {
        let thumbprint = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
        assert_eq!(SigningKey::read(ED25519).unwrap().id, thumbprint);
        assert_eq!(SigningKey::read(ED25519_PEM).unwrap().id, thumbprint);
        let named = ED25519.replace("{\"kty\"", "{\"kid\":\"k1\",\"kty\"");
        assert_eq!(SigningKey::read(&named).unwrap().id, "k1");
    }

    #[test]
    fn other_keys_are_refused() {
        let without = |name: &str| P256.replace(&format!("\"{name}\":"), "\"other\":");
        for text in [
            "",
            "secret",
            "{}",
            "{\"kty\":\"oct\",\"k\":\"AA\"}",
            &without("d"),
            &P256.replace("P-256", "P-384"),
            &P256.replace("f83O", "f83P"),
            &ED25519.replace("11qY", "11qZ"),
            &ED25519.replace("nWGx", "nWG"),
            &ED25519.replace("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", &"A".repeat(43)),
            &P256.replace("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI", &"A".repeat(43)),
            &P256.replace("{\"kty\"", "{\"alg\":\"ES384\",\"kty\""),
            &ED25519_PEM.replace("PRIVATE", "PUBLIC"),
        ] {
            assert!(SigningKey::read(text).is_err(), "{text}");
        }
    }
}
