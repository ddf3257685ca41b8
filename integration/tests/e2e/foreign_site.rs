//! A web site that is not ours: what it shows is what the test says.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::tcp_server;
use crate::world::world;

/// Another site altogether: no cookie of ours that is `SameSite` goes with what it posts.
pub const OTHER: &str = "evil.localhost";
/// Another host of our own site, by a takeover of some forgotten name: cookies go with what it
/// posts, since `SameSite` does not tell it from us.
pub const SIBLING: &str = "evil.prefect.localhost";

/// A connection that asks for nothing does not keep the site from others for longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves one page over TLS, whatever is asked for; its thread ends with the process. Gives the
/// port.
pub fn serve(page: impl Into<String>) -> u16 {
    let page = page.into();
    let tls = tls();
    // Browsers drop connections as they like.
    tcp_server::serve(move |stream| drop(answer(stream, Arc::clone(&tls), &page)))
}

/// Our own certificate: the browser of the tests takes any.
fn tls() -> Arc<ServerConfig> {
    let own = &world().pki.prefect;
    let chain = CertificateDer::pem_file_iter(&own.certificate).unwrap();
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(&own.key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    Arc::new(config)
}

fn answer(stream: TcpStream, tls: Arc<ServerConfig>, page: &str) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let session = ServerConnection::new(tls).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(session, stream);
    // A browser's request for a page comes in one piece.
    let _request = stream.read(&mut [0; 8192])?;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        page.len()
    );
    stream.write_all(format!("{head}{page}").as_bytes())?;
    stream.conn.send_close_notify();
    stream.flush()
}
