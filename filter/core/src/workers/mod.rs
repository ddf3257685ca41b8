//! Data that the workers of one Envoy share.
//!
//! Any module in the same process may write to the shared store. So a value is used only after its
//! seal has been opened (invariant I13).

pub(crate) mod answers;
pub(crate) mod census;
pub(crate) mod document;
pub(crate) mod record;
pub(crate) mod tombstones;

use core::time::Duration;

/// How much later than `now` a time in a shared record may be.
///
/// A worker reads the clock when an event begins. Another worker may have read it a moment later.
pub(crate) const READ_LATER: Duration = Duration::from_secs(5);

/// The store of the host: named values, each with a version.
pub trait SharedStore {
    /// Reads a value and its version; `None` if it does not exist.
    fn read(&self, name: &str) -> Option<Stored>;
    /// Writes a value. With `version`, only if the value still has this version.
    fn write(&self, name: &str, value: &[u8], version: Option<u32>) -> Written;
}

/// A value that was read from the store.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The bytes. Any module in the process may have written them.
    pub value: Vec<u8>,
    /// The version of the value, if the host reports one.
    pub version: Option<u32>,
}

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The value has been written.
    Done,
    /// The value has another version: another writer was faster.
    Conflict,
    /// Nothing was written, because the host has no store. Each worker works alone then.
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
