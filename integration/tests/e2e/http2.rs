//! One HTTP/2 request, frame by frame (RFC 9113), for what no ordinary client sends or shows.

use std::io::{self, Read, Write};

use crate::client::Tls;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A connection that has begun to speak HTTP/2.
pub struct Http2(Tls);

impl Http2 {
    pub fn begin(mut connection: Tls) -> io::Result<Self> {
        connection.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
        let mut own = Self(connection);
        own.frame(SETTINGS, 0, 0, &[])?;
        Ok(own)
    }

    /// Headers, a body, and trailers that end the stream.
    pub fn send(
        &mut self,
        head: &[(&str, &str)],
        body: &[u8],
        trailers: &[(&str, &str)],
    ) -> io::Result<()> {
        self.frame(HEADERS, END_HEADERS, 1, &fields(head))?;
        self.frame(DATA, 0, 1, body)?;
        self.frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields(trailers))?;
        self.0.flush()
    }

    /// Sends headers and a whole body, and reads the answer to its end: status and body.
    ///
    /// # Errors
    /// When the stream is reset, or the connection fails.
    pub fn ask(&mut self, head: &[(&str, &str)], body: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        self.frame(HEADERS, END_HEADERS, 1, &fields(head))?;
        self.frame(DATA, END_STREAM, 1, body)?;
        self.0.flush()?;
        let (mut status, mut answer) = (0, Vec::new());
        loop {
            let (kind, flags, payload) = self.read()?;
            match kind {
                HEADERS => status = status_of(&payload),
                DATA if !payload.is_empty() => {
                    let more = u32::try_from(payload.len()).unwrap().to_be_bytes();
                    self.frame(WINDOW_UPDATE, 0, 0, &more)?;
                    self.frame(WINDOW_UPDATE, 0, 1, &more)?;
                    answer.extend(payload);
                }
                RST_STREAM => {
                    return Err(io::Error::other(format!("reset after {} bytes", answer.len())));
                }
                _ => {}
            }
            if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
                return Ok((status, answer));
            }
        }
    }

    /// The status of the answer.
    pub fn status(&mut self) -> io::Result<u16> {
        loop {
            if let (HEADERS, _, payload) = self.read()? {
                return Ok(status_of(&payload));
            }
        }
    }

    /// The next frame: its kind, its flags and its payload.
    fn read(&mut self) -> io::Result<(u8, u8, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload)?;
        Ok((head[3], head[4], payload))
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.0.write_all(&[head.as_slice(), payload].concat())
    }
}

/// The status, with which an answer's headers begin: one of the static table (RFC 7541, appendix A), or
/// three digits, of which Envoy writes the shorter of plain text and Huffman code.
fn status_of(headers: &[u8]) -> u16 {
    let digits = |digits: &[u8]| digits.iter().fold(0, |all, digit| all * 10 + u16::from(*digit));
    match headers {
        [0x88, ..] => 200,
        [0x8c, ..] => 400,
        [0x8d, ..] => 404,
        [0x8e, ..] => 500,
        [0x48, 3, text @ ..] => digits(&text[..3].iter().map(|c| c - b'0').collect::<Vec<_>>()),
        [0x48, 0x82, code @ ..] => digits(&huffman(&code[..2])),
        other => panic!("no status in {:?}", &other[..other.len().min(8)]),
    }
}

/// Three digits in the Huffman code of RFC 7541, appendix B.
fn huffman(code: &[u8]) -> Vec<u8> {
    let mut bits = code.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1));
    let mut number = |count: usize| bits.by_ref().take(count).fold(0_u8, |all, bit| all << 1 | bit);
    let mut digit = || match number(5) {
        digit @ 0..=2 => digit,
        // The other digits have six bits, from 011001 on.
        long => (long << 1 | number(1)) - 0b01_1001 + 3,
    };
    vec![digit(), digit(), digit()]
}

/// Literals without indexing, nothing compressed (RFC 7541 §6.2.2).
fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            // Longer ones would need more than one byte for their length.
            assert!(text.len() < 127);
            bytes.push(u8::try_from(text.len()).unwrap());
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}
