//! Changes to the headers of a forwarded request, or of its response.

use std::borrow::Cow;

/// Changes to headers, to be applied in the order of the fields.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct HeaderEdit {
    /// Headers to remove, every line of them.
    pub remove: Vec<Cow<'static, str>>,
    /// Headers to set to one line.
    pub set: Vec<(&'static str, Vec<u8>)>,
    /// Lines to add beside others of that name.
    pub add: Vec<(&'static str, Vec<u8>)>,
}
