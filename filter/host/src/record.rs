//! What the module asked of its host, in order.

use core::fmt;
use std::rc::Rc;

/// One call of the module to its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCall {
    /// Its place among all calls since the module was loaded, from 0.
    pub number: usize,
    /// The part of the test that it belongs to ([`crate::Vm::step`]).
    pub step: Rc<str>,
    /// Which callback since the module was loaded makes it, from 1,
    pub entry: usize,
    /// and that callback's name.
    pub callback: &'static str,
    /// The imported function, without its module: `proxy_get_property`.
    pub name: &'static str,
    /// What it is about: a header's name, a property's path, a key, a cluster.
    pub subject: String,
    /// Bytes that the module handed out.
    pub bytes_out: usize,
    /// Bytes that the module got.
    pub bytes_in: usize,
    /// Blocks that the host had the module allocate for them.
    pub allocations: usize,
    /// What it was answered; an errno for WASI.
    pub status: u32,
}

impl fmt::Display for HostCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, step, callback, name, subject, .. } = self;
        write!(f, "call {number}, {step}, {callback}: {name}({subject})")
    }
}
