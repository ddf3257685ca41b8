//! Changes to the headers of a forwarded request, or of its response.

use std::borrow::Cow;

/// Changes to headers. They are applied in the order of the fields: remove, set, add.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct HeaderEdit {
    /// Names of headers to remove, with all their lines.
    pub remove: Vec<Cow<'static, str>>,
    /// Headers to set to a single line.
    pub set: Vec<(&'static str, Vec<u8>)>,
    /// Header lines to add, beside existing lines of the same name.
    pub add: Vec<(&'static str, Vec<u8>)>,
}
