//! The binary encoding of sealed content: fields with fixed sizes or length prefixes.

/// Writes fields one after the other. Numbers are big-endian.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// Writes bytes without a length. The reader must know their number.
    #[must_use]
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Writes a number in 8 bytes.
    #[must_use]
    pub(crate) fn number(self, number: u64) -> Self {
        self.raw(&number.to_be_bytes())
    }

    /// Writes bytes after their length, which takes 2 bytes.
    ///
    /// Input above 65,535 bytes is cut. The limits of all callers are below that.
    #[must_use]
    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        let cut = bytes.get(..usize::from(length)).unwrap_or_default();
        self.raw(&length.to_be_bytes()).raw(cut)
    }

    /// Writes a text that may be absent: a byte 0 or 1, then the text if there is one.
    #[must_use]
    pub(crate) fn optional(self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.raw(&[1]).bytes(text.as_bytes()),
            None => self.raw(&[0]),
        }
    }

    /// Returns all fields.
    #[must_use]
    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads the fields of a [`Writer`] in the same order. Each method returns `None` when the input
/// is too short or malformed.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Creates a reader over the content of a sealed text that has been opened.
    #[must_use]
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Reads `N` bytes.
    pub(crate) fn raw<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    /// Reads a number of 8 bytes.
    pub(crate) fn number(&mut self) -> Option<u64> {
        self.raw().map(u64::from_be_bytes)
    }

    /// Reads bytes after their length.
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(u16::from_be_bytes(self.raw()?));
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    /// Reads a UTF-8 text after its length.
    pub(crate) fn text(&mut self) -> Option<String> {
        core::str::from_utf8(self.bytes()?).ok().map(str::to_owned)
    }

    /// Reads a text that may be absent. The outer `None` means malformed input.
    #[allow(clippy::option_option, reason = "the outer one is a malformed input")]
    pub(crate) fn optional(&mut self) -> Option<Option<String>> {
        match self.raw()? {
            [0] => Some(None),
            [1] => self.text().map(Some),
            _ => None,
        }
    }

    /// Returns all bytes that have not been read.
    #[must_use]
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Returns whether all bytes have been read.
    #[must_use]
    pub(crate) const fn is_done(&self) -> bool {
        self.0.is_empty()
    }
}
