//! A certificate authority for this checkout and the two certificates that Envoy shows.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use time::{Duration, OffsetDateTime};

use crate::cache::short_key;
use crate::error::{Error, Result};
use crate::layout::{KEYCLOAK_HOST, Layout, PREFECT_HOST, make_dir, write_private};

const CA_LIFE: Duration = Duration::days(3650);
const LEAF_LIFE: Duration = Duration::days(90);
/// A certificate with less than this left is made anew.
const LEAF_RENEW: Duration = Duration::days(14);
/// Clocks of virtual machines may lag behind.
const BACKDATE: Duration = Duration::days(1);

/// A certificate file and its key.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// PEM certificate.
    pub certificate: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
}

/// The files of the PKI.
#[derive(Clone, Debug)]
pub struct Pki {
    /// The CA's certificate: what clients must trust.
    pub ca: PathBuf,
    /// For Prefect's name, `localhost` and the loopback addresses.
    pub prefect: Leaf,
    /// For Keycloak's name alone: a certificate with both names would let browsers reuse one
    /// HTTP/2 connection for both.
    pub keycloak: Leaf,
}

impl Pki {
    /// Opens the PKI of a stack; makes what is missing or about to expire. The CA stays, since
    /// people may have told their browser to trust it.
    ///
    /// # Errors
    /// A file can't be read or written, or a key is damaged.
    pub fn open(layout: &Layout) -> Result<Self> {
        let folder = layout.pki();
        make_dir(&folder)?;
        let ca = Authority::open(&folder)?;
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        Ok(Self {
            prefect: ca.leaf(&folder, "prefect", &[PREFECT_HOST, "localhost"], &loopback)?,
            keycloak: ca.leaf(&folder, "keycloak", &[KEYCLOAK_HOST], &[])?,
            ca: ca.certificate,
        })
    }
}

struct Authority {
    certificate: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn open(folder: &Path) -> Result<Self> {
        let certificate = folder.join("ca.pem");
        let key_file = folder.join("ca.key");
        if let (Ok(text), true) = (fs::read_to_string(&key_file), certificate.is_file()) {
            let key = KeyPair::from_pem(&text).map_err(|cause| {
                Error::new(format!("{} is no private key: {cause}", key_file.display()))
                    .remedy(format!("remove {} and trust the new CA", folder.display()))
            })?;
            // The name follows from the key, so the issuer can be rebuilt without parsing the
            // certificate.
            let params = ca_params(&key);
            return Ok(Self { certificate, issuer: Issuer::new(params, key) });
        }
        let key = KeyPair::generate().map_err(failed)?;
        let params = ca_params(&key);
        let made = params.self_signed(&key).map_err(failed)?;
        write_private(&key_file, key.serialize_pem().as_bytes())?;
        write_private(&certificate, made.pem().as_bytes())?;
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    fn leaf(&self, folder: &Path, name: &str, dns: &[&str], ips: &[IpAddr]) -> Result<Leaf> {
        let leaf = Leaf {
            certificate: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
        };
        let now = OffsetDateTime::now_utc();
        let note = folder.join(format!("{name}.expires"));
        let ca = fs::read(&self.certificate).unwrap_or_default();
        // Read back instead of the certificate: this file is all that we need of an X.509 parser.
        let made_for = format!("{} {}", short_key(&[&ca]), dns.join(" "));
        if leaf.certificate.is_file() && leaf.key.is_file() && still_good(&note, &made_for, now) {
            return Ok(leaf);
        }
        let expires = now + LEAF_LIFE;
        let mut params =
            CertificateParams::new(dns.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
                .map_err(failed)?;
        params.subject_alt_names.extend(ips.iter().map(|ip| SanType::IpAddress(*ip)));
        params.not_before = now - BACKDATE;
        params.not_after = expires;
        params.distinguished_name.push(DnType::CommonName, *dns.first().unwrap_or(&name));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(failed)?;
        let made = params.signed_by(&key, &self.issuer).map_err(failed)?;
        write_private(&leaf.key, key.serialize_pem().as_bytes())?;
        write_private(&leaf.certificate, made.pem().as_bytes())?;
        write_private(&note, format!("{} {made_for}", expires.unix_timestamp()).as_bytes())?;
        Ok(leaf)
    }
}

fn ca_params(key: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    let now = OffsetDateTime::now_utc();
    params.not_before = now - BACKDATE;
    params.not_after = now + CA_LIFE;
    // The key's digest in the name: two checkouts' CAs in one trust store stay apart.
    let id = short_key(&[key.public_key_raw()]);
    params.distinguished_name.push(DnType::CommonName, format!("Lictor local CA {id}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // People import this CA into their browser, and its key lies in a checkout: it must not be
    // good for any name but loopback ones.
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![
            GeneralSubtree::DnsName("localhost".to_owned()),
            GeneralSubtree::IpAddress(CidrSubnet::V4([127, 0, 0, 0], [255, 0, 0, 0])),
            GeneralSubtree::IpAddress(CidrSubnet::V6(Ipv6Addr::LOCALHOST.octets(), [255; 16])),
        ],
        excluded_subtrees: Vec::new(),
    });
    params
}

fn still_good(note: &Path, made_for: &str, now: OffsetDateTime) -> bool {
    let text = fs::read_to_string(note).unwrap_or_default();
    let Some((expires, seen)) = text.split_once(' ') else { return false };
    let renew_at = (now + LEAF_RENEW).unix_timestamp();
    seen == made_for && expires.parse().is_ok_and(|expires: i64| expires > renew_at)
}

fn failed(cause: rcgen::Error) -> Error {
    Error::new(format!("cannot make a certificate: {cause}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::ports::Ports;

    #[test]
    fn the_ca_stays_and_expiring_leaves_are_renewed() {
        let state = std::env::temp_dir().join(format!("lictor-pki-{}", std::process::id()));
        let layout = Layout::new(Path::new("/"), &state, Ports::default()).unwrap();
        let first = Pki::open(&layout).unwrap();
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        let (ca, leaf) = (read(&first.ca), read(&first.prefect.certificate));
        let again = Pki::open(&layout).unwrap();
        assert_eq!((read(&again.ca), read(&again.prefect.certificate)), (ca.clone(), leaf.clone()));

        let note = layout.pki().join("prefect.expires");
        let text = read(&note);
        let (_, made_for) = text.split_once(' ').unwrap();
        let soon = (OffsetDateTime::now_utc() + Duration::days(3)).unix_timestamp();
        fs::write(&note, format!("{soon} {made_for}")).unwrap();
        let renewed = Pki::open(&layout).unwrap();
        assert_eq!(read(&renewed.ca), ca);
        assert_ne!(read(&renewed.prefect.certificate), leaf);

        for key in ["ca.key", "prefect.key", "keycloak.key"] {
            let mode = fs::metadata(layout.pki().join(key)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{key}");
        }
        fs::remove_dir_all(&state).unwrap();
    }
}
