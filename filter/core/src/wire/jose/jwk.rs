//! JSON Web Keys (RFC 7517, RFC 7518 §6, RFC 8037): public keys for signatures, each only for the
//! algorithms of its type.

use serde_json::{Map, Value};

use crate::foundation::crypto::from_base64url;
use crate::foundation::limits::{JWKS_BYTES, JWKS_KEYS, RSA_BITS};
use crate::wire::jose::Algorithm;
use crate::wire::jose::compact::Jws;
use crate::wire::jose::roca;
use crate::wire::jose::signature::{HostVerifier, Material};

/// A usable public key.
pub(crate) struct PublicKey {
    /// `kid`, if the key has one.
    pub(crate) id: Option<String>,
    /// `alg`, if the key is bound to one.
    algorithm: Option<Algorithm>,
    material: Material,
}

/// Why a key or a key set can't be used: a fixed text for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unusable(pub(crate) &'static str);

impl PublicKey {
    /// Reads one JWK.
    ///
    /// # Errors
    /// When it is not a public signature key, or Lictor does not support its type or size.
    pub(crate) fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, Unusable> {
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
        if key.algorithm.is_some_and(|algorithm| !key.material.fits(algorithm)) {
            return Err(Unusable("an alg of another key type"));
        }
        Ok(key)
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        self.material.fits(algorithm) && self.algorithm.is_none_or(|bound| bound == algorithm)
    }

    /// Returns whether this key has signed a text. It is `false` for an algorithm that the key is
    /// not for (RFC 8725 §3.1).
    #[must_use]
    pub(crate) fn has_signed(&self, jws: &Jws<'_>, host: &dyn HostVerifier) -> bool {
        self.fits(jws.algorithm)
            && self.material.verify(jws.algorithm, jws.signed.as_bytes(), &jws.signature, host)
    }
}

fn material(jwk: &Map<String, Value>) -> Result<Material, Unusable> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let bytes = |name: &str| text(name).and_then(|text| from_base64url(text.as_bytes()));
    // Coordinates must have their full length (RFC 7518 §6.2.1.2).
    let coordinates = |length: usize| {
        let (x, y) = (bytes("x")?, bytes("y")?);
        (x.len() == length && y.len() == length).then_some((x, y))
    };
    match (text("kty"), text("crv")) {
        (Some("RSA"), None) => {
            let (n, e) =
                bytes("n").zip(bytes("e")).ok_or(Unusable("an RSA key without n and e"))?;
            rsa(&n, &e)
        }
        (Some("EC"), Some("P-256")) => coordinates(32)
            .and_then(|(x, y)| Material::p256(&x, &y))
            .ok_or(Unusable("not a point of P-256")),
        (Some("EC"), Some("P-384")) => coordinates(48)
            .and_then(|(x, y)| Material::p384(&x, &y))
            .ok_or(Unusable("not a point of P-384")),
        (Some("OKP"), Some("Ed25519")) => {
            bytes("x").and_then(|x| Material::ed25519(&x)).ok_or(Unusable("not a point of Ed25519"))
        }
        _ => Err(Unusable("another kind of key")),
    }
}

fn rsa(n: &[u8], e: &[u8]) -> Result<Material, Unusable> {
    let leading = n.first().map_or(8, |byte| byte.leading_zeros() as usize);
    let bits = n.len().saturating_mul(8).saturating_sub(leading);
    if leading == 8 || !RSA_BITS.contains(&bits) {
        return Err(Unusable("an RSA modulus outside 2048 to 4096 bits"));
    }
    // Providers use 65537. Other exponents are weak (1, 3) or make each verification slow.
    if e != [1, 0, 1] {
        return Err(Unusable("an RSA exponent other than 65537"));
    }
    if roca::is_suspect(n) {
        return Err(Unusable("an RSA modulus of the vulnerable generator of CVE-2017-15361"));
    }
    Material::rsa(n, e).ok_or(Unusable("an RSA key that the verifier refuses"))
}

/// The usable keys of a JWKS.
#[derive(Default)]
pub(crate) struct KeySet {
    /// The usable keys, in the order of the set.
    pub(crate) keys: Vec<PublicKey>,
    /// Why each of the other keys was left out, for the log.
    pub(crate) skipped: Vec<&'static str>,
}

impl KeySet {
    /// Reads a JWKS. Encryption keys, unknown types and malformed entries are left out.
    ///
    /// # Errors
    /// When it is not a JWKS, exceeds [`JWKS_BYTES`] or [`JWKS_KEYS`], or has no usable key.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Unusable> {
        if body.len() > JWKS_BYTES {
            return Err(Unusable("longer than 256 KiB"));
        }
        let value = crate::foundation::json::parse(body).map_err(|_| Unusable("not JSON"))?;
        let list = value.get("keys").and_then(Value::as_array).ok_or(Unusable("no array keys"))?;
        if list.len() > JWKS_KEYS {
            return Err(Unusable("more than 64 keys"));
        }
        let mut set = Self::default();
        for (number, jwk) in list.iter().enumerate() {
            // Two keys with one `kid` would be ambiguous; the same key twice is not.
            if list.iter().take(number).any(|earlier| earlier == jwk) {
                set.skipped.push("listed twice");
                continue;
            }
            let key = jwk.as_object().ok_or(Unusable("no object")).and_then(PublicKey::from_jwk);
            match key {
                Ok(key) => set.keys.push(key),
                Err(Unusable(why)) => set.skipped.push(why),
            }
        }
        if set.keys.is_empty() { Err(Unusable("no usable signature key")) } else { Ok(set) }
    }

    /// Returns whether a usable key has this `kid`.
    #[must_use]
    pub(crate) fn has(&self, key_id: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_deref() == Some(key_id))
    }

    /// Returns the only key for a `kid` and an algorithm.
    ///
    /// Without a `kid` there must be exactly one key for the algorithm: trying several would let
    /// the token choose its key (OpenID Connect Core §10.1).
    #[must_use]
    pub(crate) fn select(&self, key_id: Option<&str>, algorithm: Algorithm) -> Option<&PublicKey> {
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| key_id.is_none() || key.id.as_deref() == key_id)
            .filter(|key| key.fits(algorithm));
        let first = fitting.next()?;
        fitting.next().is_none().then_some(first)
    }
}
