//! How each host call can fail, and what the SDK makes of it.

use lictor_host::Fault::{self, Nothing, Status};
use lictor_host::HostCall;
use lictor_host::status::{
    BAD_ARGUMENT, CAS_MISMATCH, INTERNAL_FAILURE, NOT_FOUND, SERIALIZATION_FAILURE,
};

/// What a fault leads to in the VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The module goes on.
    Handled,
    /// The VM is dead, by design of the SDK or of Rust's standard library. The host then answers
    /// 503 for it (`FAIL_CLOSED`), and nothing that is not on its way already is forwarded.
    Traps,
}

use Effect::{Handled, Traps};

/// WASI's `EIO`.
const IO: u32 = 29;

type Row = (&'static str, &'static [(Fault, Effect)]);

/// Every call that the module makes, with the results that Envoy has for it beside success, and one
/// more where it has none. The SDK (proxy-wasm 0.2.5) panics on a status that it does not expect of
/// a call, and a panic is a trap; the reason stands where it is another.
const TABLE: &[Row] = &[
    // Envoy has no failure for these four.
    ("proxy_log", &[(Status(INTERNAL_FAILURE), Traps)]),
    ("proxy_get_current_time_nanoseconds", &[(Status(INTERNAL_FAILURE), Traps)]),
    ("proxy_set_tick_period_milliseconds", &[(Status(INTERNAL_FAILURE), Traps)]),
    ("proxy_send_local_response", &[(Status(BAD_ARGUMENT), Traps)]),
    // A context that has gone. See `faults` for the call that the SDK makes itself.
    ("proxy_set_effective_context", &[(Status(BAD_ARGUMENT), Handled)]),
    (
        "proxy_get_property",
        &[
            (Status(NOT_FOUND), Handled),
            (Status(SERIALIZATION_FAILURE), Handled),
            (Status(INTERNAL_FAILURE), Handled),
            (Nothing, Handled),
        ],
    ),
    ("proxy_set_property", &[(Status(NOT_FOUND), Traps), (Status(BAD_ARGUMENT), Traps)]),
    // A map that is not there is an empty one for Envoy.
    ("proxy_get_header_map_pairs", &[(Nothing, Handled), (Status(BAD_ARGUMENT), Traps)]),
    ("proxy_add_header_map_value", &[(Status(BAD_ARGUMENT), Traps)]),
    ("proxy_replace_header_map_value", &[(Status(BAD_ARGUMENT), Traps)]),
    ("proxy_remove_header_map_value", &[(Status(BAD_ARGUMENT), Traps)]),
    (
        "proxy_get_buffer_bytes",
        &[(Status(NOT_FOUND), Handled), (Nothing, Handled), (Status(BAD_ARGUMENT), Traps)],
    ),
    ("proxy_set_buffer_bytes", &[(Status(NOT_FOUND), Traps), (Status(BAD_ARGUMENT), Traps)]),
    (
        "proxy_get_shared_data",
        &[(Status(NOT_FOUND), Handled), (Nothing, Handled), (Status(INTERNAL_FAILURE), Traps)],
    ),
    (
        "proxy_set_shared_data",
        &[(Status(CAS_MISMATCH), Handled), (Status(INTERNAL_FAILURE), Traps)],
    ),
    ("proxy_http_call", &[(Status(BAD_ARGUMENT), Handled), (Status(INTERNAL_FAILURE), Handled)]),
    ("proxy_continue_stream", &[(Status(BAD_ARGUMENT), Traps)]),
    ("proxy_close_stream", &[(Status(BAD_ARGUMENT), Traps)]),
    (
        "proxy_call_foreign_function",
        &[
            (Status(NOT_FOUND), Handled),
            (Status(BAD_ARGUMENT), Handled),
            (Status(INTERNAL_FAILURE), Handled),
            (Nothing, Handled),
        ],
    ),
    ("proxy_define_metric", &[(Status(BAD_ARGUMENT), Traps)]),
    ("proxy_increment_metric", &[(Status(NOT_FOUND), Handled), (Status(BAD_ARGUMENT), Handled)]),
    ("random_get", &[(Status(IO), Handled)]),
    // The C library ends the process.
    ("environ_sizes_get", &[(Status(IO), Traps)]),
    ("environ_get", &[(Status(IO), Traps)]),
];

/// The faults of a call; `None` for a call that has no row. `before` is the call before it.
pub fn faults(call: &HostCall, before: Option<&HostCall>) -> Option<&'static [(Fault, Effect)]> {
    // Before it hands an answer on, the SDK makes the caller's context effective, and unwraps.
    let first = before.is_none_or(|before| before.entry != call.entry);
    let by_sdk = call.callback == "proxy_on_http_call_response" && first;
    if by_sdk && call.name == "proxy_set_effective_context" {
        return Some(&[(Status(BAD_ARGUMENT), Traps)]);
    }
    // The standard library takes seeds of its hash maps there, and panics without.
    if call.name == "random_get" && call.callback == "proxy_on_context_create" {
        return Some(&[(Status(IO), Traps)]);
    }
    TABLE.iter().find(|(name, _)| *name == call.name).map(|(_, faults)| *faults)
}
