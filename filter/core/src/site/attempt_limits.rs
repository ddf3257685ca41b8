//! Limits on how often unknown credentials may be tried at the provider.
//!
//! Token buckets limit each pair of client name and network, and each network as a whole. Guessing
//! a worker's secret from one network locks out no one on another, and costs the provider little.

use crate::foundation::bounded::Bounded;
use crate::foundation::id::TombstoneId;
use crate::foundation::limits::{ATTEMPTS_PER_CLIENT, ATTEMPTS_PER_NETWORK, NETWORKS, Rate};
use crate::foundation::time::UnixTime;
use crate::foundation::token_bucket::Bucket;
use crate::wire::network::network;
use crate::workers::tombstones::tombstone_of;

/// The attempt limits of one worker, by client name and by network.
pub(crate) struct AttemptLimits {
    networks: Buckets,
    /// Separate from the networks: invented client names must not displace the bucket of a network.
    clients: Buckets,
}

struct Buckets {
    rate: Rate,
    buckets: Bounded<TombstoneId, Bucket>,
}

impl Default for AttemptLimits {
    fn default() -> Self {
        let buckets = |rate| Buckets { rate, buckets: Bounded::new(NETWORKS) };
        Self { networks: buckets(ATTEMPTS_PER_NETWORK), clients: buckets(ATTEMPTS_PER_CLIENT) }
    }
}

impl AttemptLimits {
    /// Takes one attempt from both buckets. Returns `false` if either is empty.
    ///
    /// A token names no client, so only the limit of its network applies.
    pub(crate) fn may(&mut self, client: Option<&str>, address: &[u8], now: UnixTime) -> bool {
        let network = network(address);
        let of_network = tombstone_of(&network);
        let of_client = client
            .map(|client| tombstone_of(&[network.as_slice(), b" ", client.as_bytes()].concat()));
        // A refused attempt costs the others on its network nothing, and adds no client name.
        self.networks.has(of_network, now)
            && of_client.is_none_or(|client| self.clients.take(client, now))
            && self.networks.take(of_network, now)
    }
}

impl Buckets {
    fn filled_up(&self, id: TombstoneId, now: UnixTime) -> Bucket {
        let known = self.buckets.get(&id);
        known.map_or(self.rate.full(now), |bucket| self.rate.filled_up(*bucket, now))
    }

    fn has(&self, id: TombstoneId, now: UnixTime) -> bool {
        self.filled_up(id, now).left > 0
    }

    fn take(&mut self, id: TombstoneId, now: UnixTime) -> bool {
        let mut bucket = self.filled_up(id, now);
        let has_one = bucket.left > 0;
        bucket.left = bucket.left.saturating_sub(1);
        self.buckets.insert(id, bucket);
        has_one
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn taken(attempts: &mut AttemptLimits, client: &str, address: &[u8], now: UnixTime) -> usize {
        (0..1000).filter(|_| attempts.may(Some(client), address, now)).count()
    }

    #[test]
    fn one_name_from_one_network_fills_up_slowly() {
        let mut attempts = AttemptLimits::default();
        let t0 = UnixTime::from_secs(1000);
        let burst = ATTEMPTS_PER_CLIENT.burst as usize;
        assert_eq!(taken(&mut attempts, "etl", b"192.0.2.1", t0), burst);
        assert_eq!(taken(&mut attempts, "etl", b"192.0.2.2", t0), burst, "another network");
        let almost = ATTEMPTS_PER_CLIENT.each - Duration::from_millis(1);
        assert_eq!(taken(&mut attempts, "etl", b"192.0.2.1", t0.plus(almost)), 0);
        let once = t0.plus(ATTEMPTS_PER_CLIENT.each);
        assert_eq!(taken(&mut attempts, "etl", b"192.0.2.1", once), 1);
        let long = t0.plus(ATTEMPTS_PER_CLIENT.each * 1000);
        assert_eq!(taken(&mut attempts, "etl", b"192.0.2.1", long), burst);
    }

    #[test]
    fn tokens_are_bounded_by_network() {
        let mut attempts = AttemptLimits::default();
        let now = UnixTime::from_secs(1000);
        let tokens = (0..500).filter(|_| attempts.may(None, b"192.0.2.1", now));
        assert_eq!(tokens.count(), ATTEMPTS_PER_NETWORK.burst as usize);
        assert!(!attempts.may(Some("etl"), b"192.0.2.1", now), "the same bucket");
        assert!(attempts.may(None, b"192.0.2.9", now));
    }

    #[test]
    fn many_names_from_one_network_are_bounded_together() {
        let mut attempts = AttemptLimits::default();
        let now = UnixTime::from_secs(1000);
        let names = (0..500).filter(|n| attempts.may(Some(&format!("c{n}")), b"192.0.2.1", now));
        assert_eq!(names.count(), ATTEMPTS_PER_NETWORK.burst as usize);
        assert!(attempts.may(Some("etl"), b"192.0.2.9", now));
        // An IPv6 subscriber has as many addresses as he wants.
        let names = (0..500).filter(|n| {
            attempts.may(Some(&format!("c{n}")), format!("2001:db8::{n:x}").as_bytes(), now)
        });
        assert_eq!(names.count(), ATTEMPTS_PER_NETWORK.burst as usize);
    }
}
