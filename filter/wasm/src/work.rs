//! What happens outside the callbacks of a request: replies to calls, and the due work of the site.

use core::time::Duration;

use lictor_core::{CalloutReply, Cx, Decision, Gate, RequestView, SiteCall, StreamId, Task};
use proxy_wasm::types::{BufferType, MapType};

use crate::shared::{Caller, Shared};
use crate::{apply, host};

/// Passes the reply to a call to its owner, the site or a request.
pub fn on_call(shared: &Shared, token: u32, body_size: usize) {
    let Some(caller) = shared.take_caller(token) else { return };
    let headers = host::headers(MapType::HttpCallResponseHeaders).unwrap_or_default();
    let body = host::buffer(BufferType::HttpCallResponseBody, body_size);
    let header =
        |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_slice());
    let status = header(":status").and_then(|s| core::str::from_utf8(s).ok()?.parse().ok());
    let encoded = header("content-encoding").is_some_and(|e| e != b"identity");
    let reply = match (status, &body) {
        (Some(status), Some(body)) => CalloutReply::Answer { status, encoded, body },
        _ => CalloutReply::NoAnswer,
    };
    match caller {
        Caller::Site(call) => {
            site_reply(shared, call, reply);
            due(shared);
        }
        Caller::Stream(stream) => {
            decide(shared, stream, |gate, request, cx| gate.on_callout(reply, request, cx));
        }
    }
}

/// Does the site's due work. Only the root context may call this.
///
/// The calls belong to the root context, so they outlive the requests that wait for them.
pub fn due(shared: &Shared) {
    while let Some(task) = shared.with_site(|site| site.next_task(host::now())).flatten() {
        match task {
            Task::Call(call, callout) => {
                if shared.call(Caller::Site(call), &callout).is_err() {
                    site_reply(shared, call, CalloutReply::NoAnswer);
                }
            }
            Task::Notice(line) => log::info!("{line}"),
            Task::Wake(stream) => {
                wake(shared, stream);
                act_as_root(shared);
            }
            Task::Reply(stream, reply) => {
                if host::act_as(stream.0).is_ok() {
                    host::answer(&reply);
                }
                act_as_root(shared);
            }
        }
    }
    end_sockets(shared);
    let rest = shared.with_site(|site| site.next_poll(host::now()));
    shared.tick_in(rest.unwrap_or(Duration::from_secs(1)));
}

fn site_reply(shared: &Shared, call: SiteCall, reply: CalloutReply<'_>) {
    let _ = shared.with_site(|site| site.on_callout(call, reply, host::now()));
}

/// Wakes a request whose wait has ended.
fn wake(shared: &Shared, stream: StreamId) {
    if shared.ask(stream, Gate::is_waiting) == Some(true) {
        decide(shared, stream, Gate::on_wake);
    } else if let Some(Some(most)) = shared.ask(stream, Gate::waits_with_data) {
        wake_with_data(shared, stream, most);
    }
}

/// Passes an event to the gate of a paused request, and applies the decision.
fn decide(
    shared: &Shared,
    stream: StreamId,
    event: impl FnOnce(&mut Gate, RequestView<'_>, &mut Cx<'_>) -> Decision,
) {
    if host::act_as(stream.0).is_err() || shared.ask(stream, |_| ()).is_none() {
        // The client has gone.
        return;
    }
    let headers = host::headers(MapType::HttpRequestHeaders).unwrap_or_default();
    let request = RequestView { headers: &headers };
    let decision = shared.event(stream, |gate, cx| event(gate, request, cx));
    apply::later(shared, stream, decision);
}

/// Wakes a request whose data is held. `most` limits how many held bytes are read.
fn wake_with_data(shared: &Shared, stream: StreamId, most: usize) {
    if host::act_as(stream.0).is_err() {
        return;
    }
    let step = host::buffer(BufferType::HttpRequestBody, most).and_then(|held| {
        let step = shared.event(stream, |gate, cx| gate.on_data_wake(&held, cx))?;
        Some((held.len(), step))
    });
    let (size, step) = step.unzip();
    apply::held_data(size.unwrap_or_default(), step);
}

/// Ends the sockets that the site names.
///
/// A socket may be older than the newest settings, which decide. If their site is in use
/// elsewhere, the next tick tries again.
fn end_sockets(shared: &Shared) {
    let now = host::now();
    let ended = match shared.newer() {
        None => shared.with_site(|site| site.sockets_to_end(None, now)),
        Some(newer) => newer
            .with_site(|newer| shared.with_site(|site| site.sockets_to_end(Some(newer), now)))
            .flatten(),
    };
    let Some(ended) = ended else { return };
    if ended.is_empty() {
        return;
    }
    for stream in ended {
        if host::act_as(stream.0).is_ok() {
            host::reset();
        }
    }
    act_as_root(shared);
}

fn act_as_root(shared: &Shared) {
    if let Err(status) = host::act_as(shared.root) {
        log::error!("the host refuses the root context: {status:?}");
    }
}
