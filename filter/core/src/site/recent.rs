//! The most recent of something, bounded: the oldest go first.

use core::hash::Hash;
use std::collections::{HashSet, VecDeque};

/// See the module.
pub struct Recent<T> {
    known: HashSet<T>,
    order: VecDeque<T>,
    most: usize,
}

impl<T: Copy + Eq + Hash> Recent<T> {
    /// For at most so many.
    pub fn new(most: usize) -> Self {
        Self { known: HashSet::new(), order: VecDeque::new(), most }
    }

    /// Adds one; false when it was there already.
    pub fn add(&mut self, item: T) -> bool {
        if !self.known.insert(item) {
            return false;
        }
        self.order.push_back(item);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    /// Whether it is there.
    pub fn has(&self, item: &T) -> bool {
        self.known.contains(item)
    }
}
