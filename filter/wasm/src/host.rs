//! The host calls, on bytes and with errors.
//!
//! String getters are not used anywhere: they trap the VM on the first byte that is not UTF-8
//! (docs/threats.md, T-D2).

use core::time::Duration;
use std::time::UNIX_EPOCH;

use lictor_core::{Callout, Certificate, Entropy, NoEntropy, Peer, Reply, UnixTime};
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType, MetricType, Status};

/// Header lines as the host returns them.
pub type Headers = Vec<(String, Vec<u8>)>;

/// Returns the host's time. Returns zero, at which nothing is valid, if the host has no clock.
pub fn now() -> UnixTime {
    let since = hostcalls::get_current_time().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    UnixTime::from_millis(since.and_then(|s| u64::try_from(s.as_millis()).ok()).unwrap_or(0))
}

/// The host's randomness (WASI `random_get`).
pub struct HostEntropy;

impl Entropy for HostEntropy {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
        getrandom::fill(buffer).map_err(|_| NoEntropy)
    }
}

/// What Envoy knows of the request of the effective context.
///
/// The values come from Envoy's attributes of what it has verified, never from headers.
pub struct HostPeer;

impl Peer for HostPeer {
    fn certificate(&self) -> Option<Certificate> {
        // The attribute is one byte, 1 if the client has presented a certificate. Envoy refuses
        // certificates that do not verify against the listener's CA.
        if property("mtls").as_deref() != Some(&[1]) {
            return None;
        }
        let text = |name| property(name).and_then(|bytes| String::from_utf8(bytes).ok());
        Some(Certificate {
            uri: text("uri_san_peer_certificate"),
            dns: text("dns_san_peer_certificate"),
            subject: text("subject_peer_certificate"),
            sha256: text("sha256_peer_certificate_digest"),
        })
    }

    fn address(&self) -> Vec<u8> {
        let address = hostcalls::get_property(vec!["source", "address"]).ok().flatten();
        let address = address.unwrap_or_default();
        let end = address.iter().rposition(|byte| *byte == b':').unwrap_or(address.len());
        address.get(..end).unwrap_or_default().to_vec()
    }

    fn is_http2(&self) -> bool {
        let protocol = hostcalls::get_property(vec!["request", "protocol"]).ok().flatten();
        protocol.is_some_and(|protocol| protocol == b"HTTP/2")
    }

    fn is_answered_by_envoy(&self) -> bool {
        let details = hostcalls::get_property(vec!["response", "code_details"]).ok().flatten();
        details.is_some_and(|details| details != b"via_upstream")
    }
}

/// Returns an attribute of the connection. An empty attribute is treated as absent.
fn property(name: &str) -> Option<Vec<u8>> {
    let value = hostcalls::get_property(vec!["connection", name]).ok().flatten();
    value.filter(|bytes| !bytes.is_empty())
}

/// Returns the name and root ID of the plugin that is being configured.
///
/// They distinguish configurations that exist side by side in one VM.
pub fn plugin() -> Vec<u8> {
    let part = |name| hostcalls::get_property(vec![name]).ok().flatten().unwrap_or_default();
    [part("plugin_name"), part("plugin_root_id")].join(&0)
}

/// Returns all lines of a header map, or `None` when the host does not give them.
pub fn headers(map: MapType) -> Option<Headers> {
    hostcalls::get_map_bytes(map).ok()
}

/// Removes every line of a header.
pub fn remove(map: MapType, name: &str) -> Result<(), Status> {
    hostcalls::remove_map_value(map, name)
}

/// Sets a header to one line.
pub fn set(map: MapType, name: &str, value: &[u8]) -> Result<(), Status> {
    hostcalls::set_map_value_bytes(map, name, Some(value))
}

/// Adds a line to a header.
pub fn add(map: MapType, name: &str, value: &[u8]) -> Result<(), Status> {
    hostcalls::add_map_value_bytes(map, name, value)
}

/// Returns at most `size` body bytes that the host holds.
///
/// Returns `None` if they can't be read. An empty body is a different case, which might be
/// permitted.
pub fn buffer(kind: BufferType, size: usize) -> Option<Vec<u8>> {
    if size == 0 {
        return Some(Vec::new());
    }
    hostcalls::get_buffer(kind, 0, size).ok().flatten()
}

/// Replaces the first `size` bytes that the host holds.
///
/// Only to be called in a body callback, or for bytes that a paused request holds.
pub fn replace_buffer(kind: BufferType, size: usize, bytes: &[u8]) -> Result<(), Status> {
    hostcalls::set_buffer(kind, 0, size, bytes)
}

/// Sends an HTTP call and returns its token.
pub fn dispatch(callout: &Callout) -> Result<u32, Status> {
    let headers = callout.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let body = (!callout.body.is_empty()).then_some(callout.body.as_slice());
    hostcalls::dispatch_http_call(&callout.cluster, headers, body, Vec::new(), callout.timeout)
}

/// Answers the request of the effective context. If the host refuses that, the stream ends.
pub fn answer(reply: &Reply) {
    let headers = reply.headers().iter().map(|(name, value)| (*name, value.as_str())).collect();
    let sent = hostcalls::send_http_response(u32::from(reply.status), headers, Some(&reply.body));
    if let Err(status) = sent {
        log::error!("an answer could not be sent ({status:?}): the stream ends");
        reset();
    }
}

/// Resumes the paused request of the effective context. No other call for it may follow.
///
/// If the host refuses that, the stream ends.
pub fn resume() {
    if let Err(status) = hostcalls::resume_http_request() {
        log::error!("a request could not be resumed ({status:?}): the stream ends");
        reset();
    }
}

/// Ends the stream of the effective context without an answer.
pub fn reset() {
    if let Err(status) = hostcalls::reset_http_request() {
        log::error!("a stream could not be ended: {status:?}");
    }
}

/// Sets the period of [`proxy_wasm::traits::RootContext::on_tick`].
pub fn tick_in(period: Duration) {
    if let Err(status) = hostcalls::set_tick_period(period) {
        log::error!("the host refuses a timer: {status:?}");
    }
}

/// Makes further calls act on another context. An error means that the context is gone.
pub fn act_as(context: u32) -> Result<(), Status> {
    hostcalls::set_effective_context(context)
}

/// Sets a property that the access log can show.
pub fn show(name: &str, value: &str) {
    // Logging must not decide anything: a host without this call is no reason to refuse a request.
    let _ = hostcalls::set_property(vec![name], Some(value.as_bytes()));
}

/// Adds one to a counter, which is named by its number.
pub fn count(metric: u32) {
    let _ = hostcalls::increment_metric(metric, 1);
}

/// Defines a counter and returns its number.
pub fn counter(name: &str) -> Option<u32> {
    hostcalls::define_metric(MetricType::Counter, name).ok()
}
