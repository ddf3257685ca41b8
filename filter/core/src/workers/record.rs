//! One record in the store that the workers of an Envoy share. A record is sealed with a key that only the
//! workers have, and written by compare-and-swap: of several writers one wins, the others try again.

use std::cell::RefCell;
use std::rc::Rc;

use crate::foundation::crypto::{self, Entropy, Key, constant_time_eq, mac};
use crate::workers::{SharedStore, Written};

/// How often an update is tried again that met another one.
const TRIES: usize = 16;

/// A named record. Its name is bound into its seal, so a record that is copied to another name does not open.
pub(crate) struct Record {
    name: String,
    key: Key,
    store: Rc<dyn SharedStore>,
    seal: Seal,
}

/// How the content is protected. Nobody without the key can make a record that opens.
#[derive(Clone)]
pub(crate) enum Seal {
    /// Authenticated, readable by everybody in the process: content that is no secret.
    Readable,
    /// Encrypted with fresh randomness: content with tokens or personal data.
    Secret(Rc<RefCell<dyn Entropy>>),
}

/// What was read of a record.
pub(crate) struct Read {
    /// The content; `None` when there is no record, or it does not open.
    pub(crate) content: Option<Vec<u8>>,
    /// The version that a write must name to win.
    pub(crate) version: Option<u32>,
}

/// What a look at a record that was seen before gives.
pub(crate) enum Look {
    /// Its version is still the one that was seen.
    Unchanged,
    /// There is no record, or it could not be read.
    Absent,
    /// It has changed.
    Changed(Read),
}

/// What became of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Updated {
    /// The new content is there, or the host has no store and each worker is on its own.
    Done,
    /// The change itself declined.
    Declined,
    /// Others were faster each time, or there was no randomness for the seal: nothing was written.
    Failed,
}

impl Record {
    /// A record of this name. It is created empty if it is not there: from then on it has a version, and only
    /// one of several writes wins. The first configuration of a process is read before there is any worker.
    pub(crate) fn new(name: String, key: Key, store: Rc<dyn SharedStore>, seal: Seal) -> Self {
        let record = Self { name, key, store, seal };
        if record.store.read(&record.name).is_none() {
            // What does not open is an empty record.
            let _ = record.store.write(&record.name, b"0", None);
        }
        record
    }

    /// Reads the record, unless its version is still `seen`.
    pub(crate) fn look(&self, seen: Option<u32>) -> Look {
        match self.store.read(&self.name) {
            None => Look::Absent,
            Some(stored) if stored.version.is_some() && stored.version == seen => Look::Unchanged,
            Some(stored) => {
                Look::Changed(Read { content: self.open(&stored.value), version: stored.version })
            }
        }
    }

    /// Reads the record.
    pub(crate) fn read(&self) -> Read {
        match self.look(None) {
            Look::Changed(read) => read,
            Look::Unchanged | Look::Absent => Read { content: None, version: None },
        }
    }

    /// Writes the record if `version` is still its version.
    pub(crate) fn write(&self, content: &[u8], version: Option<u32>) -> Written {
        match self.sealed(content) {
            Some(sealed) => self.store.write(&self.name, &sealed, version),
            None => Written::NoStore,
        }
    }

    /// Reads, changes and writes the record until no other writer comes between. `change` gets the content
    /// and gives the new one, or `None` to leave it as it is; it may be called several times.
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
            let own = record(&store, "a", 1, secret);
            assert_eq!(own.update(|_| Some(b"content".to_vec())), Updated::Done);
            assert_eq!(own.read().content.as_deref(), Some(b"content".as_slice()));
            assert_eq!(record(&store, "a", 2, secret).read().content, None, "another key");
            let sealed = store.read("a").unwrap().value;
            let _ = store.write("b", &sealed, None);
            assert_eq!(record(&store, "b", 1, secret).read().content, None, "another name");
            for at in 0..sealed.len() {
                let mut other = sealed.clone();
                other[at] ^= 1;
                let _ = store.write("a", &other, None);
                assert_eq!(own.read().content, None, "byte {at}");
            }
        }
    }

    #[test]
    fn of_several_writers_none_is_lost() {
        let store = Rc::new(MemoryStore::default());
        let (first, second) = (record(&store, "a", 1, false), record(&store, "a", 1, false));
        let mut between = true;
        let done = first.update(|content| {
            // Another worker writes between this one's read and write, once.
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
