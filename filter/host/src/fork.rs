//! A second VM in the state of a first: tests repeat what follows a long preparation without
//! repeating the preparation.

use std::rc::Rc;

use wasmi::{Error, Memory};

use crate::exports::size;
use crate::host::Host;
use crate::module::Module;
use crate::vm::Vm;

impl Vm {
    /// A VM of the same module that knows and remembers the same. What workers share is copied, the
    /// failures that a test has planned are not. Between callbacks a module keeps everything in its
    /// memory; its stack is empty.
    #[must_use]
    pub fn fork(&self, module: &Module) -> Self {
        let mut fork = Self::load(module);
        let (Some(exports), Some(own)) = (self.exports(), fork.exports()) else { return fork };
        let bytes = exports.memory.data(&self.store);
        let copied = copy(own.memory, &mut fork, bytes);
        *fork.host() = Host { exports: Some(own), ..self.store.data().copied() };
        fork.next_context = self.next_context;
        fork.dead = self.dead.clone().or_else(|| copied.err().map(|cause| cause.to_string()));
        fork
    }
}

fn copy(memory: Memory, fork: &mut Vm, bytes: &[u8]) -> Result<(), Error> {
    const PAGE: usize = 65_536;
    let there = memory.data(&fork.store).len();
    let missing = bytes.len().saturating_sub(there).div_ceil(PAGE);
    memory.grow(&mut fork.store, u64::try_from(missing).unwrap_or(u64::MAX))?;
    memory.write(&mut fork.store, size(0), bytes)?;
    Ok(())
}

impl Host {
    fn copied(&self) -> Self {
        let shared = self.shared.borrow().clone();
        Self {
            now: self.now,
            environment: self.environment.clone(),
            clusters: self.clusters.clone(),
            plugin_name: self.plugin_name.clone(),
            foreign_functions: self.foreign_functions,
            shared: Rc::new(shared.into()),
            roots: self.roots.clone(),
            streams: self.streams.clone(),
            calls: self.calls.clone(),
            next_call: self.next_call,
            logs: self.logs.clone(),
            counters: self.counters.clone(),
            entries: self.entries,
            entropy: self.entropy,
            record: self.record.clone(),
            step: Rc::clone(&self.step),
            ..Self::new()
        }
    }
}
