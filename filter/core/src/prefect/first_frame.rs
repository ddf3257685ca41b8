//! The first frame of Prefect's sockets, `{"type":"auth","token":…}`: who is it, and the frame
//! that Prefect gets instead, with its own string as the token.

use serde_json::{Map, Value};

use crate::foundation::limits::TOKEN;
use crate::foundation::secret::Secret;
use crate::wire::websocket;
use crate::wire::websocket::{CLOSE, Frame, PING_PONG, Read, TEXT};

/// Close codes as Prefect's clients take them: 1008 is final for them, 1013 is tried again.
/// 1000, 1001 and 1005 would end subscriptions silently and never end one that its client has not ended.
pub(crate) const POLICY: u16 = 1008;
/// See [`POLICY`].
pub(crate) const TRY_AGAIN: u16 = 1013;
/// What the client itself wanted.
pub(crate) const NORMAL: u16 = 1000;
/// What Prefect itself says of a message that it does not expect.
pub(crate) const PROTOCOL: u16 = 1002;

/// What the held bytes are.
#[derive(Debug)]
pub(crate) enum FirstFrame {
    /// Not a whole frame yet.
    Incomplete,
    /// A ping or pong of so many bytes; Prefect's clients ping before they authenticate, and wait
    /// for the answer.
    Ping(usize),
    /// The client leaves before it has said who it is.
    Close,
    /// An auth frame.
    Auth(AuthFrame),
    /// A whole frame that is none.
    Other(&'static str),
    /// No frame that a client may send.
    Invalid,
}

/// A client's auth frame.
#[derive(Debug)]
pub(crate) struct AuthFrame {
    members: Map<String, Value>,
    mask: [u8; 4],
    length: usize,
}

/// Reads the first frame of what has come so far; a longer one than `limit` is invalid.
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
    /// The credential in it, of whatever form; `None` when there is none, or it is too long.
    #[must_use]
    pub(crate) fn token(&self) -> Option<&str> {
        self.members.get("token")?.as_str().filter(|text| !text.is_empty() && text.len() <= TOKEN)
    }

    /// What Prefect gets for this frame, the same message with its own string; and whatever stands behind
    /// the frame in bytes that begin with it.
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
