//! Verification of signatures, by the host where it offers that, otherwise in Rust.
//!
//! Both return the same verdict: `make conformance` compares them on every Wycheproof vector.

use ed25519_compact::Signature as EdSignature;
use jwt_simple::algorithms::{Edwards25519PublicKey, P256PublicKey, P384PublicKey, RSAPublicKey};
use p256::ecdsa::signature::Verifier as _;
use superboring::error::ErrorStack;
use superboring::hash::MessageDigest;
use superboring::pkey::{PKey, Public};
use superboring::rsa::Padding;
use superboring::sign::Verifier;

use crate::foundation::crypto::Hash;
use crate::wire::jose::{Algorithm, der};

/// The host's verification of RSASSA-PKCS1-v1_5 and ECDSA signatures, faster than the module's.
pub trait HostVerifier {
    /// Returns whether a key has signed `text`; `None` if the host can't verify it.
    ///
    /// `spki` is the public key as SubjectPublicKeyInfo in DER. An ECDSA `signature` is in DER,
    /// too.
    fn verify(&self, hash: Hash, spki: &[u8], signature: &[u8], text: &[u8]) -> Option<bool>;
}

/// A host without verification, so that all signatures are verified in Rust.
#[cfg(any(test, feature = "testing"))]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InRust;

#[cfg(any(test, feature = "testing"))]
impl HostVerifier for InRust {
    fn verify(&self, _: Hash, _: &[u8], _: &[u8], _: &[u8]) -> Option<bool> {
        None
    }
}

/// A public key whose parameters have been checked (RFC 8725 §3.4).
pub(crate) struct Material {
    key: Key,
    /// SubjectPublicKeyInfo in DER for the host; empty for keys that the host does not support.
    spki: Vec<u8>,
}

enum Key {
    Rsa(Box<PKey<Public>>),
    P256(P256PublicKey),
    P384(P384PublicKey),
    Ed25519(Edwards25519PublicKey),
}

impl Material {
    /// Creates an RSA key from modulus and exponent, big-endian without leading zeros.
    #[must_use]
    pub(crate) fn rsa(n: &[u8], e: &[u8]) -> Option<Self> {
        let key = RSAPublicKey::from_components(n, e).ok()?;
        let key = PKey::from_rsa(key.as_ref().clone()).ok()?;
        Some(Self { key: Key::Rsa(Box::new(key)), spki: der::rsa_spki(n, e) })
    }

    /// Creates a P-256 key from coordinates of 32 bytes each; `None` if they are not on the curve.
    #[must_use]
    pub(crate) fn p256(x: &[u8], y: &[u8]) -> Option<Self> {
        let point = der::uncompressed_point(x, y);
        let key = P256PublicKey::from_bytes(&point).ok()?;
        Some(Self { key: Key::P256(key), spki: der::ec_spki(der::P256, &point) })
    }

    /// Creates a P-384 key from coordinates of 48 bytes each; `None` if they are not on the curve.
    #[must_use]
    pub(crate) fn p384(x: &[u8], y: &[u8]) -> Option<Self> {
        let point = der::uncompressed_point(x, y);
        let key = P384PublicKey::from_bytes(&point).ok()?;
        Some(Self { key: Key::P384(key), spki: der::ec_spki(der::P384, &point) })
    }

    /// Creates an Ed25519 key from its 32 bytes (RFC 8032 §5.1.5).
    #[must_use]
    pub(crate) fn ed25519(x: &[u8]) -> Option<Self> {
        let key = Edwards25519PublicKey::from_bytes(x).ok()?;
        Some(Self { key: Key::Ed25519(key), spki: Vec::new() })
    }

    /// Returns whether an algorithm is for keys of this kind.
    #[must_use]
    pub(crate) const fn fits(&self, algorithm: Algorithm) -> bool {
        match self.key {
            Key::Rsa(_) => algorithm.is_rsa(),
            Key::P256(_) => matches!(algorithm, Algorithm::Es256),
            Key::P384(_) => matches!(algorithm, Algorithm::Es384),
            Key::Ed25519(_) => matches!(algorithm, Algorithm::EdDsa),
        }
    }

    /// Returns whether this key has signed `text`. `signature` is in the form of RFC 7518 §3 or
    /// RFC 8037 §3.1.
    #[must_use]
    pub(crate) fn verify(
        &self,
        algorithm: Algorithm,
        text: &[u8],
        signature: &[u8],
        host: &dyn HostVerifier,
    ) -> bool {
        let by_host = match algorithm {
            Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 => {
                host.verify(algorithm.hash(), &self.spki, signature, text)
            }
            Algorithm::Es256 | Algorithm::Es384 => {
                // The coordinates of each curve are as long as its hash.
                let width = if algorithm == Algorithm::Es256 { 32 } else { 48 };
                let Some(signature) = der::ecdsa_signature(signature, width) else { return false };
                host.verify(algorithm.hash(), &self.spki, &signature, text)
            }
            // The host supports neither RSASSA-PSS nor Ed25519.
            Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512 | Algorithm::EdDsa => None,
        };
        by_host.unwrap_or_else(|| self.verify_in_rust(algorithm, text, signature))
    }

    fn verify_in_rust(&self, algorithm: Algorithm, text: &[u8], signature: &[u8]) -> bool {
        match &self.key {
            Key::Rsa(key) => rsa(key, algorithm, text, signature).unwrap_or(false),
            Key::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.as_ref().verify(text, &signature).is_ok()),
            Key::P384(key) => p384::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.as_ref().verify(text, &signature).is_ok()),
            Key::Ed25519(key) => EdSignature::from_slice(signature)
                .is_ok_and(|signature| key.as_ref().verify(text, &signature).is_ok()),
        }
    }
}

fn rsa(
    key: &PKey<Public>,
    algorithm: Algorithm,
    text: &[u8],
    signature: &[u8],
) -> Result<bool, ErrorStack> {
    let digest = match algorithm.hash() {
        Hash::Sha256 => MessageDigest::sha256(),
        Hash::Sha384 => MessageDigest::sha384(),
        Hash::Sha512 => MessageDigest::sha512(),
    };
    let pss = matches!(algorithm, Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512);
    let mut verifier = Verifier::new(digest, key)?;
    // The salt must be as long as the hash (RFC 7518 §3.5). That is the library's default.
    verifier.set_rsa_padding(if pss { Padding::PKCS1_PSS } else { Padding::PKCS1 })?;
    verifier.update(text)?;
    verifier.verify(signature)
}
