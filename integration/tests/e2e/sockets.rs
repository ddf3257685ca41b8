//! A websocket client on raw bytes (RFC 6455), for what a well-behaved one would never send.

use std::io::{self, Read as _, Write as _};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Gate, Request, Tls};
use crate::http1::{Answer, Reader};

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub opcode: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }
}

/// How a socket ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// A close frame with this code.
    Close(u16),
    /// The connection, without one: clients see 1006.
    Lost,
}

/// An open socket.
pub struct Socket {
    stream: Tls,
    held: Vec<u8>,
}

/// The upgrade request of Prefect's clients.
pub fn upgrade(path: &str) -> Request {
    Request::get(path).headers(&[
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "prefect"),
        ("sec-websocket-extensions", "permessage-deflate"),
    ])
}

/// The first frame of Prefect's clients.
pub fn auth(token: impl Into<serde_json::Value>) -> String {
    json!({"type": "auth", "token": token.into()}).to_string()
}

impl Socket {
    /// Opens one for machines' name; the answer, where it is no 101.
    pub fn open(gate: &Gate, request: &Request) -> io::Result<Result<Self, Answer>> {
        let request = match request.host {
            Some(_) => request.clone(),
            None => request.clone().host(gate.machine_host()),
        };
        let mut stream = gate.connect("localhost")?;
        stream.write_all(&request.bytes(""))?;
        let mut reader = Reader { stream: &mut stream, held: Vec::new() };
        let answer = reader.answer(false)?;
        let held = reader.held;
        Ok(if answer.status == 101 { Ok(Self { stream, held }) } else { Err(answer) })
    }

    /// Opens one that must open.
    #[track_caller]
    pub fn opened(gate: &Gate, request: &Request) -> Self {
        match Self::open(gate, request).unwrap() {
            Ok(socket) => socket,
            Err(answer) => panic!("no 101: {} {}", answer.status, answer.text()),
        }
    }

    /// The answer to an upgrade that must be refused.
    #[track_caller]
    pub fn refused(gate: &Gate, request: &Request) -> Answer {
        Self::open(gate, request).unwrap().err().expect("the upgrade was accepted")
    }

    pub fn send(&mut self, bytes: &[u8]) {
        // What has been closed meanwhile shows when it is read.
        let _closed = self.stream.write_all(bytes).and_then(|()| self.stream.flush());
    }

    pub fn send_text(&mut self, text: &str) {
        self.send(&client_frame(1, text.as_bytes()));
    }

    /// The next frame within a bound.
    pub fn next(&mut self, limit: Duration) -> Result<Frame, End> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some((frame, length)) = read_frame(&self.held) {
                self.held.drain(..length);
                return match (frame.opcode, frame.payload.as_slice()) {
                    (8, [high, low, ..]) => Err(End::Close(u16::from_be_bytes([*high, *low]))),
                    (8, _) => Err(End::Close(1005)),
                    _ => Ok(frame),
                };
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "nothing came within {limit:?}");
            self.stream.sock.set_read_timeout(Some(left)).unwrap();
            let mut block = [0; 4096];
            match self.stream.read(&mut block) {
                Ok(read @ 1..) => self.held.extend_from_slice(&block[..read]),
                Err(cause)
                    if matches!(
                        cause.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) => {}
                _ => return Err(End::Lost),
            }
        }
    }

    /// How it ends, within a bound; frames before that are an error.
    #[track_caller]
    pub fn end(&mut self, limit: Duration) -> End {
        match self.next(limit) {
            Err(end) => end,
            Ok(frame) => panic!("a frame instead of the end: {} {}", frame.opcode, frame.text()),
        }
    }
}

/// A masked frame.
pub fn client_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x12, 0x34, 0x56, 0x78];
    let mut bytes = head(opcode, payload.len(), 0x80);
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// A frame of a server.
pub fn server_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    [head(opcode, payload.len(), 0), payload.to_vec()].concat()
}

fn head(opcode: u8, length: usize, masked: u8) -> Vec<u8> {
    match u16::try_from(length).unwrap() {
        short @ 0..=125 => vec![0x80 | opcode, masked | u8::try_from(short).unwrap()],
        long => [&[0x80 | opcode, masked | 126][..], &long.to_be_bytes()].concat(),
    }
}

/// The first frame of some bytes, unmasked, and how many it took.
pub fn read_frame(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (opcode, second) = (*bytes.first()? & 0x0f, *bytes.get(1)?);
    let (length, mut at) = match second & 0x7f {
        126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap())), 4),
        127 => (
            usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap())).unwrap(),
            10,
        ),
        short => (usize::from(short), 2),
    };
    let mask = if second & 0x80 == 0 {
        [0; 4]
    } else {
        at += 4;
        bytes.get(at - 4..at)?.try_into().unwrap()
    };
    let payload = bytes.get(at..at + length)?;
    let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    Some((Frame { opcode, payload }, at + length))
}
