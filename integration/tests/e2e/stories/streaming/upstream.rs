//! A Prefect that holds back its answers, and counts: only for what the real one can't be made to
//! do.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ring::digest::{Context, SHA256};

use crate::recorder::{more, read_head};
use crate::tcp_server;
use crate::world::eventually;

/// A download begins with this.
pub const FIRST: &str = "timestamp,level,flow_run_id,task_run_id,message\r\n";
/// And goes on with this much, once it may: far more than all buffers on the way hold.
pub const REST: usize = 128 * 1024 * 1024;
const PIECE: usize = 64 * 1024;

/// A running one. Its threads end with the process.
pub struct Upstream {
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    may_go_on: AtomicBool,
    sent: AtomicUsize,
    received: AtomicUsize,
    bodies: Mutex<Vec<Vec<u8>>>,
    instead: Mutex<Option<String>>,
}

impl Upstream {
    pub fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        let port = tcp_server::serve(move |stream| serve(stream, &serving));
        Self { port, shared }
    }

    /// Whether the rest of a download is sent; what was sent of it is counted anew.
    pub fn go_on(&self, may: bool) {
        self.shared.sent.store(0, Ordering::SeqCst);
        self.shared.may_go_on.store(may, Ordering::SeqCst);
    }

    /// How much of the rest has gone out.
    pub fn sent(&self) -> usize {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// How many bytes of bodies have come in.
    pub fn received(&self) -> usize {
        self.shared.received.load(Ordering::SeqCst)
    }

    /// SHA-256 of each whole body that came in.
    pub fn bodies(&self) -> Vec<Vec<u8>> {
        self.shared.bodies.lock().unwrap().clone()
    }

    /// From now on everything is answered with these bytes.
    pub fn say(&self, answer: &str) {
        *self.shared.instead.lock().unwrap() = Some(answer.to_owned());
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) {
    let mut held = Vec::new();
    while let Some(head) = read_head(&mut stream, &mut held) {
        let lower = head.to_ascii_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length = length.and_then(|value| value.trim().parse().ok()).unwrap_or(0);
        if !read_body(&mut stream, &mut held, length, shared) {
            return;
        }
        let instead = shared.instead.lock().unwrap().clone();
        let whole = match instead {
            Some(answer) => stream.write_all(answer.as_bytes()).is_ok(),
            None if head.contains("/logs/download") => download(&mut stream, shared),
            None => stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n").is_ok(),
        };
        if !whole {
            return;
        }
    }
}

fn read_body(stream: &mut TcpStream, held: &mut Vec<u8>, mut left: usize, shared: &Shared) -> bool {
    if left == 0 {
        return true;
    }
    let mut hash = Context::new(&SHA256);
    while left > 0 {
        if held.is_empty() && !more(stream, held) {
            return false;
        }
        let part: Vec<u8> = held.drain(..left.min(held.len())).collect();
        hash.update(&part);
        shared.received.fetch_add(part.len(), Ordering::SeqCst);
        left -= part.len();
    }
    shared.bodies.lock().unwrap().push(hash.finish().as_ref().to_vec());
    true
}

/// As Prefect sends the lines of a run: in chunks, without a length.
fn download(stream: &mut TcpStream, shared: &Shared) -> bool {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/csv; charset=utf-8\r\n\
                transfer-encoding: chunked\r\n\r\n";
    if stream.write_all(&[head.as_bytes(), &chunk(FIRST.as_bytes())].concat()).is_err() {
        return false;
    }
    eventually("the rest may be sent", Duration::from_secs(60), || {
        shared.may_go_on.load(Ordering::SeqCst).then_some(())
    });
    let piece = chunk(&[b'x'; PIECE]);
    for _ in 0..REST / PIECE {
        if stream.write_all(&piece).is_err() {
            return false;
        }
        shared.sent.fetch_add(PIECE, Ordering::SeqCst);
    }
    stream.write_all(&chunk(b"")).is_ok()
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}
