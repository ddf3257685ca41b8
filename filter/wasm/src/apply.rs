//! Decisions become host calls: all edits first, then on. The only place that lets a request
//! continue.

use lictor_core::decision::{CalloutReply, DataStep, Decision, RequestEdit, ResponseEdit};
use lictor_core::http::request::RequestView;
use lictor_core::reply::Reply;
use lictor_core::stream::StreamId;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{Action, BufferType, MapType, Status};

use crate::host;
use crate::shared::Shared;

/// What a decision came to.
enum Outcome {
    Continue,
    /// Answered, or nothing yet.
    Stay,
}

/// Applies a decision inside the request's header callback. `end` says whether the request has no
/// body.
pub fn now(shared: &Shared, stream: StreamId, decision: Option<Decision>, end: bool) -> Action {
    let decision = match decision {
        Some(Decision::Reply(reply)) if !end && host::is_http2() => {
            match shared.linger(stream, reply) {
                Some(reply) => Some(Decision::Reply(reply)),
                None => return Action::Pause,
            }
        }
        // Nothing comes after the head: judged as an empty body.
        Some(decision @ (Decision::ReadBody(_) | Decision::ForwardWithBody { .. })) if end => {
            let step = shared.event(stream, |gate, cx| gate.on_request_data(&[], true, cx));
            match (decision, step) {
                (_, Some(DataStep::Answer(reply))) => Some(Decision::Reply(reply)),
                (Decision::ForwardWithBody { permit, edit }, Some(DataStep::Pass)) => {
                    Some(Decision::Forward { permit, edit })
                }
                _ => None,
            }
        }
        Some(Decision::ReadBody(edit)) => match edit_request(&edit) {
            Ok(()) => return Action::Continue,
            Err(_) => None,
        },
        decision => decision,
    };
    match apply(shared, stream, decision) {
        Outcome::Continue => Action::Continue,
        Outcome::Stay => Action::Pause,
    }
}

/// Applies a decision later, while the request is paused. Resuming is the last thing done.
pub fn later(shared: &Shared, stream: StreamId, decision: Option<Decision>) {
    if matches!(apply(shared, stream, decision), Outcome::Continue)
        && let Err(status) = hostcalls::resume_http_request()
    {
        log::error!("a request could not be resumed: {status:?}");
    }
}

fn apply(shared: &Shared, stream: StreamId, decision: Option<Decision>) -> Outcome {
    match decision {
        // The permit is the proof; it has done its work once the request may go on. What hangs on the body,
        // which comes next, is held by the filter behind us until that has been judged.
        Some(
            Decision::Forward { permit: _permit, edit }
            | Decision::ForwardWithBody { permit: _permit, edit },
        ) => match edit_request(&edit) {
            Ok(()) => Outcome::Continue,
            Err(status) => {
                log::error!("a request could not be edited ({status:?}): refused");
                fail()
            }
        },
        Some(Decision::Reply(reply)) => {
            host::answer(&reply);
            Outcome::Stay
        }
        Some(Decision::AwaitSite) => Outcome::Stay,
        Some(Decision::Await(callout)) => match shared.call(stream, &callout) {
            Ok(()) => Outcome::Stay,
            Err(()) => {
                let headers = host::headers(MapType::HttpRequestHeaders);
                let request = RequestView { headers: &headers };
                let next = shared
                    .event(stream, |gate, cx| gate.on_callout(CalloutReply::NotSent, request, cx));
                match next {
                    Some(Decision::Reply(reply)) => {
                        host::answer(&reply);
                        Outcome::Stay
                    }
                    // A call that could not be sent leads to an answer, never on.
                    _ => fail(),
                }
            }
        },
        // A body is read from the header callback on, or not at all.
        Some(Decision::ReadBody(_)) | None => fail(),
    }
}

fn fail() -> Outcome {
    host::answer(&Reply::unavailable());
    Outcome::Stay
}

fn edit_request(edit: &RequestEdit) -> Result<(), Status> {
    let map = MapType::HttpRequestHeaders;
    for name in &edit.remove {
        host::remove(map, name)?;
    }
    for (name, value) in &edit.set {
        host::set(map, name, value)?;
    }
    Ok(())
}

/// Applies changes to Prefect's answer. An edit that fails replaces the answer: what should have
/// been taken away must not reach the client.
pub fn response(edit: &ResponseEdit) -> Action {
    let replacement = match &edit.replace {
        Some(reply) => reply.clone(),
        None if edit_response(edit).is_ok() => return Action::Continue,
        None => Reply::unavailable(),
    };
    host::answer(&replacement);
    Action::Pause
}

fn edit_response(edit: &ResponseEdit) -> Result<(), Status> {
    let map = MapType::HttpResponseHeaders;
    for name in &edit.remove {
        host::remove(map, name)?;
    }
    for (name, value) in &edit.set {
        host::set(map, name, value.as_bytes())?;
    }
    for (name, value) in &edit.add {
        host::add(map, name, value)?;
    }
    Ok(())
}

/// Applies a verdict on bytes that are held, outside their own callback. Envoy holds them in a buffer of
/// its own, which may be written then.
pub fn held_data(size: usize, step: DataStep) {
    if data(BufferType::HttpRequestBody, size, step) == Action::Continue
        && let Err(status) = hostcalls::resume_http_request()
    {
        log::error!("held bytes could not be let go: {status:?}");
    }
}

/// Ends the stream without a word.
pub fn reset() -> Action {
    if let Err(status) = hostcalls::reset_http_request() {
        log::error!("a stream could not be ended: {status:?}");
    }
    Action::Pause
}

/// Applies a verdict on body bytes.
pub fn data(kind: BufferType, size: usize, step: DataStep) -> Action {
    match step {
        DataStep::Pass => Action::Continue,
        DataStep::Hold => Action::Pause,
        DataStep::Replace(bytes) => match host::replace_buffer(kind, size, &bytes) {
            Ok(()) => Action::Continue,
            Err(_) => reset(),
        },
        DataStep::Reset => reset(),
        DataStep::Answer(reply) => {
            host::answer(&reply);
            Action::Pause
        }
    }
}
