//! Decisions become host calls: all edits first, then on. The only place that lets a request
//! continue.

use lictor_core::{
    CalloutReply, DataStep, Decision, HeaderEdit, Reply, RequestView, ResponseStep, StreamId,
};
use proxy_wasm::types::{Action, BufferType, MapType, Status};

use crate::host;
use crate::shared::Shared;

/// Applies a decision inside the request's header callback.
pub fn now(shared: &Shared, stream: StreamId, decision: Option<Decision>) -> Action {
    match decision {
        // What is read of a body comes next; the filter behind holds the head until it has been judged.
        Some(
            Decision::Forward { edit, .. }
            | Decision::ForwardWithBody { edit, .. }
            | Decision::ReadBody(edit),
        ) => edited(&edit),
        decision => {
            settle(shared, stream, decision);
            Action::Pause
        }
    }
}

/// Applies a decision later, while the request is paused. Resuming is the last thing done.
pub fn later(shared: &Shared, stream: StreamId, decision: Option<Decision>) {
    match decision {
        Some(Decision::Forward { edit, .. } | Decision::ForwardWithBody { edit, .. }) => {
            if edited(&edit) == Action::Continue {
                host::resume();
            }
        }
        // A body is read from the header callback on, or not at all.
        Some(Decision::ReadBody(_)) => settle(shared, stream, None),
        decision => settle(shared, stream, decision),
    }
}

/// Edits a request that may continue. One that can't be edited is refused: what should have been taken away
/// must not reach Prefect.
fn edited(edit: &HeaderEdit) -> Action {
    match edit_headers(MapType::HttpRequestHeaders, edit) {
        Ok(()) => Action::Continue,
        Err(status) => {
            log::error!("a request could not be edited ({status:?}): refused");
            host::answer(&Reply::unavailable());
            Action::Pause
        }
    }
}

/// Applies a decision by which the request stays where it is: answered, or waiting. No decision is a fault.
fn settle(shared: &Shared, stream: StreamId, decision: Option<Decision>) {
    match decision {
        Some(Decision::AwaitSite) => {}
        Some(Decision::Reply(reply)) => host::answer(&reply),
        Some(Decision::Await(callout)) => {
            if shared.call(stream, &callout).is_ok() {
                return;
            }
            let headers = host::headers(MapType::HttpRequestHeaders).unwrap_or_default();
            let request = RequestView { headers: &headers };
            let not_sent = CalloutReply::NotSent;
            match shared.event(stream, |gate, cx| gate.on_callout(not_sent, request, cx)) {
                Some(Decision::Reply(reply)) => host::answer(&reply),
                // A call that could not be sent leads to an answer, never on.
                _ => host::answer(&Reply::unavailable()),
            }
        }
        Some(
            Decision::Forward { .. } | Decision::ForwardWithBody { .. } | Decision::ReadBody(_),
        )
        | None => host::answer(&Reply::unavailable()),
    }
}

fn edit_headers(map: MapType, edit: &HeaderEdit) -> Result<(), Status> {
    for name in &edit.remove {
        host::remove(map, name)?;
    }
    for (name, value) in &edit.set {
        host::set(map, name, value)?;
    }
    for (name, value) in &edit.add {
        host::add(map, name, value)?;
    }
    Ok(())
}

/// Applies the verdict on Prefect's answer. An edit that fails replaces the answer: what should have
/// been taken away must not reach the client.
pub fn response(step: Option<ResponseStep>) -> Action {
    let replacement = match step {
        None => return reset(),
        Some(ResponseStep::Replace(reply)) => reply,
        Some(ResponseStep::Edit(edit)) => match edit_headers(MapType::HttpResponseHeaders, &edit) {
            Ok(()) => return Action::Continue,
            Err(_) => Reply::unavailable(),
        },
    };
    host::answer(&replacement);
    Action::Pause
}

/// Applies a verdict on bytes that are held, outside their own callback. Envoy holds them in a buffer of
/// its own, which may be written then.
pub fn held_data(size: usize, step: Option<DataStep>) {
    if data(BufferType::HttpRequestBody, size, step) == Action::Continue {
        host::resume();
    }
}

/// Applies a verdict on body bytes or trailers. Bytes of a request that is not known go nowhere.
pub fn data(kind: BufferType, size: usize, step: Option<DataStep>) -> Action {
    match step {
        Some(DataStep::Pass) => Action::Continue,
        Some(DataStep::Hold) => Action::Pause,
        Some(DataStep::Replace(bytes)) => match host::replace_buffer(kind, size, &bytes) {
            Ok(()) => Action::Continue,
            Err(_) => reset(),
        },
        Some(DataStep::Answer(reply)) => {
            host::answer(&reply);
            Action::Pause
        }
        Some(DataStep::Reset) | None => reset(),
    }
}

fn reset() -> Action {
    host::reset();
    Action::Pause
}
