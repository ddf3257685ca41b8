//! The network that a client address belongs to.

/// What counts as one client: an IPv4 address, an IPv6 /64 (which is one subscriber's).
#[must_use]
pub(crate) fn network(address: &[u8]) -> Vec<u8> {
    let text = core::str::from_utf8(address).unwrap_or_default();
    let text = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    match text.parse::<core::net::Ipv6Addr>() {
        Ok(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.to_string().into_bytes(),
            None => v6.octets().iter().take(8).copied().collect(),
        },
        Err(_) => address.to_vec(),
    }
}
