//! A strict JSON reader: RFC 8259 in UTF-8, unique member names (RFC 7515 §4), bounded nesting.

use core::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::foundation::limits::JSON_DEPTH;

/// Reads one JSON text, nested at most [`JSON_DEPTH`] levels deep.
///
/// # Errors
/// A text that says what is wrong and where. It never quotes a value.
pub(crate) fn parse(text: &[u8]) -> Result<Value, String> {
    parse_nested(text, JSON_DEPTH)
}

/// Reads one JSON text, nested at most `depth` levels deep. serde itself stops at 127 levels.
///
/// # Errors
/// A text that says what is wrong and where. It never quotes a value.
pub(crate) fn parse_nested(text: &[u8], depth: usize) -> Result<Value, String> {
    let text = core::str::from_utf8(text).map_err(|_| "not UTF-8".to_owned())?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value =
        Strict { left: depth }.deserialize(&mut deserializer).map_err(|error| describe(&error))?;
    deserializer.end().map_err(|error| describe(&error))?;
    Ok(value)
}

/// Describes an error by its kind and position. The messages of serde may quote values.
fn describe(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Eof => "the text ends early",
        serde_json::error::Category::Data => "a member name twice, or nested too deeply",
        _ => "not JSON",
    };
    format!("{kind} (line {}, column {})", error.line(), error.column())
}

/// A deserializer of JSON values that refuses duplicate member names and deep nesting.
#[derive(Clone, Copy)]
struct Strict {
    /// How many more levels of nesting are allowed.
    left: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let left = self.left.checked_sub(1);
        left.map(|left| Self { left }).ok_or_else(|| E::custom("nested too deeply"))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(inner)?;
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("a member name twice"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::foundation::limits::MASKED_DEPTH;

    #[test]
    fn a_member_name_twice_is_refused() {
        assert!(parse(br#"{"a":1,"a":2}"#).unwrap_err().contains("twice"));
        assert!(parse(br#"{"a":{"b":1,"\u0062":2}}"#).is_err(), "escapes name the same member");
        assert!(parse(br#"{"a":1,"b":{"a":1}}"#).is_ok());
    }

    #[test]
    fn nesting_is_bounded_on_both_sides() {
        let nested = |n: usize| [b"[".repeat(n), b"]".repeat(n)].concat();
        assert!(parse(&nested(JSON_DEPTH)).is_ok());
        assert!(parse(&nested(JSON_DEPTH + 1)).is_err());
        assert!(parse_nested(&nested(MASKED_DEPTH), MASKED_DEPTH).is_ok());
        assert!(parse_nested(&nested(MASKED_DEPTH + 1), MASKED_DEPTH).is_err());
        assert!(parse(&b"[".repeat(100_000)).is_err());
    }

    #[test]
    fn an_error_never_quotes_the_text() {
        for text in [r#"{"password":"hunter2""#, r#"{"hunter2":1,"hunter2":2}"#, "hunter2"] {
            assert!(!parse(text.as_bytes()).unwrap_err().contains("hunter2"), "{text}");
        }
    }
}
