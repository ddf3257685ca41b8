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

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn foreign_text_is_made_harmless() {
        assert_eq!(shown("a\r\nb\u{1b}[31mä"), "a??b?[31m?");
        assert_eq!(shown(&"x".repeat(1000)).len(), crate::foundation::limits::LOGGED_TEXT);
    }
}
