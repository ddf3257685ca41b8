//! Changes to the headers of a forwarded request and of its answer.

use std::borrow::Cow;

/// Changes to a request's headers. Removals come first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RequestEdit {
    /// Header names to take away.
    pub remove: Vec<String>,
    /// Headers to set, replacing every line of that name.
    pub set: Vec<(&'static str, Vec<u8>)>,
}

/// Changes to an answer of Prefect's.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ResponseEdit {
    /// Header names to take away.
    pub remove: Vec<&'static str>,
    /// Headers to set.
    pub set: Vec<(&'static str, Cow<'static, str>)>,
    /// Headers to add beside others of that name.
    pub add: Vec<(&'static str, Cow<'static, str>)>,
}
