//! The compact serialisation (RFC 7515 §3.1, §7.1), read before anything is believed.

use serde_json::{Map, Value};

use crate::crypto::from_base64url;
use crate::jose::Algorithm;
use crate::limits::TOKEN;

/// A token taken apart; nothing in it is verified.
#[derive(Debug)]
pub struct Compact<'a> {
    /// The token as it came.
    pub text: &'a str,
    /// `alg`, one of those that Lictor knows.
    pub algorithm: Algorithm,
    /// `kid`, a name without meaning of its own (RFC 8725 §3.10).
    pub key_id: Option<String>,
    /// `typ`, lower-case, without `application/`.
    pub token_type: Option<String>,
    /// The payload's members.
    pub claims: Map<String, Value>,
}

/// Why a text is no token that Lictor reads. Fixed texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable(pub &'static str);

impl<'a> Compact<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// When it is not three base64url parts of strict JSON, names an algorithm that can't be
    /// listed, or holds critical extensions.
    pub fn parse(token: &'a [u8]) -> Result<Self, Unreadable> {
        if token.len() > TOKEN {
            return Err(Unreadable("longer than 16 KiB"));
        }
        let text = core::str::from_utf8(token).map_err(|_| Unreadable("not text"))?;
        let parts: Vec<&str> = text.split('.').collect();
        let [header, payload, signature] = parts.as_slice() else {
            return Err(Unreadable("not three parts (a JWE, or no token)"));
        };
        if signature.is_empty() || from_base64url(signature.as_bytes()).is_none() {
            return Err(Unreadable("no signature in base64url"));
        }
        let mut header = object(header).ok_or(Unreadable("a header that is no JSON object"))?;
        let claims = object(payload).ok_or(Unreadable("a payload that is no JSON object"))?;
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
        Ok(Self { text, algorithm, key_id, token_type, claims })
    }
}

/// RFC 7515 §4.1.9: `application/` may be left out; media types are case-insensitive.
fn media_type(typ: &str) -> String {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/").map_or(typ.clone(), str::to_owned)
}

fn object(part: &str) -> Option<Map<String, Value>> {
    match crate::json::parse(&from_base64url(part.as_bytes())?) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}

/// Whether a text has the shape of a compact token: used to tell a token from a password.
#[must_use]
pub fn looks_like_token(text: &[u8]) -> bool {
    text.starts_with(b"ey") && text.iter().filter(|b| **b == b'.').count() == 2
}
