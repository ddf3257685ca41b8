//! Limits websocket handshakes whose client has not authenticated yet.
//!
//! Apart from requests for public paths, only these handshakes reach Prefect without a proved
//! identity. So their number is limited per worker and per client network, and so is their time. A
//! burst of flow runs exceeds the limit. Its handshakes wait in a queue, since Prefect's clients
//! treat a refused upgrade as final.

use std::collections::{HashMap, VecDeque};

use crate::foundation::limits::{
    FIRST_FRAME_WAIT, PENDING_SOCKETS, QUEUED_SOCKETS, QUEUED_SOCKETS_PER_NETWORK,
    QUEUED_SOCKETS_PER_SILENT_NETWORK, SILENT_NETWORK_MEMORY, SILENT_NETWORKS, UPGRADE_WAIT,
};
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::wire::network::network;

/// The pending handshakes of one worker.
pub(crate) struct PendingHandshakes {
    /// The number of slots. Half of them may be of one client network.
    slots: usize,
    /// Handshakes that have a slot.
    placed: Vec<Waiting>,
    /// Handshakes that wait for a slot, in order of arrival.
    queue: VecDeque<Waiting>,
    /// The networks whose sockets stayed silent, and when the last one ended.
    silent: HashMap<Vec<u8>, UnixTime>,
}

/// A handshake that has a slot or waits for one.
struct Waiting {
    stream: StreamId,
    /// The client's network, see [`network`].
    network: Vec<u8>,
    /// When the handshake got its slot or joined the queue, or when its first frame arrived.
    since: UnixTime,
    /// Prefect has accepted the upgrade.
    accepted: bool,
}

impl Default for PendingHandshakes {
    fn default() -> Self {
        Self {
            slots: PENDING_SOCKETS,
            placed: Vec::new(),
            queue: VecDeque::new(),
            silent: HashMap::new(),
        }
    }
}

/// A slot for a pending handshake. Only [`PendingHandshakes::take`] hands out slots.
#[derive(Debug)]
pub(crate) struct Slot(());

/// The result of requesting a slot.
#[derive(Debug)]
pub(crate) enum Admission {
    /// The handshake has a slot until its first frame has been checked.
    Admitted(Slot),
    /// The handshake waits in the queue. It is woken when it has a slot or has waited too long.
    Queued,
    /// The queue is full, or the handshake has waited too long.
    Refused,
}

impl PendingHandshakes {
    /// Sets the number of slots, at most [`PENDING_SOCKETS`]. Handshakes beyond it keep theirs.
    pub(crate) fn limit(&mut self, slots: usize) {
        self.slots = slots.min(PENDING_SOCKETS);
    }

    /// Requests a slot for a handshake.
    ///
    /// `again` is set for a handshake that was woken from the queue. It has a slot by then, or is
    /// refused.
    pub(crate) fn take(
        &mut self,
        stream: StreamId,
        address: &[u8],
        again: bool,
        now: UnixTime,
    ) -> Admission {
        if again {
            let placed = self.placed.iter().any(|waiting| waiting.stream == stream);
            return if placed { Admission::Admitted(Slot(())) } else { Admission::Refused };
        }
        let socket = Waiting { stream, network: network(address), since: now, accepted: false };
        let of_network = |waiting: &&Waiting| waiting.network == socket.network;
        let queued = self.queue.iter().filter(of_network).count();
        if queued == 0 && self.has_room(&socket.network) {
            self.placed.push(socket);
            return Admission::Admitted(Slot(()));
        }
        let most = if self.has_been_silent(&socket.network, now) {
            QUEUED_SOCKETS_PER_SILENT_NETWORK
        } else {
            QUEUED_SOCKETS_PER_NETWORK
        };
        if self.queue.len() >= QUEUED_SOCKETS || queued >= most {
            return Admission::Refused;
        }
        self.queue.push_back(socket);
        Admission::Queued
    }

    fn has_room(&self, network: &[u8]) -> bool {
        if self.placed.len() >= self.slots {
            return false;
        }
        let of_network = self.placed.iter().filter(|waiting| waiting.network == network).count();
        of_network < self.slots.div_ceil(2)
    }

    /// Gives free slots to queued handshakes and drops those that have waited too long.
    ///
    /// Returns the streams of both kinds, which the caller must wake.
    pub(crate) fn admit(&mut self, now: UnixTime) -> Vec<StreamId> {
        let late = |waiting: &Waiting| now.is_over(waiting.since, FIRST_FRAME_WAIT);
        let mut woken: Vec<StreamId> = self
            .queue
            .iter()
            .filter(|waiting| late(waiting))
            .map(|waiting| waiting.stream)
            .collect();
        self.queue.retain(|waiting| !late(waiting));
        while let Some(socket) = self.next(now).and_then(|next| self.queue.remove(next)) {
            woken.push(socket.stream);
            self.placed.push(Waiting { since: now, ..socket });
        }
        woken
    }

    /// Returns the place in the queue of the handshake that gets the next free slot.
    ///
    /// It is the oldest one, but networks that have been silent come last.
    fn next(&self, now: UnixTime) -> Option<usize> {
        let has_room = |waiting: &Waiting| self.has_room(&waiting.network);
        let is_good = |waiting: &Waiting| !self.has_been_silent(&waiting.network, now);
        let good = self.queue.iter().position(|waiting| is_good(waiting) && has_room(waiting));
        good.or_else(|| self.queue.iter().position(has_room))
    }

    /// Returns whether a network has opened a socket in the last minute and said nothing.
    ///
    /// Prefect's clients send their first frame within milliseconds.
    fn has_been_silent(&self, network: &[u8], now: UnixTime) -> bool {
        self.silent.get(network).is_some_and(|at| !now.is_over(*at, SILENT_NETWORK_MEMORY))
    }

    fn remember_silent(&mut self, network: Vec<u8>, now: UnixTime) {
        if self.silent.len() >= SILENT_NETWORKS {
            self.silent.retain(|_, at| !now.is_over(*at, SILENT_NETWORK_MEMORY));
        }
        if self.silent.len() < SILENT_NETWORKS {
            self.silent.insert(network, now);
        }
    }

    /// Returns whether a slot is free for a queued handshake.
    #[must_use]
    pub(crate) fn can_admit(&self) -> bool {
        self.queue.iter().any(|waiting| self.has_room(&waiting.network))
    }

    /// Starts the time limit of the first frame: Prefect has accepted the upgrade.
    ///
    /// A client can't send its first frame before.
    pub(crate) fn upgrade_accepted(&mut self, stream: StreamId, now: UnixTime) {
        self.restart(stream, now);
    }

    /// Restarts the time limit of a handshake whose first frame has arrived.
    ///
    /// The provider is then asked about the credential in the frame, which takes time of its own.
    pub(crate) fn first_frame_arrived(&mut self, stream: StreamId, now: UnixTime) {
        self.restart(stream, now);
    }

    fn restart(&mut self, stream: StreamId, now: UnixTime) {
        for waiting in self.placed.iter_mut().filter(|waiting| waiting.stream == stream) {
            waiting.since = now;
            waiting.accepted = true;
        }
    }

    /// Releases the slot of a handshake that has been checked or has ended, or removes it from the
    /// queue.
    pub(crate) fn release(&mut self, stream: StreamId) {
        self.placed.retain(|waiting| waiting.stream != stream);
        self.queue.retain(|waiting| waiting.stream != stream);
    }

    /// Releases the slots of handshakes that have stayed silent too long, and returns their
    /// streams.
    pub(crate) fn expire(&mut self, now: UnixTime) -> Vec<StreamId> {
        let silent = |waiting: &mut Waiting| {
            let limit = if waiting.accepted { FIRST_FRAME_WAIT } else { UPGRADE_WAIT };
            now.is_over(waiting.since, limit)
        };
        let ended: Vec<Waiting> = self.placed.extract_if(.., silent).collect();
        let streams = ended.iter().map(|waiting| waiting.stream).collect();
        for waiting in ended.into_iter().filter(|waiting| waiting.accepted) {
            self.remember_silent(waiting.network, now);
        }
        streams
    }

    /// Returns whether no handshake has a slot or waits for one.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.placed.is_empty() && self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn takes(pending: &mut PendingHandshakes, stream: u32, address: &[u8], now: UnixTime) -> bool {
        let admission = pending.take(StreamId(stream), address, false, now);
        pending.upgrade_accepted(StreamId(stream), now);
        matches!(admission, Admission::Admitted(_))
    }

    #[test]
    fn the_first_frame_has_five_seconds_from_the_accepted_upgrade_on() {
        let mut pending = PendingHandshakes::default();
        let t0 = UnixTime::from_secs(100);
        for stream in [1, 2] {
            let _ = pending.take(StreamId(stream), b"a", false, t0);
        }
        assert!(pending.expire(UnixTime::from_millis(114_999)).is_empty(), "Prefect is slow");
        pending.upgrade_accepted(StreamId(1), UnixTime::from_secs(114));
        assert_eq!(pending.expire(UnixTime::from_secs(115)), [StreamId(2)], "15 s without a 101");
        assert!(pending.expire(UnixTime::from_millis(118_999)).is_empty());
        assert_eq!(pending.expire(UnixTime::from_secs(119)), [StreamId(1)]);
    }

    #[test]
    fn places_are_bounded_by_address_and_worker_and_end_after_five_seconds() {
        let mut pending = PendingHandshakes::default();
        let t0 = UnixTime::from_secs(100);
        for stream in 0..16 {
            assert!(takes(&mut pending, stream, b"a", t0));
        }
        assert!(!takes(&mut pending, 16, b"a", t0), "16 per address");
        for stream in 17..33 {
            assert!(takes(&mut pending, stream, b"b", t0));
        }
        assert!(!takes(&mut pending, 33, b"c", t0), "32 per worker");
        pending.release(StreamId(3));
        assert_eq!(pending.admit(UnixTime::from_secs(103)), [StreamId(16)], "its turn, by address");
        assert!(pending.expire(UnixTime::from_millis(104_999)).is_empty());
        assert_eq!(pending.expire(UnixTime::from_secs(105)).len(), 31);
        assert_eq!(pending.placed.len(), 1);
    }

    #[test]
    fn with_more_workers_each_has_fewer_slots() {
        let t0 = UnixTime::from_secs(100);
        for (slots, of_network, in_all) in [(1000, 16, 32), (12, 6, 12), (3, 2, 3), (1, 1, 1)] {
            let mut pending = PendingHandshakes::default();
            pending.limit(slots);
            let mut taken = |address: &[u8], from: u32| {
                (from..from + 40).filter(|stream| takes(&mut pending, *stream, address, t0)).count()
            };
            assert_eq!(taken(b"a", 0), of_network, "{slots}");
            assert_eq!(taken(b"b", 100) + of_network, in_all, "{slots}");
        }
    }

    #[test]
    fn who_stands_in_line_comes_in_turn_and_not_for_ever() {
        let mut pending = PendingHandshakes::default();
        let t0 = UnixTime::from_secs(100);
        let most = u32::try_from(16 + QUEUED_SOCKETS_PER_NETWORK).unwrap();
        for stream in 0..16 {
            assert!(takes(&mut pending, stream, b"a", t0));
        }
        for stream in 16..most {
            assert!(
                matches!(pending.take(StreamId(stream), b"a", false, t0), Admission::Queued),
                "{stream}"
            );
        }
        assert!(matches!(pending.take(StreamId(most), b"a", false, t0), Admission::Refused));
        assert!(takes(&mut pending, 999, b"b", t0), "another address");
        assert!(!pending.can_admit() && pending.admit(t0).is_empty());
        pending.release(StreamId(0));
        pending.release(StreamId(1));
        pending.release(StreamId(17));
        assert!(pending.can_admit());
        assert_eq!(pending.admit(t0), [StreamId(16), StreamId(18)]);
        assert!(matches!(pending.take(StreamId(16), b"a", true, t0), Admission::Admitted(_)));
        // A later handshake joins the end of the queue.
        pending.release(StreamId(2));
        assert!(matches!(pending.take(StreamId(1000), b"a", false, t0), Admission::Queued));
        assert_eq!(pending.admit(t0), [StreamId(19)]);
        let late = pending.admit(UnixTime::from_secs(105));
        assert_eq!(late.len(), QUEUED_SOCKETS_PER_NETWORK - 3);
        assert!(matches!(pending.take(late[0], b"a", true, t0), Admission::Refused));
    }

    /// Two networks with silent sockets hold every slot and the head of the queue.
    #[test]
    fn networks_that_have_been_silent_come_last() {
        let mut pending = PendingHandshakes::default();
        pending.limit(2);
        let t0 = UnixTime::from_secs(100);
        let queue = |pending: &mut PendingHandshakes, stream: u32, address: u8, at: u64| {
            let admission =
                pending.take(StreamId(stream), &[address], false, UnixTime::from_secs(at));
            matches!(admission, Admission::Queued)
        };
        assert!(takes(&mut pending, 0, b"a", t0) && takes(&mut pending, 1, b"b", t0));
        for (stream, address) in (2..).zip(*b"abab").chain([(6, b'c'), (7, b'c')]) {
            assert!(queue(&mut pending, stream, address, 101), "{stream}");
        }
        // In order of arrival, while nothing is known of any of them.
        pending.release(StreamId(0));
        assert_eq!(pending.admit(t0), [StreamId(2)]);
        pending.upgrade_accepted(StreamId(2), t0);
        let t5 = UnixTime::from_secs(105);
        assert_eq!(pending.expire(t5), [StreamId(1), StreamId(2)]);
        // Two places, of which one network has one at most.
        assert_eq!(pending.admit(t5), [StreamId(6), StreamId(3)], "the good one is first");
        pending.release(StreamId(6));
        assert_eq!(pending.admit(t5), [StreamId(7)], "again");
        // Those that were silent have a short queue, for a minute.
        let mut queued = |address: u8, at: u64| {
            let streams = (0..200).map(|number| u32::from(address) * 1000 + number);
            streams.take_while(|stream| queue(&mut pending, *stream, address, at)).count()
        };
        assert_eq!(queued(b'a', 106) + 1, QUEUED_SOCKETS_PER_SILENT_NETWORK, "one waits already");
        assert!(queued(b'b', 165) > QUEUED_SOCKETS_PER_SILENT_NETWORK);
    }

    /// A socket that Prefect never accepted says nothing about its client.
    #[test]
    fn a_client_that_waits_for_prefect_is_not_silent() {
        let mut pending = PendingHandshakes::default();
        let t0 = UnixTime::from_secs(100);
        let _ = pending.take(StreamId(1), b"a", false, t0);
        assert_eq!(pending.expire(UnixTime::from_secs(115)), [StreamId(1)]);
        assert!(!pending.has_been_silent(b"a", UnixTime::from_secs(115)));
    }

    #[test]
    fn few_silent_networks_are_remembered() {
        let mut pending = PendingHandshakes::default();
        let t0 = UnixTime::from_secs(100);
        let most = u32::try_from(SILENT_NETWORKS).unwrap();
        for number in 0..=most {
            pending.remember_silent(number.to_be_bytes().to_vec(), t0);
        }
        assert!(pending.has_been_silent(&0_u32.to_be_bytes(), t0));
        assert!(!pending.has_been_silent(&most.to_be_bytes(), t0), "no room");
        let later = t0.plus(SILENT_NETWORK_MEMORY);
        pending.remember_silent(most.to_be_bytes().to_vec(), later);
        assert!(pending.has_been_silent(&most.to_be_bytes(), later) && pending.silent.len() == 1);
    }

    #[test]
    fn each_step_of_a_handshake_has_its_time_from_its_own_beginning() {
        let seconds = UnixTime::from_secs;
        let mut pending = PendingHandshakes::default();
        for stream in 0..16 {
            assert!(takes(&mut pending, stream, b"a", seconds(100)));
        }
        let queued = pending.take(StreamId(16), b"a", false, seconds(100));
        assert!(matches!(queued, Admission::Queued));
        // The provider is asked about one first frame. Its slot is kept meanwhile.
        pending.first_frame_arrived(StreamId(0), seconds(104));
        assert_eq!(pending.expire(seconds(105)).len(), 15);
        assert_eq!(pending.expire(seconds(109)), [StreamId(0)]);
        // The wait in the queue takes nothing from the wait for Prefect.
        let mut pending = PendingHandshakes::default();
        for stream in 0..16 {
            assert!(takes(&mut pending, stream, b"a", seconds(100)));
        }
        let _ = pending.take(StreamId(16), b"a", false, seconds(100));
        pending.release(StreamId(0));
        assert_eq!(pending.admit(seconds(104)), [StreamId(16)]);
        assert_eq!(pending.expire(seconds(118)).len(), 15, "all but the admitted one");
        assert_eq!(pending.expire(seconds(119)), [StreamId(16)]);
    }

    #[test]
    fn only_without_slots_and_queue_nothing_is_pending() {
        let t0 = UnixTime::from_secs(100);
        let mut pending = PendingHandshakes::default();
        assert!(pending.is_empty());
        for stream in 0..17 {
            let _ = pending.take(StreamId(stream), b"a", false, t0);
        }
        assert!(!pending.is_empty());
        pending.release(StreamId(16));
        assert!(!pending.is_empty(), "slots only");
        let _ = pending.take(StreamId(16), b"a", false, t0);
        for stream in 0..16 {
            pending.release(StreamId(stream));
        }
        assert!(!pending.is_empty(), "a queue only");
        pending.release(StreamId(16));
        assert!(pending.is_empty());
    }
}
