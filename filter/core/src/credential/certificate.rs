//! Client certificates, whose names the configuration maps to machines.
//!
//! Envoy verifies the certificate chain. `X-Forwarded-Client-Cert` is never read, because any
//! client can send this header.

use std::rc::Rc;

use crate::config::Config;
use crate::identity::credential_ref::{CertificateName, CredentialRef};
use crate::identity::principal::Identity;
use crate::wire::peer::Certificate;

/// Returns the machine to which the configuration maps a certificate, if it does.
#[must_use]
pub(crate) fn identify(certificate: &Certificate, config: &Config) -> Option<Identity> {
    let has = |name: &CertificateName| {
        let (present, wanted) = match name {
            CertificateName::Uri(wanted) => (&certificate.uri, wanted),
            CertificateName::Dns(wanted) => (&certificate.dns, wanted),
            CertificateName::Subject(wanted) => (&certificate.subject, wanted),
        };
        present.as_ref() == Some(wanted)
    };
    let mapped = config.machines.certificates.iter().find(|entry| has(&entry.shows))?;
    by_name(&mapped.shows, config)
}

/// Returns the machine to which the configuration maps certificates with a name.
#[must_use]
pub(crate) fn by_name(name: &CertificateName, config: &Config) -> Option<Identity> {
    let mapped = config.machines.certificates.iter().find(|entry| entry.shows == *name)?;
    let principal = Rc::clone(&mapped.principal);
    let credential = CredentialRef::Certificate(name.clone());
    Some(Identity { principal, role: Some(mapped.role), until: None, credential })
}
