//! Query strings and form bodies: names decoded, duplicates seen.

use std::borrow::Cow;

/// A parameter that stands more than once (RFC 6749 §3.1 forbids it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Duplicate;

/// The value of a parameter that may stand at most once.
///
/// # Errors
/// When it stands twice, in whatever spelling.
pub(crate) fn only<'a>(query: &'a str, name: &str) -> Result<Option<Cow<'a, str>>, Duplicate> {
    let mut found = None;
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        if key == name && found.replace(value).is_some() {
            return Err(Duplicate);
        }
    }
    Ok(found)
}

/// `application/x-www-form-urlencoded` text of the pairs.
#[must_use]
pub(crate) fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// One value, encoded as in a form.
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
