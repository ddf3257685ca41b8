//! Translates decisions into host calls. No other module lets a request continue.
//!
//! All edits come before the call that continues a request.

use lictor_core::{
    CalloutReply, DataStep, Decision, HeaderEdit, Reply, RequestView, ResponseStep, StreamId,
};
use proxy_wasm::types::{Action, BufferType, MapType, Status};

use crate::host;
use crate::shared::{Caller, Shared};

/// Applies a decision inside the request's header callback.
pub fn now(shared: &Shared, stream: StreamId, decision: Option<Decision>) -> Action {
    match decision {
        // If the body is read, its callbacks come next. The filter behind Lictor holds the headers
        // until the body has been judged.
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

/// Applies a decision outside the header callback, while the request is paused. Resuming comes
/// last.
pub fn later(shared: &Shared, stream: StreamId, decision: Option<Decision>) {
    match decision {
        Some(Decision::Forward { edit, .. } | Decision::ForwardWithBody { edit, .. }) => {
            if edited(&edit) == Action::Continue {
                host::resume();
            }
        }
        // Reading a body begins in the header callback, or not at all.
        Some(Decision::ReadBody(_)) => settle(shared, stream, None),
        decision => settle(shared, stream, decision),
    }
}

/// Edits the headers of a request that may continue.
///
/// If an edit fails, the request is refused: what had to be removed must not reach Prefect.
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

/// Applies a decision that answers the request or keeps it paused. A missing decision is a fault
/// and refuses the request.
fn settle(shared: &Shared, stream: StreamId, decision: Option<Decision>) {
    match decision {
        Some(Decision::AwaitSite) => {}
        Some(Decision::Reply(reply)) => host::answer(&reply),
        Some(Decision::Await(callout)) => {
            if shared.call(Caller::Stream(stream), &callout).is_ok() {
                return;
            }
            let headers = host::headers(MapType::HttpRequestHeaders).unwrap_or_default();
            let request = RequestView { headers: &headers };
            let not_sent = CalloutReply::NoAnswer;
            match shared.event(stream, |gate, cx| gate.on_callout(not_sent, request, cx)) {
                Some(Decision::Reply(reply)) => host::answer(&reply),
                // A call that could not be sent leads to an answer. It never lets the request
                // continue.
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

/// Applies a decision on Prefect's response headers.
///
/// If an edit fails, the response is replaced: what had to be removed must not reach the client.
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

/// Applies a decision on held request bytes outside their own callback.
///
/// Envoy holds the bytes in a buffer of its own, which may be written then.
pub fn held_data(size: usize, step: Option<DataStep>) {
    if data(BufferType::HttpRequestBody, size, step) == Action::Continue {
        host::resume();
    }
}

/// Applies a decision on body bytes or trailers. Without a decision the stream is reset.
///
/// `size` is the number of held bytes that a replacement removes.
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
