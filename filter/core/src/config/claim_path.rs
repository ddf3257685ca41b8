//! Paths to the claims of a token.

/// Splits a path at its dots into member names.
///
/// A dot after a backslash belongs to the name (`kubernetes\.io.namespace`). A path that is a
/// URL, as in claims of Auth0, is a single name.
pub(crate) fn parse(path: &str) -> Vec<String> {
    if path.contains("://") {
        return vec![path.to_owned()];
    }
    let mut segments = vec![String::new()];
    let mut letters = path.chars();
    while let Some(letter) = letters.next() {
        let literal = match letter {
            '.' => {
                segments.push(String::new());
                continue;
            }
            '\\' => letters.next(),
            other => Some(other),
        };
        if let Some(last) = segments.last_mut() {
            last.extend(literal);
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn segments_are_apart_by_dots() {
        for (path, wanted) in [
            ("groups", &["groups"][..]),
            ("realm_access.roles", &["realm_access", "roles"]),
            ("https://example.com/roles", &["https://example.com/roles"]),
            (r"kubernetes\.io.namespace", &["kubernetes.io", "namespace"]),
            ("cognito:groups", &["cognito:groups"]),
            (r"a\\b.", &[r"a\b", ""]),
        ] {
            assert_eq!(parse(path), wanted, "{path}");
        }
    }
}
