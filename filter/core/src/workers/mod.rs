//! What the workers of one Envoy share. Anybody in the same process may write there, so nothing that
//! comes out of it is believed before its seal opens (invariant I13).

pub(crate) mod answers;
pub(crate) mod document;
pub(crate) mod record;
pub(crate) mod tombstones;

use core::time::Duration;

/// How much later another worker may have read the clock than one that is still at its event.
pub(crate) const READ_LATER: Duration = Duration::from_secs(5);

/// The host's store: named values with a version each.
pub trait SharedStore {
    /// A value and its version; `None` when there is none.
    fn read(&self, name: &str) -> Option<Stored>;
    /// Writes a value; with a version only if that is still the value's.
    fn write(&self, name: &str, value: &[u8], version: Option<u32>) -> Written;
}

/// What was read.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The bytes, whoever wrote them.
    pub value: Vec<u8>,
    /// Their version.
    pub version: Option<u32>,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is there.
    Done,
    /// Somebody else was faster.
    Conflict,
    /// This host has no store: each worker is on its own.
    NoStore,
}

/// A host without a store.
#[cfg(any(test, feature = "testing"))]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NoStore;

#[cfg(any(test, feature = "testing"))]
impl SharedStore for NoStore {
    fn read(&self, _: &str) -> Option<Stored> {
        None
    }

    fn write(&self, _: &str, _: &[u8], _: Option<u32>) -> Written {
        Written::NoStore
    }
}
