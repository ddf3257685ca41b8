//! Signature verification by Envoy (BoringSSL), through the foreign function `verify_signature`.
//!
//! It is about forty times as fast for RS256 as the module itself. Envoy has it for
//! RSASSA-PKCS1-v1_5 and ECDSA.

use lictor_core::{Hash, HostVerifier};
use proxy_wasm::hostcalls;

/// Envoy's answer for a valid signature: the message `VerifySignatureResult { result: true }`.
const VERIFIED: &[u8] = &[0x08, 0x01];

/// Verifies signatures with Envoy's foreign function.
pub struct HostSignatures;

impl HostVerifier for HostSignatures {
    fn verify(&self, hash: Hash, spki: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
        // The function also accepts SHA-1, so the name comes from this list and never from the
        // token.
        let hash = match hash {
            Hash::Sha256 => "sha256",
            Hash::Sha384 => "sha384",
            Hash::Sha512 => "sha512",
        };
        let mut arguments = Vec::with_capacity(spki.len() + signature.len() + text.len() + 64);
        for (tag, bytes) in [(1, hash.as_bytes()), (2, spki), (3, signature), (4, text)] {
            field(&mut arguments, tag, bytes);
        }
        // If the host lacks the function or can't answer, the module verifies the signature itself.
        let answer = hostcalls::call_foreign_function("verify_signature", Some(&arguments)).ok()?;
        Some(answer.as_deref() == Some(VERIFIED))
    }
}

/// Appends a length-delimited field to a protobuf message.
fn field(message: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    message.push((tag << 3) | 2);
    let mut length = bytes.len();
    while length > 0x7f {
        message.push(u8::try_from(length & 0x7f).unwrap_or(0) | 0x80);
        length >>= 7;
    }
    message.push(u8::try_from(length).unwrap_or(0));
    message.extend_from_slice(bytes);
}
