//! One GET over loopback, plain or TLS with our CA: all that a readiness check needs. The address
//! is given apart from the name, because the system's resolver does not know `*.localhost`.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::error::{Error, Result};

const TIMEOUT: Duration = Duration::from_secs(5);
/// More than any answer that is asked for here; a stream that never ends is cut.
const MAX_ANSWER: u64 = 1 << 20;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Everything after the head, as it came (chunked coding is not undone).
    pub body: String,
}

/// Gets a path over plain HTTP from a loopback port.
///
/// # Errors
/// No connection, or no HTTP.
pub fn get(port: u16, path: &str, headers: &[(&str, &str)]) -> io::Result<Answer> {
    exchange(connect(port)?, &format!("127.0.0.1:{port}"), path, headers)
}

/// A client that trusts one CA.
#[derive(Clone, Debug)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
}

impl TlsClient {
    /// Trusts the CA of this PEM file and nothing else.
    ///
    /// # Errors
    /// The file can't be read or holds no certificate.
    pub fn trusting(ca: &Path) -> Result<Self> {
        let pem = fs::read(ca).map_err(|cause| Error::file("read", ca, &cause))?;
        let unusable = || Error::new(format!("{} holds no usable certificate", ca.display()));
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots.add(certificate.map_err(|_| unusable())?).map_err(|_| unusable())?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|cause| Error::new(format!("TLS: {cause}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config) })
    }

    /// Gets a path over TLS from a loopback port, asking for `name` (SNI and `Host`).
    ///
    /// # Errors
    /// No connection, a certificate that does not fit, or no HTTP.
    pub fn get(&self, port: u16, name: &str, path: &str) -> io::Result<Answer> {
        let server = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let session =
            ClientConnection::new(Arc::clone(&self.config), server).map_err(io::Error::other)?;
        let stream = StreamOwned::new(session, connect(port)?);
        exchange(stream, &format!("{name}:{port}"), path, &[])
    }
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let stream =
        TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

fn exchange(
    mut stream: impl Read + Write,
    host: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> io::Result<Answer> {
    let mut request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes())?;
    let mut stream = stream.take(MAX_ANSWER);
    let mut answer = Vec::new();
    let mut block = [0; 8192];
    // Not until the end of the stream: Envoy keeps it open for a second after its last answer.
    while !is_complete(&answer) {
        match stream.read(&mut block) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(block.get(..read).unwrap_or_default()),
            // A server may close without TLS's goodbye: what has come counts if it is a whole head.
            Err(cause) if parse(&answer).is_none() => return Err(cause),
            Err(_) => break,
        }
    }
    parse(&answer)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP"))
}

/// Whether everything that the head announced has come.
fn is_complete(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let head = head.to_ascii_lowercase();
    let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
    match value("content-length:").and_then(|length| length.trim().parse().ok()) {
        Some(length) => body.len() >= length,
        None => value("transfer-encoding:").is_some() && body.ends_with("0\r\n\r\n"),
    }
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut words = head.split_ascii_whitespace();
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    Some(Answer { status: words.next()?.parse().ok()?, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_needs_a_whole_head() {
        let answer = parse(b"HTTP/1.1 200 OK\r\na: b\r\n\r\n\"3.8.8\"").unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "\"3.8.8\""));
        assert!(is_complete(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
        assert!(!is_complete(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok"));
        assert!(parse(b"HTTP/1.1 200 OK\r\na: b\r\n").is_none());
        assert!(parse(b"SSH-2.0-OpenSSH\r\n\r\n").is_none());
    }
}
