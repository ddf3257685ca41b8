//! The first frame of Prefect's sockets, the auth message `{"type":"auth","token":…}`.
//!
//! Lictor reads the client's credential from it. Prefect gets a frame with its own auth string as
//! the token instead.

use serde_json::{Map, Value};

use crate::foundation::limits::TOKEN;
use crate::foundation::secret::Secret;
use crate::wire::websocket;
use crate::wire::websocket::{CLOSE, Frame, PING_PONG, Read, TEXT};

/// Close code for a refused client. Prefect's clients treat 1008 as final.
///
/// They end a subscription silently on 1000, 1001 and 1005. So a socket that its client did not
/// close never ends with one of these codes.
pub(crate) const POLICY: u16 = 1008;
/// Close code after which Prefect's clients connect again.
pub(crate) const TRY_AGAIN: u16 = 1013;
/// Close code for a socket that its client closes.
pub(crate) const NORMAL: u16 = 1000;
/// Close code with which Prefect itself refuses an unexpected message.
pub(crate) const PROTOCOL: u16 = 1002;

/// The result of reading the first frame.
#[derive(Debug)]
pub(crate) enum FirstFrame {
    /// The frame is incomplete.
    Incomplete,
    /// A ping or pong frame of this many bytes.
    ///
    /// Prefect's clients send a ping before they authenticate, and wait for the pong.
    Ping(usize),
    /// The client closes the socket without authenticating.
    Close,
    /// An auth frame.
    Auth(AuthFrame),
    /// A complete frame that is not an auth frame; the text says why.
    Other(&'static str),
    /// The bytes are not a frame that a client may send, or it is too long.
    Invalid,
}

/// A client's auth frame.
#[derive(Debug)]
pub(crate) struct AuthFrame {
    members: Map<String, Value>,
    mask: [u8; 4],
    /// Length of the whole frame in bytes.
    length: usize,
}

/// Reads the first frame from the bytes that have arrived. A frame longer than `limit` is invalid.
#[must_use]
pub(crate) fn read(held: &[u8], limit: usize) -> FirstFrame {
    match websocket::read(held, limit) {
        Read::Incomplete => FirstFrame::Incomplete,
        Read::Invalid(_) => FirstFrame::Invalid,
        Read::Frame(frame)
            if PING_PONG.contains(&frame.opcode) && frame.fin && frame.payload.len() <= 125 =>
        {
            FirstFrame::Ping(frame.length)
        }
        Read::Frame(frame) if frame.opcode == CLOSE && frame.fin && frame.payload.len() <= 125 => {
            FirstFrame::Close
        }
        Read::Frame(frame) => auth(frame),
    }
}

fn auth(frame: Frame) -> FirstFrame {
    if frame.opcode != TEXT || !frame.fin {
        return FirstFrame::Other("not one whole text frame");
    }
    match crate::foundation::json::parse(&frame.payload) {
        Ok(Value::Object(members)) if members.get("type").is_some_and(|t| t == "auth") => {
            FirstFrame::Auth(AuthFrame { members, mask: frame.mask, length: frame.length })
        }
        _ => FirstFrame::Other("not an auth message"),
    }
}

impl AuthFrame {
    /// Returns the credential in the frame, in any form.
    ///
    /// Returns `None` if it is missing, empty or too long.
    #[must_use]
    pub(crate) fn token(&self) -> Option<&str> {
        self.members.get("token")?.as_str().filter(|text| !text.is_empty() && text.len() <= TOKEN)
    }

    /// Returns the frame for Prefect, with its own auth string as the token, and the bytes after
    /// the client's frame.
    ///
    /// `bytes` begin with the client's frame.
    #[must_use]
    pub(crate) fn rewrite<'a>(
        mut self,
        bytes: &'a [u8],
        auth_string: &Secret,
    ) -> (Vec<u8>, &'a [u8]) {
        self.members.insert("token".to_owned(), auth_string.expose_str().into());
        let message = Value::Object(self.members).to_string();
        let rest = bytes.get(self.length..).unwrap_or_default();
        (websocket::write(TEXT, message.as_bytes(), self.mask), rest)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn the_token_is_replaced_and_the_rest_follows() {
        let held = [
            websocket::write(TEXT, br#"{"type":"auth","token":"etl:lk_x","v":1}"#, [9, 8, 7, 6]),
            b"next".to_vec(),
        ]
        .concat();
        let FirstFrame::Auth(auth) = read(&held, 4096) else { panic!("no auth frame") };
        assert_eq!(auth.token(), Some("etl:lk_x"));
        let (out, rest) = auth.rewrite(&held, &Secret::new("admin:pw"));
        let Read::Frame(sent) = websocket::read(&out, 4096) else { panic!("no frame") };
        let message: Value = serde_json::from_slice(&sent.payload).unwrap();
        assert_eq!(message, serde_json::json!({"type": "auth", "token": "admin:pw", "v": 1}));
        assert_eq!((sent.length, rest), (out.len(), b"next".as_slice()));
        assert!(!String::from_utf8_lossy(&sent.payload).contains("lk_x"));
    }

    #[test]
    fn other_frames_are_no_auth_frames() {
        for payload in [r#"{"type":"filter"}"#, "[]", "x", r#"{"type":"auth","type":"auth"}"#] {
            let held = websocket::write(TEXT, payload.as_bytes(), [1; 4]);
            assert!(matches!(read(&held, 4096), FirstFrame::Other(_)), "{payload}");
        }
        assert!(matches!(
            read(&websocket::write(2, br#"{"type":"auth","token":"x"}"#, [1; 4]), 4096),
            FirstFrame::Other(_)
        ));
        for token in ["null", "1", "\"\"", "[]"] {
            let held = websocket::write(
                TEXT,
                format!("{{\"type\":\"auth\",\"token\":{token}}}").as_bytes(),
                [1; 4],
            );
            let FirstFrame::Auth(auth) = read(&held, 4096) else { panic!("no auth frame") };
            assert_eq!(auth.token(), None, "{token}");
        }
    }
}
