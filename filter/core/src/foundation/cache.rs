//! A cache of results for sealed or signed texts, so that the same bytes are not opened or
//! verified again.

use std::collections::{HashMap, VecDeque};

/// A cache from texts to results, bounded in entries and bytes. The oldest entries are dropped
/// first.
///
/// A look-up compares the whole text, so a hit means that exactly these bytes were stored.
pub(crate) struct TextCache<T> {
    /// Texts and results by the last bytes of the text. These belong to a signature or an
    /// authentication tag, which an attacker can't choose for a valid text. A key made of the whole
    /// text would have to be hashed at each look-up.
    entries: HashMap<End, (Vec<u8>, T)>,
    order: VecDeque<End>,
    bytes: usize,
    most: CacheBounds,
}

/// The limits of a [`TextCache`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheBounds {
    /// Largest number of texts.
    pub(crate) entries: usize,
    /// Largest sum of the lengths of all texts, in bytes.
    pub(crate) bytes: usize,
}

/// The last 16 bytes of a text.
type End = [u8; 16];

impl<T> TextCache<T> {
    /// Creates an empty cache.
    #[must_use]
    pub(crate) fn new(most: CacheBounds) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), bytes: 0, most }
    }

    /// Returns the result that was stored for exactly these bytes.
    #[must_use]
    pub(crate) fn find(&self, text: &[u8]) -> Option<&T> {
        let (known, found) = self.entries.get(text.last_chunk()?)?;
        same(known, text).then_some(found)
    }

    /// Stores the result for a text. Texts shorter than 16 bytes are not stored.
    ///
    /// Callers store only valid texts: an attacker can create any number of invalid ones, which
    /// would push the valid ones out.
    pub(crate) fn keep(&mut self, text: &[u8], found: T) {
        let Some(end) = text.last_chunk().copied() else { return };
        self.bytes = self.bytes.saturating_add(text.len());
        match self.entries.insert(end, (text.to_vec(), found)) {
            Some((earlier, _)) => self.bytes = self.bytes.saturating_sub(earlier.len()),
            None => self.order.push_back(end),
        }
        while self.order.len() > self.most.entries || self.bytes > self.most.bytes {
            let Some(oldest) = self.order.pop_front() else { return };
            if let Some((text, _)) = self.entries.remove(&oldest) {
                self.bytes = self.bytes.saturating_sub(text.len());
            }
        }
    }
}

/// Returns whether two texts are equal.
///
/// It compares words of 8 bytes: the built-in comparison of wasm32 goes byte by byte
/// (`make bench`).
fn same(known: &[u8], text: &[u8]) -> bool {
    let ((known, known_rest), (text, text_rest)) = (known.as_chunks::<8>(), text.as_chunks::<8>());
    known.len() == text.len()
        && known_rest == text_rest
        && known.iter().zip(text).all(|(known, text)| known == text)
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn text(begin: &str, end: usize) -> Vec<u8> {
        format!("{begin}{end:016}").into_bytes()
    }

    #[test]
    fn bytes_are_compared_whole() {
        let mut remembered = TextCache::new(CacheBounds { entries: 4, bytes: 1000 });
        remembered.keep(&text("a", 1), 1);
        assert_eq!(remembered.find(&text("a", 1)), Some(&1));
        assert_eq!(remembered.find(&text("b", 1)), None, "the same end");
        assert_eq!(remembered.find(&text("", 1)), None);
        assert_eq!(remembered.find(b"short"), None);
        let long = "x".repeat(100);
        remembered.keep(&text(&long, 2), 2);
        assert_eq!(remembered.find(&text(&long, 2)), Some(&2));
        for at in 0..100 {
            let mut other = text(&long, 2);
            other[at] = b'y';
            assert_eq!(remembered.find(&other), None, "another byte {at}");
        }
        assert_eq!(remembered.find(&text(&long[1..], 2)), None, "a byte less");
        remembered.keep(&text("b", 1), 2);
        assert_eq!(remembered.find(&text("a", 1)), None, "one text for each end");
        assert_eq!(remembered.find(&text("b", 1)), Some(&2));
    }

    #[test]
    fn the_oldest_go_first() {
        let mut remembered = TextCache::new(CacheBounds { entries: 4, bytes: 1000 });
        (0..5).for_each(|number| remembered.keep(&text("a", number), number));
        assert_eq!(remembered.find(&text("a", 0)), None);
        assert!((1..5).all(|number| remembered.find(&text("a", number)) == Some(&number)));
        let mut remembered = TextCache::new(CacheBounds { entries: 4, bytes: 40 });
        (0..3).for_each(|number| remembered.keep(&text("a", number), number));
        assert_eq!(remembered.find(&text("a", 0)), None, "3 * 17 bytes are more than 40");
        assert_eq!(remembered.find(&text("a", 2)), Some(&2));
        for _ in 0..10 {
            remembered.keep(&text("a", 2), 2);
        }
        assert_eq!(remembered.find(&text("a", 1)), Some(&1), "kept again is counted once");
    }
}
