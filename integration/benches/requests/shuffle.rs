//! A random order, so that no variant always follows the same one.

use lictor_integration::error::{Error, Result};

/// Xorshift: fair enough for an order.
pub struct Shuffle(u64);

impl Shuffle {
    pub fn new() -> Result<Self> {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed)
            .map_err(|cause| Error::new(format!("the system gives no randomness: {cause}")))?;
        Ok(Self(u64::from_ne_bytes(seed) | 1))
    }

    /// The numbers below `count` (Fisher-Yates).
    pub fn order(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for at in (1..count).rev() {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            let other = usize::try_from(self.0 % (at as u64 + 1)).unwrap_or_default();
            order.swap(at, other);
        }
        order
    }
}
