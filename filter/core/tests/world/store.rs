//! The store that the workers of a process share, in memory.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::workers::{SharedStore, Stored, Written};

#[derive(Default)]
pub struct MemoryStore(pub RefCell<HashMap<String, (Vec<u8>, u32)>>);

impl SharedStore for MemoryStore {
    fn read(&self, name: &str) -> Option<Stored> {
        let values = self.0.borrow();
        let (value, version) = values.get(name)?;
        Some(Stored { value: value.clone(), version: Some(*version) })
    }

    fn write(&self, name: &str, value: &[u8], version: Option<u32>) -> Written {
        let mut values = self.0.borrow_mut();
        let known = values.get(name).map_or(0, |(_, version)| *version);
        if known != 0 && version.is_some_and(|version| version != known) {
            return Written::Conflict;
        }
        values.insert(name.to_owned(), (value.to_vec(), known + 1));
        Written::Done
    }
}
