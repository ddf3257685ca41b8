//! Secret bytes that must never appear in logs or pages.

use core::fmt;

use zeroize::Zeroize;

/// An owned secret: wiped when dropped, never printed, compared in constant time.
#[derive(Clone)]
pub(crate) struct Secret(Vec<u8>);

impl Secret {
    /// Creates a secret from bytes.
    #[must_use]
    pub(crate) fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Returns the bytes. The caller must not log or show them.
    #[must_use]
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Returns the secret as text, or an empty text if it is not UTF-8.
    #[must_use]
    pub(crate) fn expose_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Compares the secret with bytes, in a time that depends only on the lengths.
    #[must_use]
    pub(crate) fn equals(&self, other: &[u8]) -> bool {
        crate::foundation::crypto::constant_time_eq(&self.0, other)
    }
}

impl Secret {
    /// Borrows the secret.
    #[must_use]
    pub(crate) fn lent(&self) -> SecretRef<'_> {
        SecretRef(&self.0)
    }
}

/// A borrowed secret, such as the value of a request header: never printed.
#[derive(Clone, Copy)]
pub(crate) struct SecretRef<'a>(&'a [u8]);

impl<'a> SecretRef<'a> {
    /// Creates a borrowed secret from bytes.
    #[must_use]
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes. The caller must not log or show them.
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
