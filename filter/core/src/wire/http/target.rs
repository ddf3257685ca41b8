//! The canonical request target.
//!
//! A target that two parsers could read in different ways is refused. So the path that Lictor
//! authorizes is the path that Prefect acts on (docs/threats.md, T-E1).

use std::borrow::Cow;

/// A request target in origin form (RFC 9112 §3.2.1) whose path has only one meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    raw: &'a str,
    path_len: usize,
    decoded: Cow<'a, str>,
}

/// Why a target is ambiguous: a fixed text for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ambiguous(pub(crate) &'static str);

impl<'a> Target<'a> {
    /// Reads the value of `:path`.
    ///
    /// # Errors
    /// When the target could be read in more than one way, or is not a path.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Ambiguous> {
        let raw = core::str::from_utf8(bytes).map_err(|_| Ambiguous("bytes that are not ASCII"))?;
        if !bytes.iter().all(u8::is_ascii_graphic) {
            return Err(Ambiguous("a control, blank or non-ASCII byte"));
        }
        if bytes.first() != Some(&b'/') {
            return Err(Ambiguous("not a path (absolute form, * or authority form)"));
        }
        if bytes.iter().any(|byte| matches!(byte, b'#' | b'\\')) {
            return Err(Ambiguous("a fragment or a backslash"));
        }
        let path_len = bytes.iter().position(|byte| *byte == b'?').unwrap_or(bytes.len());
        let path = raw.get(..path_len).unwrap_or_default();
        if path.as_bytes().windows(2).any(|pair| pair == b"//") {
            return Err(Ambiguous("an empty path segment"));
        }
        let decoded = if path.as_bytes().contains(&b'%') {
            Cow::Owned(decode(path)?)
        } else {
            Cow::Borrowed(path)
        };
        for segment in decoded.as_bytes().split(|byte| *byte == b'/') {
            let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
            if name == b"." || name == b".." || (name.is_empty() && segment.contains(&b';')) {
                return Err(Ambiguous("a dot segment"));
            }
        }
        Ok(Self { raw, path_len, decoded })
    }

    /// Returns path and query, not decoded.
    #[must_use]
    pub(crate) const fn raw(&self) -> &'a str {
        self.raw
    }

    /// Returns the path, not decoded and without the query. Exact matches use this form.
    #[must_use]
    pub(crate) fn path(&self) -> &'a str {
        self.raw.get(..self.path_len).unwrap_or_default()
    }

    /// Returns the path with percent-escapes decoded once, as Prefect's router sees it.
    #[must_use]
    pub(crate) fn decoded(&self) -> &str {
        &self.decoded
    }

    /// Returns the query without its question mark; `None` if there is no question mark.
    #[must_use]
    pub(crate) fn query(&self) -> Option<&'a str> {
        self.raw.get(self.path_len.saturating_add(1)..).filter(|_| self.raw.len() > self.path_len)
    }
}

fn decode(path: &str) -> Result<String, Ambiguous> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
        let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
            return Err(Ambiguous("a % that begins no escape"));
        };
        let byte = u8::try_from(high * 16 + low).unwrap_or(0);
        if matches!(byte, b'/' | b'\\' | b'%') || byte.is_ascii_control() {
            return Err(Ambiguous("an escaped slash, backslash, percent sign or control byte"));
        }
        decoded.push(byte);
    }
    String::from_utf8(decoded).map_err(|_| Ambiguous("escapes that are not UTF-8"))
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn plain_targets_keep_their_meaning() {
        let t = Target::parse(b"/api/flows/filter?x=/../y&z=%2f").unwrap();
        assert_eq!((t.path(), t.query()), ("/api/flows/filter", Some("x=/../y&z=%2f")));
        let t = Target::parse(b"/api/variables/name/a%20b").unwrap();
        assert_eq!((t.decoded(), t.query()), ("/api/variables/name/a b", None));
        assert_eq!(Target::parse(b"/?").unwrap().query(), Some(""));
    }

    #[test]
    fn escapes_are_decoded_once_for_the_policy() {
        assert_eq!(
            Target::parse(b"/api/%61dmin/settings").unwrap().decoded(),
            "/api/admin/settings"
        );
    }

    #[test]
    fn ambiguous_targets_are_refused() {
        for target in [
            "",
            "*",
            "http://x/",
            "api",
            "//x",
            "/a//b",
            "/a/./b",
            "/a/../b",
            "/a/..",
            "/.",
            "/a/%2e/b",
            "/a/%2E%2e/b",
            "/a/..;x/b",
            "/a/;x",
            "/a/.;/b",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/a%0a",
            "/a%0d",
            "/a%7f",
            "/a#b",
            "/a?b#c",
            "/a b",
            "/a\tb",
            "/a\u{7f}",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%252fb",
            "/a%c0%ae",
            "/a%ff",
            "/ä",
        ] {
            assert!(Target::parse(target.as_bytes()).is_err(), "{target:?}");
        }
        assert!(Target::parse(b"/\xff").is_err());
    }
}
