//! A map with a fixed capacity.

use core::hash::Hash;
use std::collections::{HashMap, VecDeque};

/// A map with a fixed capacity that drops its oldest entry to make room for a new one.
///
/// Replacing or removing an entry takes time linear in the number of entries.
pub(crate) struct Bounded<K, V> {
    entries: HashMap<K, V>,
    /// Each key once, oldest entry first.
    order: VecDeque<K>,
    most: usize,
}

impl<K: Copy + Eq + Hash, V> Bounded<K, V> {
    /// Creates an empty map for at most `most` entries.
    #[must_use]
    pub(crate) fn new(most: usize) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), most }
    }

    /// Returns the entry for a key.
    #[must_use]
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    /// Sets an entry and makes it the newest. The oldest entry is dropped if the map is full.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.entries.insert(key, value).is_some() {
            self.order.retain(|other| *other != key);
        }
        self.order.push_back(key);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }

    /// Removes an entry and returns it.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let removed = self.entries.remove(key);
        if removed.is_some() {
            self.order.retain(|other| other != key);
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn the_oldest_go_first_and_one_that_is_set_again_is_young() {
        let mut map = Bounded::new(2);
        map.insert(1, 'a');
        map.insert(2, 'b');
        map.insert(1, 'c');
        map.insert(3, 'd');
        assert_eq!((map.get(&1), map.get(&2), map.get(&3)), (Some(&'c'), None, Some(&'d')));
        assert_eq!(map.remove(&1), Some('c'));
        assert_eq!((map.entries.len(), map.order.len()), (1, 1));
    }
}
