//! The compact serialization of a JWS (RFC 7515 §3.1, §7.1). Nothing is verified here.

use serde_json::{Map, Value};

use crate::foundation::crypto::from_base64url;
use crate::foundation::limits::TOKEN;
use crate::wire::jose::Algorithm;

/// The parts of a signed text. Nothing in it is verified.
#[derive(Debug)]
pub(crate) struct Jws<'a> {
    /// The signing input: header, dot, payload (RFC 7515 §5.2 step 8).
    pub(crate) signed: &'a str,
    /// The signature, decoded.
    pub(crate) signature: Vec<u8>,
    /// `alg`, one of the algorithms that Lictor supports.
    pub(crate) algorithm: Algorithm,
    /// `kid`. It only selects a key; it is never used as a path or query (RFC 8725 §3.10).
    pub(crate) key_id: Option<String>,
    /// `typ`, in lower case and without `application/`.
    pub(crate) token_type: Option<String>,
    /// The payload, decoded: any bytes.
    pub(crate) payload: Vec<u8>,
}

/// The parts of a token: a signed text whose payload is a JSON object of claims.
#[derive(Debug)]
pub(crate) struct Compact<'a> {
    /// The signed text.
    pub(crate) jws: Jws<'a>,
    /// The claims: the members of the payload.
    pub(crate) claims: Map<String, Value>,
}

/// Why a text can't be read as a token: a fixed text for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable(pub(crate) &'static str);

impl<'a> Jws<'a> {
    /// Parses a signed text (RFC 7515 §5.2, steps 1 to 7).
    ///
    /// # Errors
    /// When it is longer than `most` bytes, is not three base64url parts, or its header is not a
    /// strict JSON object. Also when the header names an unsupported algorithm, a critical
    /// extension, compression or encryption.
    pub(crate) fn parse(token: &'a [u8], most: usize) -> Result<Self, Unreadable> {
        if token.len() > most {
            return Err(Unreadable(if most == TOKEN { "longer than 16 KiB" } else { "too long" }));
        }
        let text = core::str::from_utf8(token).map_err(|_| Unreadable("no text"))?;
        let three = || Unreadable("other than three parts: a JWE, or no token");
        let (signed, signature) = text.rsplit_once('.').ok_or_else(three)?;
        let (header, payload) = signed.split_once('.').ok_or_else(three)?;
        if payload.contains('.') {
            return Err(three());
        }
        let signature = from_base64url(signature.as_bytes()).filter(|bytes| !bytes.is_empty());
        let signature = signature.ok_or(Unreadable("no signature in base64url"))?;
        let payload = from_base64url(payload.as_bytes());
        let payload = payload.ok_or(Unreadable("a payload that is not base64url"))?;
        let mut header = from_base64url(header.as_bytes())
            .and_then(|bytes| object(&bytes))
            .ok_or(Unreadable("a header that is no JSON object"))?;
        // A recipient must understand every critical extension (RFC 7515 §4.1.11); Lictor
        // supports none. `b64` announces an unencoded payload (RFC 7797).
        if header.contains_key("crit") || header.contains_key("b64") {
            return Err(Unreadable("a critical extension"));
        }
        if header.contains_key("zip") || header.contains_key("enc") {
            return Err(Unreadable("compression or encryption"));
        }
        let algorithm = header.get("alg").and_then(Value::as_str).and_then(Algorithm::named);
        let algorithm = algorithm.ok_or(Unreadable("an algorithm that can't be allowed"))?;
        let key_id = match header.remove("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid),
            Some(_) => return Err(Unreadable("a kid that is no string")),
        };
        let token_type = match header.remove("typ") {
            None => None,
            Some(Value::String(typ)) => Some(media_type(&typ)),
            Some(_) => return Err(Unreadable("a typ that is no string")),
        };
        Ok(Self { signed, signature, algorithm, key_id, token_type, payload })
    }
}

impl<'a> Compact<'a> {
    /// Parses a token (RFC 7519 §7.2, steps 1 to 10, without the check of the signature).
    ///
    /// # Errors
    /// When [`Jws::parse`] fails, or the payload is not a strict JSON object.
    pub(crate) fn parse(token: &'a [u8], most: usize) -> Result<Self, Unreadable> {
        let jws = Jws::parse(token, most)?;
        let claims = object(&jws.payload).ok_or(Unreadable("a payload that is no JSON object"))?;
        Ok(Self { jws, claims })
    }
}

/// Normalizes `typ`: `application/` may be omitted and case does not matter (RFC 7515 §4.1.9).
fn media_type(typ: &str) -> String {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/").map_or(typ.clone(), str::to_owned)
}

fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    match crate::foundation::json::parse(bytes) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}

/// Returns whether a text has the shape of a compact token, to tell tokens from passwords.
#[must_use]
pub(crate) fn looks_like_token(text: &[u8]) -> bool {
    text.starts_with(b"ey") && text.iter().filter(|b| **b == b'.').count() == 2
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_token_may_have_16_kib_and_no_byte_more() {
        let why = |length| Jws::parse(&vec![b'a'; length], TOKEN).err().map(|why| why.0);
        assert_eq!(why(TOKEN), Some("other than three parts: a JWE, or no token"));
        assert_eq!(why(TOKEN + 1), Some("longer than 16 KiB"));
        assert_eq!(why(TOKEN + 2), Some("longer than 16 KiB"));
    }
}
