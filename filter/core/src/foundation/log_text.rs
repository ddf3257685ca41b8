//! Untrusted text in log lines.

/// Returns an untrusted text as a log line may contain it.
///
/// Characters that are not printable ASCII become `?`, and the text is cut after [`LOGGED_TEXT`]
/// characters. Quotes and backslashes stay; `telemetry::event` replaces them in a log line.
///
/// [`LOGGED_TEXT`]: crate::foundation::limits::LOGGED_TEXT
#[must_use]
pub(crate) fn shown(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if text.len() <= crate::foundation::limits::LOGGED_TEXT && text.bytes().all(plain) {
        return text.to_owned();
    }
    let printable = |c: char| if u8::try_from(c).is_ok_and(plain) { c } else { '?' };
    text.chars().take(crate::foundation::limits::LOGGED_TEXT).map(printable).collect()
}

/// Returns a provider's description of an error as a log line may contain it.
///
/// A provider may repeat what it was sent, so words that could be a code or a secret are left out:
/// 12 characters or more with letters and digits, or 24 that are no name such as an error code.
#[must_use]
pub(crate) fn described(text: &str) -> String {
    let has = |word: &str, kind: fn(&u8) -> bool| word.as_bytes().iter().any(kind);
    let could_be_secret = |word: &&str| {
        let mixed = has(word, u8::is_ascii_digit) && has(word, u8::is_ascii_alphabetic);
        let is_name = word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        (word.len() >= 24 && !is_name) || (word.len() >= 12 && mixed)
    };
    let word = |word| if could_be_secret(&word) { "(left out)" } else { word };
    shown(&text.split_whitespace().map(word).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn descriptions_repeat_no_secret() {
        for (text, wanted) in [
            (
                "Client not allowed for direct access grants",
                "Client not allowed for direct access grants",
            ),
            ("Code 0f9e8d7c-1234-4321-aaaa-0123456789ab is\nused", "Code (left out) is used"),
            ("secret=Jk3bPqZ7vXw2LmN9sTy5 is wrong", "(left out) is wrong"),
            ("AADSTS70002 Invalid client secret", "AADSTS70002 Invalid client secret"),
        ] {
            assert_eq!(described(text), wanted);
        }
    }

    #[test]
    fn foreign_text_is_made_harmless() {
        assert_eq!(shown("a\r\nb\u{1b}[31mä"), "a??b?[31m?");
        assert_eq!(shown(&"x".repeat(1000)).len(), crate::foundation::limits::LOGGED_TEXT);
    }
}
