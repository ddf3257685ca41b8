//! Sockets whose client has not been judged yet: the one thing that reaches Prefect without a
//! credential, hence bounded, by worker and by client address, and in time.

use crate::limits::{FIRST_FRAME_WAIT, PENDING_SOCKETS, PENDING_SOCKETS_PER_ADDRESS};
use crate::stream::StreamId;
use crate::time::UnixTime;

/// The pending sockets of a worker.
#[derive(Default)]
pub struct Pending(Vec<(StreamId, Vec<u8>, UnixTime)>);

/// A place among them, taken by [`Pending::take`]; there is no other way to one.
#[derive(Debug)]
pub struct Slot(());

impl Pending {
    /// Takes a place until the first frame has been judged.
    pub fn take(&mut self, stream: StreamId, address: &[u8], now: UnixTime) -> Option<Slot> {
        let address = network(address);
        let of_address = self.0.iter().filter(|(_, a, _)| *a == address).count();
        if self.0.len() >= PENDING_SOCKETS || of_address >= PENDING_SOCKETS_PER_ADDRESS {
            return None;
        }
        self.0.push((stream, address, now));
        Some(Slot(()))
    }

    /// Its first frame is there, and the provider is being asked about it: that takes its own time.
    pub fn has_spoken(&mut self, stream: StreamId, now: UnixTime) {
        for (own, _, since) in &mut self.0 {
            if *own == stream {
                *since = now;
            }
        }
    }

    /// Gives the place back: judged, or gone.
    pub fn release(&mut self, stream: StreamId) {
        self.0.retain(|(own, _, _)| *own != stream);
    }

    /// Those that stayed silent too long; their places are free at once.
    pub fn expire(&mut self, now: UnixTime) -> Vec<StreamId> {
        let silent = |(_, _, since): &(_, _, UnixTime)| now.is_over(*since, FIRST_FRAME_WAIT);
        self.0.extract_if(.., |socket| silent(socket)).map(|(stream, _, _)| stream).collect()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What counts as one client: an IPv4 address, an IPv6 /64 (which is one subscriber's).
#[must_use]
pub fn network(address: &[u8]) -> Vec<u8> {
    let text = core::str::from_utf8(address).unwrap_or_default();
    let text = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    match text.parse::<core::net::Ipv6Addr>() {
        Ok(v6) => v6.octets().iter().take(8).copied().collect(),
        Err(_) => address.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn places_are_bounded_by_address_and_worker_and_end_after_five_seconds() {
        let mut pending = Pending::default();
        let t0 = UnixTime::from_secs(100);
        for stream in 0..16 {
            assert!(pending.take(stream, b"a", t0).is_some());
        }
        assert!(pending.take(16, b"a", t0).is_none(), "16 per address");
        for stream in 16..32 {
            assert!(pending.take(stream, b"b", t0).is_some());
        }
        assert!(pending.take(32, b"c", t0).is_none(), "32 per worker");
        pending.release(3);
        assert!(pending.take(32, b"c", UnixTime::from_secs(103)).is_some());
        assert!(pending.expire(UnixTime::from_millis(104_999)).is_empty());
        assert_eq!(pending.expire(UnixTime::from_secs(105)).len(), 31);
        assert_eq!(pending.len(), 1);
    }
}
