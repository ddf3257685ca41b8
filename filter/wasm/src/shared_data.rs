//! Envoy's shared data: one store for all workers, and for every other module with the same
//! `vm_id`.

use lictor_core::{SharedStore, Stored, Written};
use proxy_wasm::hostcalls;

/// Access to Envoy's shared data.
pub struct SharedData;

impl SharedStore for SharedData {
    fn read(&self, name: &str) -> Option<Stored> {
        match hostcalls::get_shared_data(name) {
            Ok((Some(value), version)) => Some(Stored { value, version }),
            _ => None,
        }
    }

    fn write(&self, name: &str, value: &[u8], version: Option<u32>) -> Written {
        match hostcalls::set_shared_data(name, Some(value), version) {
            Ok(()) => Written::Done,
            Err(_) => Written::Conflict,
        }
    }
}
