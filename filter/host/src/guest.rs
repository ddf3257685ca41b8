//! The border between host and module: memory, recording, failures.

use wasmi::{AsContext, AsContextMut, Caller, Error};

use crate::exports::{Exports, narrow, size};
use crate::failures::Fault;
use crate::host::Host;
use crate::record::HostCall;
use crate::status;

/// What a call is about.
#[derive(Clone, Copy)]
pub enum Subject {
    Nothing,
    Number(u32),
    /// A text in the module's memory.
    Text(u32, u32),
}

/// The module as a host call sees it.
pub struct Guest<'a, 'c> {
    caller: &'a mut Caller<'c, Host>,
    exports: Exports,
    blank: bool,
    bytes_out: usize,
    bytes_in: usize,
    allocations: usize,
}

/// Runs one host call: records it, and lets it fail if the test wants that.
pub fn call(
    mut caller: Caller<'_, Host>,
    name: &'static str,
    subject: Subject,
    work: impl FnOnce(&mut Guest<'_, '_>) -> Result<u32, Error>,
) -> Result<u32, Error> {
    let exports = caller.data().exports.ok_or_else(|| Error::new("called before it is loaded"))?;
    let mut guest = Guest {
        caller: &mut caller,
        exports,
        blank: false,
        bytes_out: 0,
        bytes_in: 0,
        allocations: 0,
    };
    let subject = guest.describe(subject)?;
    let (number, fault) = guest.host().begin_call(name, subject);
    let result = match fault {
        Some(Fault::Status(status)) => Ok(status),
        Some(Fault::Nothing) => {
            guest.blank = true;
            work(&mut guest)
        }
        None => work(&mut guest),
    };
    let (bytes_out, bytes_in, allocations) = (guest.bytes_out, guest.bytes_in, guest.allocations);
    if let Some(call) = guest.host().record.get_mut(number) {
        let status = *result.as_ref().unwrap_or(&u32::MAX);
        *call = HostCall { bytes_out, bytes_in, allocations, status, ..call.clone() };
    }
    result
}

impl Guest<'_, '_> {
    pub fn host(&mut self) -> &mut Host {
        self.caller.data_mut()
    }

    /// Whether the answer is to hold no data.
    pub const fn is_blank(&self) -> bool {
        self.blank
    }

    fn describe(&mut self, subject: Subject) -> Result<String, Error> {
        Ok(match subject {
            Subject::Nothing => String::new(),
            Subject::Number(number) => number.to_string(),
            Subject::Text(at, length) => {
                let text = self.peek(at, length)?;
                String::from_utf8_lossy(&text).replace('\0', ".")
            }
        })
    }

    fn peek(&mut self, at: u32, length: u32) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; size(length)];
        let memory = self.exports.memory;
        memory.read(self.caller.as_context(), size(at), &mut bytes).map_err(Error::from)?;
        Ok(bytes)
    }

    /// Bytes that the module hands out.
    pub fn read(&mut self, at: u32, length: u32) -> Result<Vec<u8>, Error> {
        self.bytes_out += size(length);
        self.peek(at, length)
    }

    /// A text that the module hands out.
    pub fn text(&mut self, at: u32, length: u32) -> Result<String, Error> {
        String::from_utf8(self.read(at, length)?).map_err(|_| Error::new("a name is not UTF-8"))
    }

    /// A map that the module hands out.
    pub fn map(&mut self, at: u32, length: u32) -> Result<crate::Headers, Error> {
        let bytes = self.read(at, length)?;
        crate::headers::decode(&bytes).ok_or_else(|| Error::new("a header map has wrong lengths"))
    }

    /// Writes bytes into the module's memory.
    pub fn write(&mut self, at: u32, bytes: &[u8]) -> Result<(), Error> {
        self.bytes_in += bytes.len();
        let memory = self.exports.memory;
        memory.write(self.caller.as_context_mut(), size(at), bytes).map_err(Error::from)
    }

    /// Writes a number of 32 bits.
    pub fn write_number(&mut self, at: u32, number: u32) -> Result<(), Error> {
        self.write(at, &number.to_le_bytes())
    }

    /// Gives bytes in a block that the module allocates; nothing is a null pointer.
    pub fn give(&mut self, bytes: &[u8], at_out: u32, length_out: u32) -> Result<u32, Error> {
        let bytes = if self.blank { &[] } else { bytes };
        let mut at = 0;
        if !bytes.is_empty() {
            let allocate = self.exports.allocate;
            at = allocate.call(self.caller.as_context_mut(), narrow(bytes.len()))?;
            self.allocations += 1;
            self.write(at, bytes)?;
        }
        self.write_number(at_out, at)?;
        self.write_number(length_out, narrow(bytes.len()))?;
        Ok(status::OK)
    }
}
