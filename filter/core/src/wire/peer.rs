//! What Envoy reports of a request beside its headers: the client's address and certificate, and
//! who made the response.

/// The client certificate of a connection, as verified by Envoy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// The first URI among the subject alternative names.
    pub uri: Option<String>,
    /// The first DNS name among the subject alternative names.
    pub dns: Option<String>,
    /// The subject, in the string form of RFC 2253.
    pub subject: Option<String>,
    /// The SHA-256 hash of the DER form, as 64 hexadecimal digits.
    pub sha256: Option<String>,
}

/// What Envoy knows of a request's connection and response.
///
/// Each method calls the host, so it is called only when the result matters.
pub trait Peer {
    /// Returns the client certificate, if the client has shown one that Envoy verified.
    fn certificate(&self) -> Option<Certificate>;
    /// Returns the client address without port, as determined by Envoy; empty if unknown.
    fn address(&self) -> Vec<u8>;
    /// Returns whether the request came over HTTP/2.
    fn is_http2(&self) -> bool;
    /// Returns whether the response is Envoy's own, because the upstream gave none.
    fn is_answered_by_envoy(&self) -> bool;
}

/// A peer without a certificate and without an address.
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

    fn is_answered_by_envoy(&self) -> bool {
        false
    }
}

impl Certificate {
    /// Returns whether a token with this `x5t#S256` (RFC 8705 §3.1) is bound to this certificate.
    #[must_use]
    pub(crate) fn has_thumbprint(&self, thumbprint: &str) -> bool {
        let digest = self.sha256.as_deref().and_then(crate::foundation::hex::digest);
        digest.is_some_and(|bytes| crate::foundation::crypto::to_base64url(&bytes) == thumbprint)
    }
}
