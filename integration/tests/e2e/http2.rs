//! One HTTP/2 request, frame by frame (RFC 9113), for what no ordinary client sends.

use std::io::{self, Read, Write};

use crate::client::Tls;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
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

    /// How the answer's headers begin: Envoy writes a status of the static table as one byte.
    pub fn status(&mut self) -> io::Result<u16> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head)?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload)?;
            if head[3] == HEADERS {
                // RFC 7541, appendix A.
                return Ok(match payload[0] {
                    0x88 => 200,
                    0x8c => 400,
                    0x8d => 404,
                    0x8e => 500,
                    other => u16::from(other),
                });
            }
        }
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.0.write_all(&[head.as_slice(), payload].concat())
    }
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
