//! JSON Web Keys (RFC 7517, 7518 §6, 8037): public signature keys, each for exactly the
//! algorithms that its type allows.

use jwt_simple::algorithms::{
    ES256PublicKey, ES384PublicKey, Ed25519PublicKey, PS256PublicKey, PS384PublicKey,
    PS512PublicKey, RS256PublicKey, RS384PublicKey, RS512PublicKey,
};
use serde_json::{Map, Value};

use crate::crypto::from_base64url;
use crate::jose::Algorithm;
use crate::limits::{JWKS_BYTES, JWKS_KEYS, RSA_BITS};

/// A usable public key.
pub struct PublicKey {
    /// `kid`, if it has one.
    pub id: Option<String>,
    /// `alg`, if the key is bound to one.
    algorithm: Option<Algorithm>,
    material: Material,
}

enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Box<ES256PublicKey>),
    P384(Box<ES384PublicKey>),
    Ed25519(Ed25519PublicKey),
}

/// A verifier for one key and one algorithm.
pub enum Verifier<'a> {
    /// RS256.
    Rs256(RS256PublicKey),
    /// RS384.
    Rs384(RS384PublicKey),
    /// RS512.
    Rs512(RS512PublicKey),
    /// PS256.
    Ps256(PS256PublicKey),
    /// PS384.
    Ps384(PS384PublicKey),
    /// PS512.
    Ps512(PS512PublicKey),
    /// ES256.
    Es256(&'a ES256PublicKey),
    /// ES384.
    Es384(&'a ES384PublicKey),
    /// EdDSA.
    EdDsa(&'a Ed25519PublicKey),
}

/// Why a key can't be used. Fixed texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unusable(pub &'static str);

impl PublicKey {
    /// Reads one JWK.
    ///
    /// # Errors
    /// When it is not a public signature key of a kind and size that Lictor takes.
    pub fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, Unusable> {
        match jwk.get("use") {
            None => {}
            Some(Value::String(usage)) if usage == "sig" => {}
            Some(_) => return Err(Unusable("not for signatures")),
        }
        if let Some(operations) = jwk.get("key_ops") {
            let verify = |ops: &Vec<Value>| ops.iter().any(|op| op == "verify");
            if !operations.as_array().is_some_and(verify) {
                return Err(Unusable("not for verification"));
            }
        }
        if jwk.contains_key("d") || jwk.contains_key("k") {
            return Err(Unusable("private or symmetric"));
        }
        let id = match jwk.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.clone()),
            Some(_) => return Err(Unusable("a kid that is no string")),
        };
        let algorithm = match jwk.get("alg") {
            None => None,
            Some(alg) => {
                let named = alg.as_str().and_then(Algorithm::named);
                Some(named.ok_or(Unusable("an alg that can't be allowed"))?)
            }
        };
        let key = Self { id, algorithm, material: material(jwk)? };
        if key.algorithm.is_some_and(|algorithm| !key.fits(algorithm)) {
            return Err(Unusable("an alg of another key type"));
        }
        Ok(key)
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        match self.material {
            Material::Rsa { .. } => algorithm.is_rsa(),
            Material::P256(_) => algorithm == Algorithm::Es256,
            Material::P384(_) => algorithm == Algorithm::Es384,
            Material::Ed25519(_) => algorithm == Algorithm::EdDsa,
        }
    }

    /// The verifier for an algorithm; `None` when key and algorithm do not belong together
    /// (RFC 8725 §3.1).
    #[must_use]
    pub fn verifier(&self, algorithm: Algorithm) -> Option<Verifier<'_>> {
        if !self.fits(algorithm) || self.algorithm.is_some_and(|own| own != algorithm) {
            return None;
        }
        Some(match &self.material {
            Material::P256(key) => Verifier::Es256(key),
            Material::P384(key) => Verifier::Es384(key),
            Material::Ed25519(key) => Verifier::EdDsa(key),
            Material::Rsa { n, e } => match algorithm {
                Algorithm::Rs256 => Verifier::Rs256(RS256PublicKey::from_components(n, e).ok()?),
                Algorithm::Rs384 => Verifier::Rs384(RS384PublicKey::from_components(n, e).ok()?),
                Algorithm::Rs512 => Verifier::Rs512(RS512PublicKey::from_components(n, e).ok()?),
                Algorithm::Ps256 => Verifier::Ps256(PS256PublicKey::from_components(n, e).ok()?),
                Algorithm::Ps384 => Verifier::Ps384(PS384PublicKey::from_components(n, e).ok()?),
                Algorithm::Ps512 => Verifier::Ps512(PS512PublicKey::from_components(n, e).ok()?),
                Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => return None,
            },
        })
    }
}

fn material(jwk: &Map<String, Value>) -> Result<Material, Unusable> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let bytes = |name: &str| text(name).and_then(|text| from_base64url(text.as_bytes()));
    let point = |length: usize| {
        let (x, y) = (bytes("x")?, bytes("y")?);
        // SEC 1 §2.3.3, uncompressed; RFC 7518 §6.2.1.2 asks for full-length coordinates.
        (x.len() == length && y.len() == length).then(|| [&[4], x.as_slice(), &y].concat())
    };
    match (text("kty"), text("crv")) {
        (Some("RSA"), None) => {
            let (n, e) =
                bytes("n").zip(bytes("e")).ok_or(Unusable("an RSA key without n and e"))?;
            rsa(n, e)
        }
        (Some("EC"), Some("P-256")) => point(32)
            .and_then(|point| ES256PublicKey::from_bytes(&point).ok())
            .map(|key| Material::P256(Box::new(key)))
            .ok_or(Unusable("not a point of P-256")),
        (Some("EC"), Some("P-384")) => point(48)
            .and_then(|point| ES384PublicKey::from_bytes(&point).ok())
            .map(|key| Material::P384(Box::new(key)))
            .ok_or(Unusable("not a point of P-384")),
        (Some("OKP"), Some("Ed25519")) => bytes("x")
            .and_then(|x| Ed25519PublicKey::from_bytes(&x).ok())
            .map(Material::Ed25519)
            .ok_or(Unusable("not a point of Ed25519")),
        _ => Err(Unusable("another kind of key")),
    }
}

fn rsa(n: Vec<u8>, e: Vec<u8>) -> Result<Material, Unusable> {
    let leading = n.first().map_or(8, |byte| byte.leading_zeros() as usize);
    let bits = n.len().saturating_mul(8).saturating_sub(leading);
    if leading == 8 || !RSA_BITS.contains(&bits) {
        return Err(Unusable("an RSA modulus outside 2048 to 4096 bits"));
    }
    // e odd, above 1, and small: a huge one would make each verification slow.
    let odd = e.last().is_some_and(|byte| byte & 1 == 1);
    if !odd || e.len() > 4 || e == [1] || e.first() == Some(&0) {
        return Err(Unusable("an RSA exponent that is even, 1 or huge"));
    }
    if RS256PublicKey::from_components(&n, &e).is_err() {
        return Err(Unusable("an RSA key that the verifier refuses"));
    }
    Ok(Material::Rsa { n, e })
}

/// A set's usable keys, and why the others were left out.
#[derive(Default)]
pub struct KeySet {
    /// In their order.
    pub keys: Vec<PublicKey>,
    /// Reasons, for one log line.
    pub skipped: Vec<&'static str>,
}

impl KeySet {
    /// Reads a JWKS answer. Encryption keys, unknown kinds and broken entries are left out.
    ///
    /// # Errors
    /// When it is no JWKS, or no key in it is usable.
    pub fn parse(body: &[u8]) -> Result<Self, Unusable> {
        if body.len() > JWKS_BYTES {
            return Err(Unusable("longer than 256 KiB"));
        }
        let value = crate::json::parse(body).map_err(|_| Unusable("not JSON"))?;
        let list = value.get("keys").and_then(Value::as_array).ok_or(Unusable("no array keys"))?;
        if list.len() > JWKS_KEYS {
            return Err(Unusable("more than 64 keys"));
        }
        let mut set = Self::default();
        for jwk in list {
            let key = jwk.as_object().ok_or(Unusable("no object")).and_then(PublicKey::from_jwk);
            match key {
                Ok(key) => set.keys.push(key),
                Err(Unusable(why)) => set.skipped.push(why),
            }
        }
        if set.keys.is_empty() { Err(Unusable("no usable signature key")) } else { Ok(set) }
    }

    /// Whether a key has that `kid`.
    #[must_use]
    pub fn has(&self, key_id: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_deref() == Some(key_id))
    }

    /// The keys that may have signed a token. Without a `kid` only a set with one fitting key
    /// answers: trying several would let a token choose (OpenID Connect Core §10.1).
    #[must_use]
    pub fn select(&self, key_id: Option<&str>, algorithm: Algorithm) -> Option<Verifier<'_>> {
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| key_id.is_none() || key.id.as_deref() == key_id)
            .filter_map(|key| key.verifier(algorithm));
        let first = fitting.next()?;
        fitting.next().is_none().then_some(first)
    }
}
