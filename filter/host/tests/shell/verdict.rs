//! What became of a request, in words, and whether that is a refusal.

use core::fmt;

use lictor_host::{Answer, By, Stream, Upstream, headers};
use serde_json::Value;

use crate::frame;
use crate::provider::ISSUER;
use crate::world::{AUTH_STRING, PUBLIC, basic};

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub upstream: Option<Upstream>,
    pub answer: Option<Answer>,
    pub reset: bool,
    /// Neither, and it still waits.
    pub waits: bool,
}

impl Verdict {
    pub fn of(stream: &Stream) -> Self {
        Self {
            upstream: stream.upstream().cloned(),
            answer: stream.answer().cloned(),
            reset: stream.is_reset(),
            waits: stream.is_waiting(),
        }
    }

    /// Whether nothing was forwarded, and the client was told so or sent to log in.
    pub fn is_refusal(&self) -> bool {
        self.upstream.is_none() && (self.reset || self.answer.as_ref().is_some_and(is_refusing))
    }

    /// Whether what the client has got of Prefect is all right if `whole` is: it is the same, or a
    /// refusal, or ends before its end.
    pub fn answers_no_more_than(&self, whole: &Self) -> bool {
        match (&self.answer, &whole.answer) {
            (None, _) => true,
            (Some(answer), _) if answer.by != By::Upstream => is_refusing(answer),
            (Some(part), Some(whole)) => {
                part.by == whole.by
                    && part.status() == whole.status()
                    && whole.body.starts_with(&part.body)
            }
            (Some(_), None) => false,
        }
    }

    /// Whether neither was forwarded, and both were answered alike.
    pub fn is_answered_like(&self, other: &Self) -> bool {
        other.upstream.is_none() && self.to_string() == other.to_string()
    }

    pub fn is_socket(&self) -> bool {
        self.upstream.as_ref().is_some_and(|seen| headers::text(&seen.headers, "upgrade").is_some())
    }
}

/// Whether an answer refuses, or sends the browser to log in.
fn is_refusing(answer: &Answer) -> bool {
    answer.status() >= 400 || is_login(answer)
}

fn is_login(answer: &Answer) -> bool {
    let to = answer.header("location").unwrap_or_default();
    answer.status() == 302 && to.starts_with(&format!("{ISSUER}/auth?"))
}

/// What of a client's must never reach the upstream; `None` if nothing of it does.
pub fn not_edited(upstream: &Upstream) -> Option<String> {
    let line = |name: &str, value: &[u8]| format!("{name}: {}", String::from_utf8_lossy(value));
    let foreign = |name: &str, value: &[u8]| match name {
        "authorization" => value != basic(AUTH_STRING).as_bytes(),
        "x-api-key" | "sec-websocket-extensions" => true,
        "cookie" => value.windows(6).any(|part| part == b"lictor"),
        _ => value.windows(4).any(|part| part == b"root"),
    };
    let lines = upstream.headers.iter();
    lines.filter(|(name, value)| foreign(name, value)).map(|(name, value)| line(name, value)).next()
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        if let Some(upstream) = &self.upstream {
            words.push(forwarded(upstream));
            if self.is_socket() {
                words.extend(frames(&upstream.body));
            }
        }
        words.extend(self.answer.as_ref().map(answered));
        words.extend(self.reset.then(|| "reset".to_owned()));
        words.extend(self.waits.then(|| "waits".to_owned()));
        f.write_str(&if words.is_empty() { "left".to_owned() } else { words.join(", ") })
    }
}

fn forwarded(upstream: &Upstream) -> String {
    let name = |name| headers::text(&upstream.headers, name);
    let who = name("x-auth-request-user").unwrap_or("nobody");
    let secret = if name("authorization").is_some() { " with the secret" } else { "" };
    format!("to Prefect as {who}{secret}")
}

fn answered(answer: &Answer) -> String {
    let mut words = vec![answer.status().to_string()];
    if answer.by == By::Host {
        words.push("by the host".to_owned());
    }
    let code = serde_json::from_slice(&answer.body).ok();
    words.extend(code.and_then(|body: Value| Some(body["code"].as_str()?.to_owned())));
    words.extend(answer.header("location").map(|to| {
        let to = to.split('?').next().unwrap_or_default();
        to.replace(ISSUER, "issuer").replace(PUBLIC, "")
    }));
    words.join(" ")
}

/// The frames that have reached Prefect, each by what it is.
fn frames(mut bytes: &[u8]) -> Vec<String> {
    let mut words = Vec::new();
    while !bytes.is_empty() {
        let Some((opcode, payload, rest)) = frame::read(bytes) else {
            words.push("a part of a frame".to_owned());
            break;
        };
        bytes = rest;
        let message: Value = serde_json::from_slice(&payload).unwrap_or_default();
        words.push(match opcode {
            frame::CLOSE => format!("close {}", u16::from_be_bytes([payload[0], payload[1]])),
            _ if message["type"] == "auth" && message["token"] == AUTH_STRING => {
                "auth with the secret".to_owned()
            }
            _ if message["type"] == "auth" => "auth unchanged".to_owned(),
            _ => "text".to_owned(),
        });
    }
    words
}

/// Whether bytes to Prefect are the beginning of what it may get, on a socket also with a refusal
/// behind whole frames.
pub fn is_part(bytes: &[u8], whole: &[u8], socket: bool) -> bool {
    if whole.starts_with(bytes) {
        return true;
    }
    let mut rest = bytes;
    let mut passed = 0;
    while socket && let Some((opcode, _, after)) = frame::read(rest) {
        if opcode == frame::CLOSE {
            return after.is_empty();
        }
        passed += rest.len() - after.len();
        if !whole.starts_with(&bytes[..passed]) {
            return false;
        }
        rest = after;
    }
    false
}
