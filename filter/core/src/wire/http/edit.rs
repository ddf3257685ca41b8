//! Changes to the headers of a forwarded request, or of its response.

use core::fmt;
use std::borrow::Cow;

/// Changes to headers. They are applied in the order of the fields: remove, set, add.
#[derive(Default, PartialEq, Eq)]
pub struct HeaderEdit {
    /// Names of headers to remove, with all their lines.
    pub remove: Vec<Cow<'static, str>>,
    /// Headers to set to a single line.
    pub set: Vec<(&'static str, Vec<u8>)>,
    /// Header lines to add, beside existing lines of the same name.
    pub add: Vec<(&'static str, Vec<u8>)>,
}

/// Shows names only. Values contain Prefect's credential and session cookies.
impl fmt::Debug for HeaderEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |headers: &[(&'static str, Vec<u8>)]| {
            headers.iter().map(|(name, _)| *name).collect::<Vec<_>>()
        };
        f.debug_struct("HeaderEdit")
            .field("remove", &self.remove)
            .field("set", &names(&self.set))
            .field("add", &names(&self.add))
            .finish()
    }
}
