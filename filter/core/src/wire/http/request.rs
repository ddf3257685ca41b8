//! Headers of requests and responses, as the host passes them.

use core::fmt;

/// The headers of a request.
///
/// Envoy makes names lower-case. Values are unchecked bytes.
#[derive(Clone, Copy)]
pub struct RequestView<'a> {
    /// All header lines in order, with pseudo headers and duplicates.
    pub headers: &'a [(String, Vec<u8>)],
}

impl<'a> RequestView<'a> {
    /// Returns the values of all lines with this name.
    pub(crate) fn all(self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_slice())
    }

    /// Returns the value of the only line with this name; `None` if there is no line, or several.
    #[must_use]
    pub(crate) fn only(self, name: &'a str) -> Option<&'a [u8]> {
        let mut lines = self.all(name);
        let first = lines.next()?;
        lines.next().is_none().then_some(first)
    }

    /// Returns the value of the only line with this name, if it is ASCII text.
    #[must_use]
    pub(crate) fn text(self, name: &'a str) -> Option<&'a str> {
        self.only(name).and_then(|v| core::str::from_utf8(v).ok()).filter(|v| v.is_ascii())
    }

    /// Returns Envoy's request ID, if the request has one of the form that Envoy generates. Any
    /// other text may be the client's, and is not safe to repeat.
    #[must_use]
    pub(crate) fn request_id(self) -> Option<&'a str> {
        let id = self.text("x-request-id")?;
        let is_plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (is_plain && (1..=64).contains(&id.len())).then_some(id)
    }

    /// Returns whether there is a line with this name.
    #[must_use]
    pub(crate) fn has(self, name: &'a str) -> bool {
        self.all(name).next().is_some()
    }

    /// Returns the method; empty if it is missing or not ASCII.
    #[must_use]
    pub(crate) fn method(self) -> &'a str {
        self.text(":method").unwrap_or_default()
    }
}

/// The headers of a response.
#[derive(Clone, Copy)]
pub struct ResponseView<'a> {
    /// All header lines in order, with `:status`.
    pub headers: &'a [(String, Vec<u8>)],
}

impl<'a> ResponseView<'a> {
    /// Returns the status code; 0 if it is missing or not a number.
    #[must_use]
    pub(crate) fn status(self) -> u16 {
        self.header(":status").and_then(|s| s.parse().ok()).unwrap_or(0)
    }

    /// Returns whether there is a line with this name, with any value.
    #[must_use]
    pub(crate) fn has(self, name: &str) -> bool {
        self.headers.iter().any(|(n, _)| n == name)
    }

    /// Returns the value of the first line with this name, if it is UTF-8.
    #[must_use]
    pub(crate) fn header(self, name: &str) -> Option<&'a str> {
        let (_, value) = self.headers.iter().find(|(n, _)| n == name)?;
        core::str::from_utf8(value).ok()
    }
}

/// Shows names only. Values contain credentials.
impl fmt::Debug for RequestView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestView").field(&names(self.headers)).finish()
    }
}

/// Shows names only. Values contain cookies.
impl fmt::Debug for ResponseView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ResponseView").field(&names(self.headers)).finish()
    }
}

fn names(headers: &[(String, Vec<u8>)]) -> Vec<&str> {
    headers.iter().map(|(name, _)| name.as_str()).collect()
}
