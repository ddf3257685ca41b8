//! The host's calls, as bytes and fallible. String getters are not used anywhere: they trap the
//! VM on the first byte that is not UTF-8 (docs/threats.md, T-D2).

use core::time::Duration;
use std::time::UNIX_EPOCH;

use lictor_core::{Callout, Certificate, Entropy, NoEntropy, Peer, Reply, UnixTime};
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType, MetricType, Status};

/// Header lines as the host gives them.
pub type Headers = Vec<(String, Vec<u8>)>;

/// The host's clock; zero if it has none, at which nothing is valid.
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

/// The other end of the effective context's connection. Envoy's attributes say what it has verified;
/// nothing of a request is read.
pub struct HostPeer;

impl Peer for HostPeer {
    fn certificate(&self) -> Option<Certificate> {
        // One byte, 1 when the client has shown a certificate; Envoy refuses those that do not
        // verify against the listener's CA.
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
}

/// An attribute of the connection; absent and empty are the same.
fn property(name: &str) -> Option<Vec<u8>> {
    let value = hostcalls::get_property(vec!["connection", name]).ok().flatten();
    value.filter(|bytes| !bytes.is_empty())
}

/// The name and root id of the plugin that is being configured: what tells configurations apart that
/// stand side by side in one VM.
pub fn plugin() -> Vec<u8> {
    let part = |name| hostcalls::get_property(vec![name]).ok().flatten().unwrap_or_default();
    [part("plugin_name"), part("plugin_root_id")].join(&0)
}

/// All lines of a map; `None` when they can't be had.
pub fn headers(map: MapType) -> Option<Headers> {
    hostcalls::get_map_bytes(map).ok()
}

/// Takes a header away, every line of it.
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

/// Body bytes that the host holds, `size` of them at most. `None` when they can't be had: an empty body is
/// another thing, and might be allowed.
pub fn buffer(kind: BufferType, size: usize) -> Option<Vec<u8>> {
    if size == 0 {
        return Some(Vec::new());
    }
    hostcalls::get_buffer(kind, 0, size).ok().flatten()
}

/// Replaces what the host holds; only to be called inside a body callback.
pub fn replace_buffer(kind: BufferType, size: usize, bytes: &[u8]) -> Result<(), Status> {
    hostcalls::set_buffer(kind, 0, size, bytes)
}

/// Sends a call; its token.
pub fn dispatch(callout: &Callout) -> Result<u32, Status> {
    let headers = callout.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let body = (!callout.body.is_empty()).then_some(callout.body.as_slice());
    hostcalls::dispatch_http_call(&callout.cluster, headers, body, Vec::new(), callout.timeout)
}

/// Answers the request of the effective context.
pub fn answer(reply: &Reply) {
    let headers = reply.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let sent = hostcalls::send_http_response(u32::from(reply.status), headers, Some(&reply.body));
    if let Err(status) = sent {
        log::error!("an answer could not be sent ({status:?}): the request stays paused");
    }
}

/// Lets the paused request of the effective context go on. Nothing may follow for it.
pub fn resume() {
    if let Err(status) = hostcalls::resume_http_request() {
        log::error!("a request could not be resumed ({status:?}): it stays paused");
    }
}

/// Ends the stream of the effective context without an answer.
pub fn reset() {
    if let Err(status) = hostcalls::reset_http_request() {
        log::error!("a stream could not be ended: {status:?}");
    }
}

/// When [`proxy_wasm::traits::RootContext::on_tick`] comes next.
pub fn tick_in(period: Duration) {
    if let Err(status) = hostcalls::set_tick_period(period) {
        log::error!("the host refuses a timer: {status:?}");
    }
}

/// Makes further calls act on another context; an error means that it is gone.
pub fn act_as(context: u32) -> Result<(), Status> {
    hostcalls::set_effective_context(context)
}

/// Shows a value to the access log.
pub fn show(name: &str, value: &str) {
    // Logging must not decide anything: a host that can't is no reason to refuse.
    let _ = hostcalls::set_property(vec![name], Some(value.as_bytes()));
}

/// Adds one to a counter, by its number.
pub fn count(metric: u32) {
    let _ = hostcalls::increment_metric(metric, 1);
}

/// The number of a counter.
pub fn counter(name: &str) -> Option<u32> {
    hostcalls::define_metric(MetricType::Counter, name).ok()
}
