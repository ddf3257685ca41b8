//! Client certificates. Envoy verifies the chain; here a certificate's name becomes a machine's.
//! `X-Forwarded-Client-Cert` is never read: whoever sends it is not whoever was verified.

use std::rc::Rc;

use crate::config::Config;
use crate::policy::hold::{CertificateName, Hold};
use crate::policy::principal::Identity;

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
}

/// Nobody: no certificate, no address.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPeer;

impl Peer for NoPeer {
    fn certificate(&self) -> Option<Certificate> {
        None
    }

    fn address(&self) -> Vec<u8> {
        Vec::new()
    }
}

/// The machine that a certificate is mapped to, if it is mapped.
#[must_use]
pub fn judge(certificate: &Certificate, config: &Config) -> Option<Identity> {
    let has = |name: &CertificateName| {
        let (own, wanted) = match name {
            CertificateName::Uri(wanted) => (&certificate.uri, wanted),
            CertificateName::Dns(wanted) => (&certificate.dns, wanted),
            CertificateName::Subject(wanted) => (&certificate.subject, wanted),
        };
        own.as_ref() == Some(wanted)
    };
    let mapped = config.machines.certificates.iter().find(|entry| has(&entry.shows))?;
    by_name(&mapped.shows, config)
}

/// The machine that a certificate with this name is mapped to.
#[must_use]
pub fn by_name(name: &CertificateName, config: &Config) -> Option<Identity> {
    let mapped = config.machines.certificates.iter().find(|entry| entry.shows == *name)?;
    let principal = Rc::clone(&mapped.principal);
    let hold = Hold::Certificate(name.clone());
    Some(Identity { principal, role: Some(mapped.role), until: None, hold })
}

impl Certificate {
    /// Whether a token that is bound to a certificate by `x5t#S256` (RFC 8705 §3.1) is bound to
    /// this one.
    #[must_use]
    pub fn has_thumbprint(&self, thumbprint: &str) -> bool {
        let own = self.sha256.as_deref().and_then(crate::config::hex::digest);
        own.is_some_and(|own| crate::crypto::to_base64url(&own) == thumbprint)
    }
}
