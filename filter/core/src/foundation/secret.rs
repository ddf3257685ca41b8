//! Bytes that must not be shown.

use core::fmt;

use zeroize::Zeroize;

/// A secret value: wiped when dropped, never printed, compared in constant time.
#[derive(Clone)]
pub(crate) struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes over.
    #[must_use]
    pub(crate) fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for the one place that needs them. Never to be logged or shown.
    #[must_use]
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The text, empty if it is none.
    #[must_use]
    pub(crate) fn expose_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Compares in a time that depends on the lengths alone.
    #[must_use]
    pub(crate) fn equals(&self, other: &[u8]) -> bool {
        crate::foundation::crypto::constant_time_eq(&self.0, other)
    }
}

impl Secret {
    /// The same bytes, lent.
    #[must_use]
    pub(crate) fn lent(&self) -> SecretRef<'_> {
        SecretRef(&self.0)
    }
}

/// Secret bytes that somebody else holds (a request's header, say): never printed.
#[derive(Clone, Copy)]
pub(crate) struct SecretRef<'a>(&'a [u8]);

impl<'a> SecretRef<'a> {
    /// Lends the bytes.
    #[must_use]
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// As [`Secret::expose`].
    #[must_use]
    pub(crate) const fn expose(self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Debug for SecretRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn debug_output_hides_the_value() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
        assert_eq!(format!("{:?}", SecretRef::new(b"hunter2")), "Secret(…)");
    }
}
