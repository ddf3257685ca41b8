//! The compact serialisation (RFC 7515 §3.1, §7.1), read before anything is believed.

use serde_json::{Map, Value};

use crate::foundation::crypto::from_base64url;
use crate::foundation::limits::TOKEN;
use crate::wire::jose::Algorithm;

/// A signed text taken apart; nothing in it is verified.
#[derive(Debug)]
pub(crate) struct Jws<'a> {
    /// What was signed: header, dot, payload (RFC 7515 §5.2 step 8).
    pub(crate) signed: &'a str,
    /// The signature over it.
    pub(crate) signature: Vec<u8>,
    /// `alg`, one of those that Lictor knows.
    pub(crate) algorithm: Algorithm,
    /// `kid`, a name without meaning of its own (RFC 8725 §3.10).
    pub(crate) key_id: Option<String>,
    /// `typ`, lower-case, without `application/`.
    pub(crate) token_type: Option<String>,
    /// The payload, whatever it is.
    pub(crate) payload: Vec<u8>,
}

/// A token taken apart: a signed text whose payload is an object of claims.
#[derive(Debug)]
pub(crate) struct Compact<'a> {
    /// The signed text.
    pub(crate) jws: Jws<'a>,
    /// The payload's members.
    pub(crate) claims: Map<String, Value>,
}

/// Why a text is no token that Lictor reads. Fixed texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable(pub(crate) &'static str);

impl<'a> Jws<'a> {
    /// Takes a signed text apart (RFC 7515 §5.2, steps 1 to 7).
    ///
    /// # Errors
    /// When it is not three base64url parts with a strict JSON object in front, names an algorithm
    /// that can't be listed, or holds critical extensions.
    pub(crate) fn parse(token: &'a [u8]) -> Result<Self, Unreadable> {
        if token.len() > TOKEN {
            return Err(Unreadable("longer than 16 KiB"));
        }
        let text = core::str::from_utf8(token).map_err(|_| Unreadable("not text"))?;
        let three = || Unreadable("not three parts (a JWE, or no token)");
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
        // RFC 7515 §4.1.11: what is critical must be understood; Lictor understands none.
        // RFC 7797: an unencoded payload is announced there, too.
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
    /// Takes a token apart (RFC 7519 §7.2, steps 1 to 10, but for the signature).
    ///
    /// # Errors
    /// As [`Jws::parse`], and when the payload is no strict JSON object.
    pub(crate) fn parse(token: &'a [u8]) -> Result<Self, Unreadable> {
        let jws = Jws::parse(token)?;
        let claims = object(&jws.payload).ok_or(Unreadable("a payload that is no JSON object"))?;
        Ok(Self { jws, claims })
    }
}

/// RFC 7515 §4.1.9: `application/` may be left out; media types are case-insensitive.
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

/// Whether a text has the shape of a compact token: used to tell a token from a password.
#[must_use]
pub(crate) fn looks_like_token(text: &[u8]) -> bool {
    text.starts_with(b"ey") && text.iter().filter(|b| **b == b'.').count() == 2
}
