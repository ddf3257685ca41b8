//! Parameters of query strings and form bodies.

use std::borrow::Cow;

/// The error of a parameter that occurs more than once (RFC 6749 §3.1 forbids it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Duplicate;

/// Returns the value of a parameter that may occur at most once.
///
/// # Errors
/// When the parameter occurs more than once, in any percent-encoding of its name.
pub(crate) fn only<'a>(query: &'a str, name: &str) -> Result<Option<Cow<'a, str>>, Duplicate> {
    let mut found = None;
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        if key == name && found.replace(value).is_some() {
            return Err(Duplicate);
        }
    }
    Ok(found)
}

/// Encodes pairs as `application/x-www-form-urlencoded`.
#[must_use]
pub(crate) fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Encodes one value as in `application/x-www-form-urlencoded`.
#[must_use]
pub(crate) fn encode_value(value: &str) -> String {
    form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_parameter_twice_is_refused_however_it_is_spelt() {
        assert_eq!(only("a=1&b=2", "a"), Ok(Some("1".into())));
        assert_eq!(only("b=2", "a"), Ok(None));
        assert_eq!(only("a=1&a=1", "a"), Err(Duplicate));
        assert_eq!(only("a=1&%61=2", "a"), Err(Duplicate));
    }
}
