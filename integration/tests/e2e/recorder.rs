//! An upstream that writes down every byte it gets. Only where the test is about bytes that would
//! reach Prefect: everything else around it is real.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

use crate::sockets::{Frame, read_frame, server_frame};
use crate::tcp_server;

/// One connection's worth: requests, and for sockets the frames.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Request lines and headers, each as it came.
    pub heads: Vec<String>,
    /// What followed them, by `content-length`.
    pub bodies: Vec<Vec<u8>>,
    /// What followed an upgrade, unmasked.
    pub frames: Vec<Frame>,
    /// Every byte after the head of an upgrade.
    pub socket_bytes: Vec<u8>,
}

/// The recorder. Its thread ends with the process.
pub struct Recorder {
    pub port: u16,
    seen: Arc<Mutex<Seen>>,
}

impl Recorder {
    pub fn start() -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        let port = tcp_server::serve(move |stream| serve(stream, &shared));
        Self { port, seen }
    }

    /// What came since the last call.
    pub fn take(&self) -> Seen {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    pub fn look(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Seen>) {
    let mut held = Vec::new();
    while let Some(head) = read_head(&mut stream, &mut held) {
        let lower = head.to_ascii_lowercase();
        let value = |name: &str| {
            lower.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).map(str::trim)
        };
        let length: usize = value("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
        let key = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim().to_owned())
        });
        let upgrade = value("upgrade").is_some();
        let refuses = head.contains("/api/refused");
        seen.lock().unwrap().heads.push(head);
        if upgrade {
            return socket(stream, held, &key.unwrap_or_default(), seen);
        }
        while held.len() < length {
            if !more(&mut stream, &mut held) {
                return;
            }
        }
        seen.lock().unwrap().bodies.push(held.drain(..length).collect());
        let status = if refuses { "401 Unauthorized\r\nwww-authenticate: Basic" } else { "200 OK" };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 4\r\n\r\ntrue");
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn socket(mut stream: TcpStream, mut held: Vec<u8>, key: &str, seen: &Mutex<Seen>) {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    let accept = STANDARD.encode(hash.as_ref());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
         sec-websocket-protocol: prefect\r\nsec-websocket-accept: {accept}\r\n\r\n"
    );
    if stream.write_all(answer.as_bytes()).is_err() {
        return;
    }
    seen.lock().unwrap().socket_bytes.extend(&held);
    loop {
        while let Some((frame, length)) = read_frame(&held) {
            held.drain(..length);
            let echo = match frame.opcode {
                9 => Some(server_frame(10, &frame.payload)),
                8 => Some(server_frame(8, &frame.payload)),
                _ => None,
            };
            seen.lock().unwrap().frames.push(frame);
            if echo.is_some_and(|bytes| stream.write_all(&bytes).is_err()) {
                return;
            }
        }
        let before = held.len();
        if !more(&mut stream, &mut held) {
            return;
        }
        seen.lock().unwrap().socket_bytes.extend(&held[before..]);
    }
}

pub fn read_head(stream: &mut TcpStream, held: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(at) = held.windows(4).position(|four| four == b"\r\n\r\n") {
            let head: Vec<u8> = held.drain(..at + 4).collect();
            return Some(head.iter().map(|byte| char::from(*byte)).collect());
        }
        if !more(stream, held) {
            return None;
        }
    }
}

pub fn more(stream: &mut TcpStream, held: &mut Vec<u8>) -> bool {
    let mut block = [0; 8192];
    match stream.read(&mut block) {
        Ok(read @ 1..) => {
            held.extend_from_slice(&block[..read]);
            true
        }
        _ => false,
    }
}
