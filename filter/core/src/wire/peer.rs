//! The client's end of a connection: its address and its certificate, as Envoy knows them.

/// What Envoy says of the certificate that it has verified on this connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// The first URI among its alternative names.
    pub uri: Option<String>,
    /// The first DNS name among them.
    pub dns: Option<String>,
    /// Its subject, as RFC 2253 writes it.
    pub subject: Option<String>,
    /// SHA-256 of its DER, 64 hexadecimal digits.
    pub sha256: Option<String>,
}

/// The other end of a request's connection; asked only when it matters, since each question is a call
/// of the host's.
pub trait Peer {
    /// Its certificate, if it has shown one that Envoy verified.
    fn certificate(&self) -> Option<Certificate>;
    /// Its address without the port, as Envoy determined it; empty when unknown.
    fn address(&self) -> Vec<u8>;
    /// Whether the request came by HTTP/2.
    fn is_http2(&self) -> bool;
}

/// Nobody: no certificate, no address.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NoPeer;

impl Peer for NoPeer {
    fn certificate(&self) -> Option<Certificate> {
        None
    }

    fn address(&self) -> Vec<u8> {
        Vec::new()
    }

    fn is_http2(&self) -> bool {
        false
    }
}

impl Certificate {
    /// Whether a token that is bound to a certificate by `x5t#S256` (RFC 8705 §3.1) is bound to
    /// this one.
    #[must_use]
    pub(crate) fn has_thumbprint(&self, thumbprint: &str) -> bool {
        let own = self.sha256.as_deref().and_then(crate::foundation::hex::digest);
        own.is_some_and(|own| crate::foundation::crypto::to_base64url(&own) == thumbprint)
    }
}
