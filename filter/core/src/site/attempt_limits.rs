//! How often credentials that nobody knows yet may be tried at the provider: token buckets, one for each
//! client's name from each network, and one for each network. Guessing at a worker's secret from one
//! place keeps nobody out who comes from another, and costs the provider little.

use crate::foundation::bounded::Bounded;
use crate::foundation::id::TombstoneId;
use crate::foundation::limits::{ATTEMPTS_PER_CLIENT, ATTEMPTS_PER_NETWORK, NETWORKS, Rate};
use crate::foundation::time::UnixTime;
use crate::foundation::token_bucket::Bucket;
use crate::wire::network::network;
use crate::workers::tombstones::tombstone_of;

/// See the module.
pub(crate) struct AttemptLimits {
    networks: Buckets,
    /// Apart from the networks: names that nobody has must not make room for anything there.
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
    /// Takes one from both buckets, if there is one in both.
    pub(crate) fn may(&mut self, client: &str, address: &[u8], now: UnixTime) -> bool {
        let network = network(address);
        let of_network = tombstone_of(&network);
        let of_client = tombstone_of(&[network.as_slice(), b" ", client.as_bytes()].concat());
        // What is refused costs the others of its network nothing, and takes no place among the names.
        self.networks.has(of_network, now)
            && self.clients.take(of_client, now)
            && self.networks.take(of_network, now)
    }
}

impl Buckets {
    fn filled_up(&self, whose: TombstoneId, now: UnixTime) -> Bucket {
        let known = self.buckets.get(&whose);
        known.map_or(self.rate.full(now), |bucket| self.rate.filled_up(*bucket, now))
    }

    fn has(&self, whose: TombstoneId, now: UnixTime) -> bool {
        self.filled_up(whose, now).left > 0
    }

    fn take(&mut self, whose: TombstoneId, now: UnixTime) -> bool {
        let mut bucket = self.filled_up(whose, now);
        let some = bucket.left > 0;
        bucket.left = bucket.left.saturating_sub(1);
        self.buckets.insert(whose, bucket);
        some
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn taken(attempts: &mut AttemptLimits, client: &str, address: &[u8], now: UnixTime) -> usize {
        (0..1000).filter(|_| attempts.may(client, address, now)).count()
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
    fn many_names_from_one_network_are_bounded_together() {
        let mut attempts = AttemptLimits::default();
        let now = UnixTime::from_secs(1000);
        let names = (0..500).filter(|n| attempts.may(&format!("c{n}"), b"192.0.2.1", now));
        assert_eq!(names.count(), ATTEMPTS_PER_NETWORK.burst as usize);
        assert!(attempts.may("etl", b"192.0.2.9", now));
        // An IPv6 subscriber has as many addresses as he likes.
        let names = (0..500)
            .filter(|n| attempts.may(&format!("c{n}"), format!("2001:db8::{n:x}").as_bytes(), now));
        assert_eq!(names.count(), ATTEMPTS_PER_NETWORK.burst as usize);
    }
}
