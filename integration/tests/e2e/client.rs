//! A client that sends what it is told, byte for byte, over TLS with the stack's own CA.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lictor_integration::layout::{KEYCLOAK_HOST, PREFECT_HOST};
use rustix::net::{AddressFamily, SocketType, bind, socket};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::http1::{Answer, exchange};

/// A connection to Envoy.
pub type Tls = StreamOwned<ClientConnection, TcpStream>;

/// A certificate chain and its key.
pub type Certified = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Longer than anything takes that works.
const TIMEOUT: Duration = Duration::from_secs(90);

/// The public side of one Envoy.
#[derive(Clone)]
pub struct Gate {
    tls: Arc<ClientConfig>,
    /// The port in its public names.
    pub port: u16,
    /// Where it is: another port if this is one of several behind one name.
    entrance: u16,
    /// The address that it comes from.
    source: Ipv4Addr,
}

impl Gate {
    pub fn new(ca: &Path, port: u16) -> Self {
        Self::with(ca, port, None)
    }

    /// One that shows a certificate of its own.
    pub fn showing(ca: &Path, port: u16, own: Certified) -> Self {
        Self::with(ca, port, Some(own))
    }

    fn with(ca: &Path, port: u16, own: Option<Certified>) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&fs::read(ca).unwrap()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match own {
            Some((chain, key)) => config.with_client_auth_cert(chain, key).unwrap(),
            None => config.with_no_client_auth(),
        };
        Self { tls: Arc::new(config), port, entrance: port, source: Ipv4Addr::LOCALHOST }
    }

    /// The same from another address of this computer's own.
    pub fn from(&self, last: u8) -> Self {
        Self { source: Ipv4Addr::new(127, 0, 0, last), ..self.clone() }
    }

    /// One of several Envoys behind these public names, past whatever shares them out.
    pub fn replica(&self, entrance: u16) -> Self {
        Self { entrance, ..self.clone() }
    }

    /// The same by HTTP/2.
    pub fn http2(&self) -> Self {
        let mut tls = ClientConfig::clone(&self.tls);
        tls.alpn_protocols = vec![b"h2".to_vec()];
        Self { tls: Arc::new(tls), ..self.clone() }
    }

    pub fn public_host(&self) -> String {
        format!("{PREFECT_HOST}:{}", self.port)
    }

    pub fn machine_host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    pub fn keycloak_host(&self) -> String {
        format!("{KEYCLOAK_HOST}:{}", self.port)
    }

    pub fn origin(&self) -> String {
        format!("https://{}", self.public_host())
    }

    /// A fresh connection whose handshake is for this name.
    pub fn connect(&self, sni: &str) -> io::Result<Tls> {
        let name = ServerName::try_from(sni.to_owned()).map_err(io::Error::other)?;
        let session =
            ClientConnection::new(Arc::clone(&self.tls), name).map_err(io::Error::other)?;
        Ok(StreamOwned::new(session, connect_from(self.source, self.entrance)?))
    }

    /// Sends a request on a connection of its own.
    pub fn try_send(&self, request: &Request) -> io::Result<Answer> {
        let mut stream = self.connect(&request.sni)?;
        exchange(&mut stream, &request.bytes(&self.public_host()), request.method == "HEAD")
    }

    #[track_caller]
    pub fn send(&self, request: &Request) -> Answer {
        self.try_send(request).unwrap_or_else(|cause| panic!("no answer ({cause}) to {request:?}"))
    }

    /// Asks for Prefect's version with an access token.
    #[track_caller]
    pub fn version_by(&self, token: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        self.send(&Request::get("/api/admin/version").header("authorization", bearer))
    }

    #[track_caller]
    pub fn get(&self, target: &str) -> Answer {
        self.send(&Request::get(target))
    }
}

/// A plain connection to a loopback port.
pub fn connect(port: u16) -> io::Result<TcpStream> {
    connect_from(Ipv4Addr::LOCALHOST, port)
}

fn connect_from(source: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = if source == Ipv4Addr::LOCALHOST {
        TcpStream::connect_timeout(&address, TIMEOUT)?
    } else {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        bind(&socket, &SocketAddr::from((source, 0)))?;
        rustix::net::connect(&socket, &address)?;
        TcpStream::from(socket)
    };
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A plain HTTP exchange with a loopback port: Keycloak's inside, Envoy's admin, a web driver.
pub fn plain(port: u16, request: &Request) -> io::Result<Answer> {
    let host = format!("127.0.0.1:{port}");
    exchange(&mut connect(port)?, &request.bytes(&host), request.method == "HEAD")
}

/// A request as it will be written.
#[derive(Clone)]
pub struct Request {
    pub method: String,
    pub target: Vec<u8>,
    /// `None`: the default of whoever sends it.
    pub host: Option<Vec<u8>>,
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Vec<u8>,
    pub sni: String,
}

/// As text: bytes that are none show as escapes.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`", self.bytes("the default").escape_ascii())
    }
}

impl Request {
    pub fn new(method: &str, target: impl AsRef<[u8]>) -> Self {
        Self {
            method: method.to_owned(),
            target: target.as_ref().to_vec(),
            host: None,
            headers: Vec::new(),
            body: Vec::new(),
            sni: PREFECT_HOST.to_owned(),
        }
    }

    pub fn get(target: impl AsRef<[u8]>) -> Self {
        Self::new("GET", target)
    }

    pub fn post(target: impl AsRef<[u8]>, body: &str) -> Self {
        Self::new("POST", target).json_body(body)
    }

    pub fn json_body(self, body: &str) -> Self {
        self.body("application/json", body)
    }

    pub fn form(self, body: &str) -> Self {
        self.body("application/x-www-form-urlencoded", body)
    }

    fn body(mut self, kind: &str, body: &str) -> Self {
        self.body = body.as_bytes().to_vec();
        self.header("content-type", kind)
    }

    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    pub fn headers(self, lines: &[(&str, &str)]) -> Self {
        lines.iter().fold(self, |request, (name, value)| request.header(name, value))
    }

    pub fn host(mut self, host: impl AsRef<[u8]>) -> Self {
        self.host = Some(host.as_ref().to_vec());
        self
    }

    pub fn sni(mut self, sni: &str) -> Self {
        self.sni = sni.to_owned();
        self
    }

    /// As a browser asks for a page that the person typed in.
    pub fn navigation(self) -> Self {
        self.navigation_from("none")
    }

    /// As a browser asks for a page, led there by a site.
    pub fn navigation_from(self, site: &str) -> Self {
        self.headers(&[
            ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
            ("sec-fetch-site", site),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ])
    }

    /// As a script of our own pages asks.
    pub fn fetch(self) -> Self {
        self.headers(&[
            ("accept", "application/json"),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-dest", "empty"),
        ])
    }

    pub fn bytes(&self, default_host: &str) -> Vec<u8> {
        let mut bytes = [self.method.as_bytes(), b" ", &self.target, b" HTTP/1.1\r\n"].concat();
        let mut line = |name: &[u8], value: &[u8]| {
            bytes.extend([name, b": ", value, b"\r\n"].concat());
        };
        line(b"host", self.host.as_deref().unwrap_or(default_host.as_bytes()));
        for (name, value) in &self.headers {
            line(name, value);
        }
        let own_length = self.headers.iter().any(|(name, _)| name == b"content-length");
        if !own_length
            && (!self.body.is_empty() || matches!(self.method.as_str(), "POST" | "PUT" | "PATCH"))
        {
            line(b"content-length", self.body.len().to_string().as_bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes
    }
}
