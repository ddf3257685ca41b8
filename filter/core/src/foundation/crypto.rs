//! Hashing, key derivation, authenticated encryption, base64 and base64url.
//!
//! No other module imports a cryptographic crate, except `wire::jose::signature` and
//! `wire::jose::signing` for signatures, `foundation::password_hash` for bcrypt, and
//! `foundation::secret` for wiping memory.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq as _;

/// Length of an XChaCha20-Poly1305 nonce in bytes. Random nonces of this length do not collide in
/// practice.
pub(crate) const NONCE: usize = 24;

/// A symmetric key of 256 bits.
pub(crate) type Key = [u8; 32];

/// A source of randomness: the host, or the generator of a test.
pub trait Entropy {
    /// Fills the buffer with unpredictable bytes.
    ///
    /// # Errors
    /// When the host has no randomness. Callers must not seal anything then.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), NoEntropy>;
}

/// The error of a host without randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoEntropy;

/// Returns `N` new random bytes.
pub(crate) fn random<const N: usize>(entropy: &mut dyn Entropy) -> Result<[u8; N], NoEntropy> {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes)?;
    Ok(bytes)
}

/// Returns the SHA-256 hash of bytes (FIPS 180-4).
#[must_use]
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// A hash function of the SHA-2 family (FIPS 180-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// Returns the hash of bytes: 32, 48 or 64 bytes long.
    #[must_use]
    pub(crate) fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

/// Derives a key for one purpose from a master key (HKDF-SHA256, RFC 5869).
#[must_use]
pub(crate) fn derive(master: &Key, purpose: &str) -> Key {
    let mut key = Key::default();
    // Expansion fails only above 255 blocks; a key is one block.
    let _ = Hkdf::<Sha256>::new(Some(b"lictor v1"), master).expand(purpose.as_bytes(), &mut key);
    key
}

/// Returns an authentication code over a name and content: HMAC-SHA256.
///
/// HKDF's extract step is exactly this function (RFC 5869 §2.2).
#[must_use]
pub(crate) fn mac(key: &Key, name: &str, content: &[u8]) -> [u8; 32] {
    // The length of the name separates it from the content.
    let length = u64::try_from(name.len()).unwrap_or(u64::MAX).to_be_bytes();
    let message = [length.as_slice(), name.as_bytes(), content].concat();
    Hkdf::<Sha256>::extract(Some(key), &message).0.into()
}

/// Encrypts and authenticates with XChaCha20-Poly1305. Returns nonce, ciphertext and tag.
///
/// `associated` is authenticated only: [`open`] needs the same bytes.
///
/// # Errors
/// When there is no randomness for the nonce.
pub(crate) fn seal(
    key: &Key,
    associated: &[u8],
    plain: &[u8],
    entropy: &mut dyn Entropy,
) -> Result<Vec<u8>, NoEntropy> {
    let nonce: [u8; NONCE] = random(entropy)?;
    let sealed = XChaCha20Poly1305::new(key.into())
        .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: associated })
        .map_err(|_| NoEntropy)?;
    Ok([nonce.as_slice(), &sealed].concat())
}

/// Opens bytes that [`seal`] created with the same key and associated data.
///
/// `None` does not say why they do not open.
#[must_use]
pub(crate) fn open(key: &Key, associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE>()?;
    XChaCha20Poly1305::new(key.into())
        .decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad: associated })
        .ok()
}

/// Compares two texts in a time that depends only on their lengths.
#[must_use]
pub(crate) fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// Encodes bytes as base64url without padding (RFC 4648 §5, as in RFC 7515 §2).
#[must_use]
pub(crate) fn to_base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes base64url strictly: no padding, no stray trailing bits, no other alphabet.
#[must_use]
pub(crate) fn from_base64url(text: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Encodes bytes as base64 with padding (RFC 4648 §4, as in RFC 7617).
#[must_use]
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Decodes base64 strictly: padding is required, stray trailing bits are refused.
#[must_use]
pub(crate) fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    struct Counter(u8);
    impl Entropy for Counter {
        fn fill(&mut self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
            self.0 = self.0.wrapping_add(1);
            buffer.fill(self.0);
            Ok(())
        }
    }

    #[test]
    fn what_is_sealed_opens_only_with_the_same_key_and_associated_data() {
        let key = derive(&[7; 32], "session");
        let sealed = seal(&key, b"aad", b"hello", &mut Counter(0)).unwrap();
        assert_eq!(open(&key, b"aad", &sealed).as_deref(), Some(b"hello".as_slice()));
        assert_eq!(open(&key, b"aae", &sealed), None);
        assert_eq!(open(&derive(&[7; 32], "login"), b"aad", &sealed), None);
        assert_eq!(open(&key, b"aad", b"short"), None);
    }

    #[test]
    fn every_single_bit_change_is_refused() {
        let key = derive(&[1; 32], "session");
        let sealed = seal(&key, b"", b"payload", &mut Counter(0)).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&key, b"", &changed), None, "bit {bit}");
        }
    }

    #[test]
    fn sha256_matches_the_standards_example() {
        let hex: String = sha256(b"abc").iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn base64url_is_strict() {
        assert_eq!(from_base64url(b"aGk"), Some(b"hi".to_vec()));
        for bad in ["aGk=", "aGl", "a+k", "a/k", "a k", "a"] {
            assert_eq!(from_base64url(bad.as_bytes()), None, "{bad}");
        }
    }
}
