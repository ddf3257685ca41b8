//! Records in the store that the workers of one Envoy share.
//!
//! A record is sealed with a key that only the workers have. It is written by compare-and-swap: one
//! of several writers wins, and the others try again.

use std::cell::RefCell;
use std::rc::Rc;

use crate::foundation::crypto::{self, Entropy, Key, constant_time_eq, mac};
use crate::workers::{SharedStore, Written};

/// How often an update is tried before it fails because of other writers.
const TRIES: usize = 16;

/// A named record in the shared store.
///
/// The seal covers the name, so a record that is copied to another name does not open.
pub(crate) struct Record {
    name: String,
    key: Key,
    store: Rc<dyn SharedStore>,
    seal: Seal,
}

/// How the content of a record is protected. Only holders of the key can create a record that
/// opens.
#[derive(Clone)]
pub(crate) enum Seal {
    /// The content is authenticated, but readable in the process. For content that is not secret.
    Readable,
    /// The content is encrypted. For tokens and personal data.
    Secret(Rc<RefCell<dyn Entropy>>),
}

/// The result of reading a record.
pub(crate) struct Read {
    /// The content; `None` if the record does not exist or does not open.
    pub(crate) content: Option<Vec<u8>>,
    /// The version that was read, for a conditional write.
    pub(crate) version: Option<u32>,
}

/// A record compared with the version that a worker has seen before.
pub(crate) enum Look {
    /// Its version is still the one that was seen.
    Unchanged,
    /// There is no record, or it could not be read.
    Absent,
    /// It has changed.
    Changed(Read),
}

/// The result of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Updated {
    /// The new content has been written, or the host has no store and each worker works alone.
    Done,
    /// The change returned `None`, so nothing was written.
    Declined,
    /// Nothing was written: other writers were faster each time, or there was no randomness.
    Failed,
}

impl Record {
    /// Creates a handle for a record, and the record itself if it does not exist.
    ///
    /// A write can be conditional only if there is a version. The record is written here once
    /// without one. No other worker competes then: a process reads its first configuration before
    /// it starts workers.
    pub(crate) fn new(name: String, key: Key, store: Rc<dyn SharedStore>, seal: Seal) -> Self {
        let record = Self { name, key, store, seal };
        if record.store.read(&record.name).is_none() {
            // The placeholder does not open, so the record reads as empty.
            let _ = record.store.write(&record.name, b"0", None);
        }
        record
    }

    /// Reads the record if its version is no longer `seen`.
    pub(crate) fn look(&self, seen: Option<u32>) -> Look {
        match self.store.read(&self.name) {
            None => Look::Absent,
            Some(stored) if stored.version.is_some() && stored.version == seen => Look::Unchanged,
            Some(stored) => {
                Look::Changed(Read { content: self.open(&stored.value), version: stored.version })
            }
        }
    }

    /// Reads the record, whatever its version.
    pub(crate) fn read(&self) -> Read {
        match self.look(None) {
            Look::Changed(read) => read,
            Look::Unchanged | Look::Absent => Read { content: None, version: None },
        }
    }

    /// Writes the record if `version` is still its version; in any case if `version` is `None`.
    ///
    /// Without randomness for the seal, the result is [`Written::NoStore`].
    pub(crate) fn write(&self, content: &[u8], version: Option<u32>) -> Written {
        match self.sealed(content) {
            Some(sealed) => self.store.write(&self.name, &sealed, version),
            None => Written::NoStore,
        }
    }

    /// Reads, changes and writes the record, again if another writer comes between.
    ///
    /// `change` takes the content and returns the new content, or `None` to leave the record
    /// unchanged. It may be called several times.
    pub(crate) fn update(
        &self,
        mut change: impl FnMut(Option<Vec<u8>>) -> Option<Vec<u8>>,
    ) -> Updated {
        for _ in 0..TRIES {
            let Read { content, version } = self.read();
            let Some(content) = change(content) else { return Updated::Declined };
            let Some(sealed) = self.sealed(&content) else { return Updated::Failed };
            match self.store.write(&self.name, &sealed, version) {
                Written::Done | Written::NoStore => return Updated::Done,
                Written::Conflict => {}
            }
        }
        Updated::Failed
    }

    fn sealed(&self, content: &[u8]) -> Option<Vec<u8>> {
        match &self.seal {
            Seal::Readable => {
                Some([mac(&self.key, &self.name, content).as_slice(), content].concat())
            }
            Seal::Secret(entropy) => {
                let entropy = &mut *entropy.borrow_mut();
                crypto::seal(&self.key, self.name.as_bytes(), content, entropy).ok()
            }
        }
    }

    fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        match &self.seal {
            Seal::Readable => {
                let (code, content) = sealed.split_first_chunk::<32>()?;
                constant_time_eq(code, &mac(&self.key, &self.name, content))
                    .then(|| content.to_vec())
            }
            Seal::Secret(_) => crypto::open(&self.key, self.name.as_bytes(), sealed),
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::testing::Repeatable;
    use crate::testing::store::MemoryStore;

    fn record(store: &Rc<MemoryStore>, name: &str, key: u8, secret: bool) -> Record {
        let entropy: Rc<RefCell<dyn Entropy>> = Rc::new(RefCell::new(Repeatable::default()));
        let seal = if secret { Seal::Secret(entropy) } else { Seal::Readable };
        Record::new(name.to_owned(), [key; 32], Rc::clone(store) as Rc<dyn SharedStore>, seal)
    }

    #[test]
    fn only_its_own_name_and_key_open_a_record() {
        for secret in [false, true] {
            let store = Rc::new(MemoryStore::default());
            let opened = record(&store, "a", 1, secret);
            assert_eq!(opened.update(|_| Some(b"content".to_vec())), Updated::Done);
            assert_eq!(opened.read().content.as_deref(), Some(b"content".as_slice()));
            assert_eq!(record(&store, "a", 2, secret).read().content, None, "another key");
            let sealed = store.read("a").unwrap().value;
            let _ = store.write("b", &sealed, None);
            assert_eq!(record(&store, "b", 1, secret).read().content, None, "another name");
            for at in 0..sealed.len() {
                let mut other = sealed.clone();
                other[at] ^= 1;
                let _ = store.write("a", &other, None);
                assert_eq!(opened.read().content, None, "byte {at}");
            }
        }
    }

    #[test]
    fn of_several_writers_none_is_lost() {
        let store = Rc::new(MemoryStore::default());
        let (first, second) = (record(&store, "a", 1, false), record(&store, "a", 1, false));
        let mut between = true;
        let done = first.update(|content| {
            // Another worker writes between this read and write, but only the first time.
            if core::mem::take(&mut between) {
                assert_eq!(second.update(|_| Some(b"second".to_vec())), Updated::Done);
            }
            let before = content.unwrap_or_default();
            Some([before.as_slice(), b" first"].concat())
        });
        assert_eq!(done, Updated::Done);
        assert_eq!(first.read().content.as_deref(), Some(b"second first".as_slice()));
        let stubborn = first.update(|_| {
            assert_eq!(second.update(|_| Some(b"again".to_vec())), Updated::Done);
            Some(b"lost".to_vec())
        });
        assert_eq!(stubborn, Updated::Failed);
        assert_eq!(first.update(|_| None), Updated::Declined);
        assert_eq!(first.read().content.as_deref(), Some(b"again".as_slice()));
    }
}
