//! The network of a client address, for limits that apply to each client.

/// Returns the network that a limit treats as one client: an IPv4 address or an IPv6 /64.
///
/// One IPv6 subscriber usually has a whole /64. An IPv4-mapped IPv6 address is its IPv4 address.
/// Input that is not an IPv6 address is returned unchanged.
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
