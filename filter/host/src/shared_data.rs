//! The store that all VMs of a `vm_id` share.

use std::collections::BTreeMap;

use crate::status;

/// Values by key, each with the number of its last change. Nothing is ever evicted.
#[derive(Clone, Debug, Default)]
pub struct SharedData {
    values: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    last: u32,
}

impl SharedData {
    /// A value and the number of its last change.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<(&[u8], u32)> {
        self.values.get(key).map(|(value, change)| (value.as_slice(), *change))
    }

    /// Writes a value. `expected` is the number of the change that it replaces; zero replaces
    /// whatever is there. A key without a value takes any number, as in Envoy.
    pub(crate) fn set(&mut self, key: &[u8], value: &[u8], expected: u32) -> u32 {
        if let Some((_, known)) = self.values.get(key)
            && expected != 0
            && expected != *known
        {
            return status::CAS_MISMATCH;
        }
        self.last = self.last.wrapping_add(1).max(1);
        self.values.insert(key.to_vec(), (value.to_vec(), self.last));
        status::OK
    }

    /// The keys that have a value.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.values.keys().map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_replaced_only_by_who_knows_its_change() {
        let mut data = SharedData::default();
        assert_eq!(data.set(b"k", b"1", 77), status::OK);
        let (_, change) = data.get(b"k").unwrap();
        assert_eq!(data.set(b"k", b"2", change + 1), status::CAS_MISMATCH);
        assert_eq!(data.get(b"k"), Some((b"1".as_slice(), change)));
        assert_eq!(data.set(b"k", b"3", change), status::OK);
        assert_eq!(data.set(b"k", b"4", 0), status::OK);
        assert_eq!(data.get(b"k").unwrap().0, b"4");
    }
}
