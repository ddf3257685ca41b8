//! The loopback ports of a stack, and the question whether they are free.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Every port a stack listens on. Only `https` is meant for people; all are bound to loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// Envoy's public listener.
    pub https: u16,
    /// Keycloak, plain HTTP.
    pub keycloak: u16,
    /// Keycloak's management port (health).
    pub keycloak_management: u16,
    /// Prefect Server, plain HTTP.
    pub prefect: u16,
    /// Envoy's admin interface.
    pub envoy_admin: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            https: 8443,
            keycloak: 18080,
            keycloak_management: 18090,
            prefect: 14200,
            envoy_admin: 19901,
        }
    }
}

impl Ports {
    /// The defaults, each replaced by its `LICTOR_PORT_*` variable where `lookup` knows one.
    ///
    /// # Errors
    /// A value that is no port number, or the same number twice.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut ports = Self::default();
        for (name, port) in ports.named_mut() {
            let variable = variable(name);
            let Some(text) = lookup(&variable) else { continue };
            *port = text.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
                Error::new(format!("{variable} is {text:?}")).wanted("a port, 1 to 65535")
            })?;
        }
        let named = ports.named();
        for (index, (name, port)) in named.iter().enumerate() {
            if let Some((other, _)) = named.iter().skip(index + 1).find(|(_, p)| p == port) {
                return Err(Error::new(format!("port {port} is given to both {name} and {other}"))
                    .wanted("a port of its own for each")
                    .remedy(format!("change {} or {}", variable(name), variable(other))));
            }
        }
        Ok(ports)
    }

    /// Ports that nobody listens on right now: for a second stack in a test.
    ///
    /// # Errors
    /// The system has none to give.
    pub fn unused() -> Result<Self> {
        let mut ports = Self::default();
        let numbers = unused::<5>()?;
        for ((_, port), number) in ports.named_mut().into_iter().zip(numbers) {
            *port = number;
        }
        Ok(ports)
    }

    fn named(&self) -> [(&'static str, u16); 5] {
        [
            ("https", self.https),
            ("keycloak", self.keycloak),
            ("keycloak_management", self.keycloak_management),
            ("prefect", self.prefect),
            ("envoy_admin", self.envoy_admin),
        ]
    }

    fn named_mut(&mut self) -> [(&'static str, &mut u16); 5] {
        [
            ("https", &mut self.https),
            ("keycloak", &mut self.keycloak),
            ("keycloak_management", &mut self.keycloak_management),
            ("prefect", &mut self.prefect),
            ("envoy_admin", &mut self.envoy_admin),
        ]
    }

    /// Fails with one sentence if a port of this name is taken by somebody else.
    ///
    /// # Errors
    /// The port is in use, or may not be bound.
    pub fn require_free(port: u16, name: &str) -> Result<()> {
        // Without IPv6 the second address can't be bound by anybody, so only "in use" counts there.
        let v4 = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).err();
        let v6 = TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port)))
            .err()
            .filter(|cause| cause.kind() == std::io::ErrorKind::AddrInUse);
        match v4.or(v6) {
            None => Ok(()),
            Some(cause) => Err(Error::new(format!("port {port} ({name}) cannot be used: {cause}"))
                .wanted("a free port on the loopback address")
                .remedy(format!(
                    "stop what listens there, or choose another with {}=<port>",
                    variable(name)
                ))),
        }
    }
}

/// Loopback ports that nobody listens on right now, and that this process has not given out before.
///
/// They are below the range from which the system takes the ports of outgoing connections (Linux:
/// `ip_local_port_range`, from 32768): none of those can take a port before its part listens on it.
///
/// # Errors
/// The system has none to give.
pub fn unused<const N: usize>() -> Result<[u16; N]> {
    /// How many were looked at. Whatever runs beside this process begins elsewhere.
    static LOOKED_AT: OnceLock<AtomicU16> = OnceLock::new();
    let looked_at = LOOKED_AT.get_or_init(|| AtomicU16::new(random_u16()));
    let mut ports = [0; N];
    for port in &mut ports {
        let mut candidates = (0..UNUSED.len()).map(|_| {
            let number = usize::from(looked_at.fetch_add(1, Ordering::Relaxed));
            UNUSED.start + u16::try_from(number % UNUSED.len()).unwrap_or_default()
        });
        *port = candidates
            .find(|number| TcpListener::bind((Ipv4Addr::LOCALHOST, *number)).is_ok())
            .ok_or_else(|| Error::new(format!("no free port in {UNUSED:?}")))?;
    }
    Ok(ports)
}

/// Where [`unused`] looks.
const UNUSED: Range<u16> = 20_000..32_000;

fn random_u16() -> u16 {
    let mut bytes = [0; 2];
    // Without randomness every process begins at the same port: slower, not wrong.
    let _same = getrandom::fill(&mut bytes);
    u16::from_le_bytes(bytes)
}

/// Whether this machine has the IPv6 loopback address.
#[must_use]
pub fn has_ipv6_loopback() -> bool {
    TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, 0))).is_ok()
}

fn variable(name: &str) -> String {
    format!("LICTOR_PORT_{}", name.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn from(values: &[(&str, &str)]) -> Result<Ports> {
        Ports::from_lookup(|name| {
            values.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_variable_replaces_one_port() {
        let ports = from(&[("LICTOR_PORT_HTTPS", "9443")]).unwrap();
        assert_eq!(ports, Ports { https: 9443, ..Ports::default() });
    }

    #[test]
    fn nonsense_and_doubles_are_refused_by_name() {
        for text in ["", "0", "70000", "https"] {
            let error = from(&[("LICTOR_PORT_PREFECT", text)]).unwrap_err().to_string();
            assert!(error.contains("LICTOR_PORT_PREFECT"), "{error}");
        }
        let error = from(&[("LICTOR_PORT_PREFECT", "18080")]).unwrap_err().to_string();
        assert!(error.contains("both keycloak and prefect"), "{error}");
    }

    #[test]
    fn unused_ports_are_free_and_not_given_out_twice() {
        let ports: HashSet<u16> = (0..100).flat_map(|_| unused::<3>().unwrap()).collect();
        assert_eq!(ports.len(), 300);
        for port in ports {
            assert!(UNUSED.contains(&port));
            Ports::require_free(port, "prefect").unwrap();
        }
    }

    #[test]
    fn a_port_in_use_is_named() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = Ports::require_free(port, "prefect").unwrap_err().to_string();
        assert!(error.contains(&port.to_string()) && error.contains("LICTOR_PORT_PREFECT"));
    }
}
