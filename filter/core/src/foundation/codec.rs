//! The binary form of what is sealed: lengths first, nothing left over.

/// Appends fields.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// Fixed-size bytes.
    #[must_use]
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A number.
    #[must_use]
    pub(crate) fn number(self, number: u64) -> Self {
        self.raw(&number.to_be_bytes())
    }

    /// Bytes with their length; longer ones than 64 KiB are cut, which no caller's limits allow.
    #[must_use]
    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        let cut = bytes.get(..usize::from(length)).unwrap_or_default();
        self.raw(&length.to_be_bytes()).raw(cut)
    }

    /// Text that may be absent.
    #[must_use]
    pub(crate) fn optional(self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.raw(&[1]).bytes(text.as_bytes()),
            None => self.raw(&[0]),
        }
    }

    /// All of it.
    #[must_use]
    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads fields back in their order.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// From sealed bytes that have been opened.
    #[must_use]
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Fixed-size bytes.
    pub(crate) fn raw<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    /// A number.
    pub(crate) fn number(&mut self) -> Option<u64> {
        self.raw().map(u64::from_be_bytes)
    }

    /// Bytes with their length.
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(u16::from_be_bytes(self.raw()?));
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    /// Text.
    pub(crate) fn text(&mut self) -> Option<String> {
        core::str::from_utf8(self.bytes()?).ok().map(str::to_owned)
    }

    /// Text that may be absent.
    #[allow(clippy::option_option, reason = "the outer one is a malformed input")]
    pub(crate) fn optional(&mut self) -> Option<Option<String>> {
        match self.raw()? {
            [0] => Some(None),
            [1] => self.text().map(Some),
            _ => None,
        }
    }

    /// All that is left, whatever its length.
    #[must_use]
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Nothing may be left.
    #[must_use]
    pub(crate) const fn is_done(&self) -> bool {
        self.0.is_empty()
    }
}
