//! What the module exports for host calls, and the form of its numbers.

use wasmi::{AsContextMut, Error, Extern, Memory, TypedFunc};

/// Exports of the module that host calls need.
#[derive(Clone, Copy)]
pub struct Exports {
    pub memory: Memory,
    pub allocate: TypedFunc<u32, u32>,
}

impl Exports {
    pub fn of(instance: wasmi::Instance, mut context: impl AsContextMut) -> Result<Self, Error> {
        let memory = instance
            .get_export(&context, "memory")
            .and_then(Extern::into_memory)
            .ok_or_else(|| Error::new("the module exports no memory"))?;
        let allocate = instance.get_typed_func(&mut context, "proxy_on_memory_allocate")?;
        Ok(Self { memory, allocate })
    }
}

/// A number of the module as a size.
pub fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A size as a number of the module.
pub fn narrow(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
