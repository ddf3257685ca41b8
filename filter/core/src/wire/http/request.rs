//! One request as the host gives it: a view over bytes.

/// A request's headers. Names are lower-case (Envoy sees to it); values
/// are bytes that nobody has checked.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    /// All header lines in order, pseudo headers among them, duplicates kept.
    pub headers: &'a [(String, Vec<u8>)],
}

impl<'a> RequestView<'a> {
    /// Every line of that name.
    pub(crate) fn all(self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_slice())
    }

    /// The only line of that name; none if it is absent or there are several.
    #[must_use]
    pub(crate) fn only(self, name: &'a str) -> Option<&'a [u8]> {
        let mut lines = self.all(name);
        let first = lines.next()?;
        lines.next().is_none().then_some(first)
    }

    /// The only line of that name if it is ASCII text.
    #[must_use]
    pub(crate) fn text(self, name: &'a str) -> Option<&'a str> {
        self.only(name).and_then(|v| core::str::from_utf8(v).ok()).filter(|v| v.is_ascii())
    }

    /// Whether there is a line of that name.
    #[must_use]
    pub(crate) fn has(self, name: &'a str) -> bool {
        self.all(name).next().is_some()
    }

    /// The method, empty if there is none that is text.
    #[must_use]
    pub(crate) fn method(self) -> &'a str {
        self.text(":method").unwrap_or_default()
    }
}

/// An answer's headers as the host gives them.
#[derive(Clone, Copy, Debug)]
pub struct ResponseView<'a> {
    /// All header lines in order, `:status` among them.
    pub headers: &'a [(String, Vec<u8>)],
}

impl<'a> ResponseView<'a> {
    /// The status, 0 if there is none.
    #[must_use]
    pub(crate) fn status(self) -> u16 {
        self.header(":status").and_then(|s| s.parse().ok()).unwrap_or(0)
    }

    /// Whether there is a line of that name, whatever its value.
    #[must_use]
    pub(crate) fn has(self, name: &str) -> bool {
        self.headers.iter().any(|(n, _)| n == name)
    }

    /// The first line of that name, if it is text.
    #[must_use]
    pub(crate) fn header(self, name: &str) -> Option<&'a str> {
        let (_, value) = self.headers.iter().find(|(n, _)| n == name)?;
        core::str::from_utf8(value).ok()
    }
}
