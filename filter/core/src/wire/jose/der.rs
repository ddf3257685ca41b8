//! DER encoders for the host's verifier.
//!
//! Public keys are SubjectPublicKeyInfo structures (RFC 5280 §4.1, RFC 3279 §2.3.1, RFC 5480 §2).
//! ECDSA signatures are sequences of two integers (RFC 3279 §2.2.3).

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const NULL: u8 = 0x05;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// Object identifier rsaEncryption, 1.2.840.113549.1.1.1.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// Object identifier id-ecPublicKey, 1.2.840.10045.2.1.
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// Object identifier of the curve secp256r1 (P-256), 1.2.840.10045.3.1.7.
pub(crate) const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// Object identifier of the curve secp384r1 (P-384), 1.3.132.0.34.
pub(crate) const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];

/// Encodes a point in the uncompressed form of SEC 1 §2.3.3.
#[must_use]
pub(crate) fn uncompressed_point(x: &[u8], y: &[u8]) -> Vec<u8> {
    [&[4], x, y].concat()
}

/// Encodes an RSA key, big-endian modulus and exponent, as SubjectPublicKeyInfo.
#[must_use]
pub(crate) fn rsa_spki(n: &[u8], e: &[u8]) -> Vec<u8> {
    let algorithm = [value(OBJECT_IDENTIFIER, RSA), value(NULL, &[])].concat();
    let key = value(SEQUENCE, &[unsigned(n), unsigned(e)].concat());
    spki(&algorithm, &key)
}

/// Encodes an EC key as SubjectPublicKeyInfo, from [`P256`] or [`P384`] and an uncompressed point.
#[must_use]
pub(crate) fn ec_spki(curve: &[u8], point: &[u8]) -> Vec<u8> {
    let algorithm = [value(OBJECT_IDENTIFIER, EC), value(OBJECT_IDENTIFIER, curve)].concat();
    spki(&algorithm, point)
}

fn spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    // The leading zero says that no bit of the last octet is unused.
    let key = value(BIT_STRING, &[&[0], key].concat());
    value(SEQUENCE, &[value(SEQUENCE, algorithm), key].concat())
}

/// Encodes an ECDSA signature in DER.
///
/// `raw` is the form of RFC 7518 §3.4: r and s in `length` bytes each. `None` if it has another
/// length.
#[must_use]
pub(crate) fn ecdsa_signature(raw: &[u8], length: usize) -> Option<Vec<u8>> {
    let (r, s) = raw.split_at_checked(length).filter(|(_, s)| s.len() == length)?;
    Some(value(SEQUENCE, &[unsigned(r), unsigned(s)].concat()))
}

/// Encodes big-endian bytes as an INTEGER that is not negative, in its shortest form (X.690
/// §8.3.2).
fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let from = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let digits = bytes.get(from..).unwrap_or_default();
    // A first octet above 0x7f would make the number negative, and zero needs one octet.
    if digits.first().is_none_or(|first| *first > 0x7f) {
        return value(INTEGER, &[&[0], digits].concat());
    }
    value(INTEGER, digits)
}

/// Encodes a value: tag, length, content.
fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let from = length.iter().position(|byte| *byte != 0).unwrap_or(length.len());
    let digits = length.get(from..).unwrap_or_default();
    // A length up to 127 is one octet. A longer one follows the number of its octets.
    let count = u8::try_from(digits.len()).unwrap_or(u8::MAX);
    match digits {
        [] => [&[tag, 0], content].concat(),
        [short @ 0..=0x7f] => [&[tag, *short], content].concat(),
        _ => [&[tag, 0x80 | count], digits, content].concat(),
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn integers_are_as_short_as_they_can_be_and_never_negative() {
        for (bytes, wanted) in [
            (&[][..], &[2, 1, 0][..]),
            (&[0, 0], &[2, 1, 0]),
            (&[0, 1], &[2, 1, 1]),
            (&[0x7f], &[2, 1, 0x7f]),
            (&[0x80], &[2, 2, 0, 0x80]),
            (&[0, 0xff, 0], &[2, 3, 0, 0xff, 0]),
        ] {
            assert_eq!(unsigned(bytes), wanted, "{bytes:?}");
        }
    }

    #[test]
    fn lengths_are_written_in_their_shortest_form() {
        for (length, wanted) in [
            (0, &[4, 0][..]),
            (127, &[4, 127]),
            (128, &[4, 0x81, 128]),
            (255, &[4, 0x81, 255]),
            (256, &[4, 0x82, 1, 0]),
        ] {
            assert_eq!(value(4, &vec![7; length])[..wanted.len()], *wanted, "{length}");
        }
    }

    #[test]
    fn signatures_of_another_length_are_none() {
        for length in [0, 1, 63, 65, 96] {
            assert_eq!(ecdsa_signature(&vec![1; length], 32), None, "{length}");
        }
        let short = ecdsa_signature(&[0; 64], 32).unwrap();
        assert_eq!(short, [0x30, 6, 2, 1, 0, 2, 1, 0]);
    }

    #[cfg(not(target_family = "wasm"))]
    mod properties {
        use jwt_simple::algorithms::{P256PublicKey, P384PublicKey, RSAPublicKey};
        use p256::elliptic_curve::Generate as _;
        use proptest::prelude::*;

        use super::super::*;

        proptest! {
            /// An independent library encodes the same signature.
            #[test]
            fn ecdsa_signatures_say_the_same_in_der(raw in proptest::collection::vec(any::<u8>(), 64), zeros in 0..31_usize) {
                let mut raw = raw;
                raw[..zeros].fill(0);
                raw[32..32 + zeros].fill(0);
                if let Ok(signature) = p256::ecdsa::Signature::from_slice(&raw) {
                    let der = signature.to_der();
                    prop_assert_eq!(ecdsa_signature(&raw, 32).unwrap(), der.as_bytes());
                }
            }

            #[test]
            fn rsa_keys_say_the_same_in_der(middle in proptest::collection::vec(any::<u8>(), 254..=510), first in 0x80_u8..) {
                let n = [&[first], middle.as_slice(), &[1]].concat();
                let key = RSAPublicKey::from_components(&n, &[1, 0, 1]).unwrap();
                prop_assert_eq!(rsa_spki(&n, &[1, 0, 1]), key.to_der().unwrap());
            }
        }

        #[test]
        fn points_say_the_same_in_der() {
            for _ in 0..64 {
                let secret = p256::ecdsa::SigningKey::generate();
                let point = secret.verifying_key().to_sec1_point(false);
                let key = P256PublicKey::from_bytes(point.as_bytes()).unwrap();
                assert_eq!(ec_spki(P256, point.as_bytes()), key.to_der().unwrap());
                let secret = p384::ecdsa::SigningKey::generate();
                let point = secret.verifying_key().to_sec1_point(false);
                let key = P384PublicKey::from_bytes(point.as_bytes()).unwrap();
                assert_eq!(ec_spki(P384, point.as_bytes()), key.to_der().unwrap());
            }
        }
    }
}
