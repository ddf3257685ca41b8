//! Host calls that fail because the test wants them to.

use crate::record::HostCall;

/// What a call answers instead of doing its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This status, and nothing is done; an errno for WASI.
    Status(u32),
    /// The work is done, and the answer is success without data.
    Nothing,
}

/// The calls that fail, and how.
pub(crate) struct Failure {
    which: Box<dyn FnMut(&HostCall) -> bool>,
    fault: Fault,
}

impl Failure {
    pub(crate) fn new(which: impl FnMut(&HostCall) -> bool + 'static, fault: Fault) -> Self {
        Self { which: Box::new(which), fault }
    }

    /// The fault for a call that is about to be made.
    pub(crate) fn of(&mut self, call: &HostCall) -> Option<Fault> {
        (self.which)(call).then_some(self.fault)
    }
}
