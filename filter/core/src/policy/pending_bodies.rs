//! Limits request bodies that Lictor reads before it decides.
//!
//! Most of them come from clients that have not authenticated. So their number is limited per
//! worker and per client network, and so is the time in which they must arrive.

use crate::foundation::limits::{BODIES, BODIES_PER_NETWORK, BODY_WAIT};
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::wire::network::network;

/// What a body is read for. Each purpose has limits of its own, so that strangers at one endpoint
/// keep nobody out elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A logout token of the provider.
    Logout,
    /// A native app's request for a personal token.
    Token,
    /// An operation of an authenticated principal.
    Operation,
}

/// The bodies that one worker is reading, by purpose.
#[derive(Default)]
pub(crate) struct BodyPools {
    logout: PendingBodies,
    token: PendingBodies,
    operation: PendingBodies,
}

impl BodyPools {
    /// Begins to read a body. Returns `false` if the client or the worker reads too many already.
    pub(crate) fn begin(
        &mut self,
        purpose: Purpose,
        stream: StreamId,
        address: &[u8],
        now: UnixTime,
    ) -> bool {
        let pool = match purpose {
            Purpose::Logout => &mut self.logout,
            Purpose::Token => &mut self.token,
            Purpose::Operation => &mut self.operation,
        };
        pool.begin(stream, address, now)
    }

    /// Ends the reading of a body that is complete, refused or gone.
    pub(crate) fn end(&mut self, stream: StreamId) {
        self.all().for_each(|pool| pool.end(stream));
    }

    /// Ends the reading of bodies that have not arrived in time, and returns their streams.
    pub(crate) fn expire(&mut self, now: UnixTime) -> Vec<StreamId> {
        self.all().flat_map(|pool| pool.expire(now)).collect()
    }

    fn all(&mut self) -> impl Iterator<Item = &mut PendingBodies> {
        let Self { logout, token, operation } = self;
        [logout, token, operation].into_iter()
    }
}

/// The bodies that one worker is reading for one purpose.
#[derive(Default)]
struct PendingBodies {
    reading: Vec<Reading>,
}

struct Reading {
    stream: StreamId,
    /// The client's network, see [`network`].
    network: Vec<u8>,
    since: UnixTime,
}

impl PendingBodies {
    /// Begins to read a body. Returns `false` if the client or the worker reads too many already.
    fn begin(&mut self, stream: StreamId, address: &[u8], now: UnixTime) -> bool {
        let network = network(address);
        let of_network = self.reading.iter().filter(|reading| reading.network == network).count();
        let has_room = self.reading.len() < BODIES && of_network < BODIES_PER_NETWORK;
        if has_room {
            self.reading.push(Reading { stream, network, since: now });
        }
        has_room
    }

    /// Ends the reading of a body that is complete, refused or gone.
    fn end(&mut self, stream: StreamId) {
        self.reading.retain(|reading| reading.stream != stream);
    }

    /// Ends the reading of bodies that have not arrived in time, and returns their streams.
    fn expire(&mut self, now: UnixTime) -> Vec<StreamId> {
        let is_late = |reading: &mut Reading| now.is_over(reading.since, BODY_WAIT);
        self.reading.extract_if(.., is_late).map(|reading| reading.stream).collect()
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const PER_NETWORK: u32 = 16;
    const PER_WORKER: u32 = 256;

    #[test]
    fn bodies_are_limited_by_network_and_worker() {
        let mut bodies = PendingBodies::default();
        let now = UnixTime::from_secs(100);
        let mut begin =
            |stream, address: &str| bodies.begin(StreamId(stream), address.as_bytes(), now);
        for stream in 0..PER_WORKER {
            let address = format!("192.0.2.{}", stream / PER_NETWORK);
            assert!(begin(stream, &address), "{stream}");
            let is_last = stream % PER_NETWORK == PER_NETWORK - 1;
            assert!(!is_last || !begin(1000, &address), "{stream}: the 17th of a network");
        }
        assert!(!begin(1000, "192.0.2.99"), "the 257th of a worker");
        bodies.end(StreamId(0));
        assert!(!bodies.begin(StreamId(1000), b"192.0.2.1", now), "its network has no room");
        assert!(bodies.begin(StreamId(1000), b"192.0.2.0", now));
    }

    #[test]
    fn each_purpose_has_its_own_places() {
        let mut pools = BodyPools::default();
        let now = UnixTime::from_secs(100);
        let purposes = [Purpose::Logout, Purpose::Token, Purpose::Operation];
        for (at, purpose) in (0_u32..).zip(purposes) {
            let mut begun = (0..20).map(|n| StreamId(at * 100 + n));
            let taken = begun.by_ref().filter(|id| pools.begin(purpose, *id, b"192.0.2.1", now));
            assert_eq!(taken.count(), 16, "{purpose:?}");
        }
        pools.end(StreamId(0));
        assert!(pools.begin(Purpose::Logout, StreamId(999), b"192.0.2.1", now));
        assert_eq!(pools.expire(UnixTime::from_secs(110)).len(), 48);
    }

    #[test]
    fn a_body_has_ten_seconds_however_many_pieces_it_comes_in() {
        let mut bodies = PendingBodies::default();
        for (stream, second) in [(1, 100), (2, 103)] {
            assert!(bodies.begin(StreamId(stream), b"192.0.2.1", UnixTime::from_secs(second)));
        }
        assert!(bodies.expire(UnixTime::from_millis(109_999)).is_empty());
        assert_eq!(bodies.expire(UnixTime::from_secs(110)), [StreamId(1)]);
        bodies.end(StreamId(2));
        assert!(bodies.expire(UnixTime::from_secs(200)).is_empty());
    }
}
