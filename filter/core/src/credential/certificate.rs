//! Client certificates. Envoy verifies the chain; here a certificate's name becomes a machine's.
//! `X-Forwarded-Client-Cert` is never read: whoever sends it is not whoever was verified.

use std::rc::Rc;

use crate::config::Config;
use crate::identity::credential_ref::{CertificateName, CredentialRef};
use crate::identity::principal::Identity;
use crate::wire::peer::Certificate;

/// The machine that a certificate is mapped to, if it is mapped.
#[must_use]
pub(crate) fn identify(certificate: &Certificate, config: &Config) -> Option<Identity> {
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
pub(crate) fn by_name(name: &CertificateName, config: &Config) -> Option<Identity> {
    let mapped = config.machines.certificates.iter().find(|entry| entry.shows == *name)?;
    let principal = Rc::clone(&mapped.principal);
    let hold = CredentialRef::Certificate(name.clone());
    Some(Identity { principal, role: Some(mapped.role), until: None, hold })
}
