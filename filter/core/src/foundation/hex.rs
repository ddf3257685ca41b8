//! Hexadecimal digests.

/// Reads 32 bytes from 64 hexadecimal digits; `None` for any other text.
#[must_use]
pub(crate) fn digest(text: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() == 64)?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::try_from(pair.iter().fold(0, |value, digit| value * 16 + digit)).ok()?;
    }
    Some(bytes)
}
