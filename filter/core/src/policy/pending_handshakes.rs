//! Sockets whose client has not been judged yet: the one thing that reaches Prefect without a
//! credential, hence bounded, by worker and by client address, and in time. A burst of flow runs is
//! larger than that: it stands in a line, since Prefect's clients take a refused upgrade for final.

use std::collections::VecDeque;

use crate::foundation::limits::{
    FIRST_FRAME_WAIT, PENDING_SOCKETS, PENDING_SOCKETS_PER_ADDRESS, QUEUED_SOCKETS,
    QUEUED_SOCKETS_PER_ADDRESS,
};
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::wire::network::network;

/// The pending sockets of a worker.
#[derive(Default)]
pub(crate) struct PendingHandshakes {
    /// Those that have a place.
    placed: Vec<Waiting>,
    /// Those that stand in line for one, the first one first.
    line: VecDeque<Waiting>,
}

struct Waiting {
    stream: StreamId,
    address: Vec<u8>,
    since: UnixTime,
}

/// A place among them, taken by [`PendingHandshakes::take`]; there is no other way to one.
#[derive(Debug)]
pub(crate) struct Slot(());

/// What a socket gets that asks for a place.
#[derive(Debug)]
pub(crate) enum Admission {
    /// A place until its first frame has been judged.
    Admitted(Slot),
    /// It stands in line, and is woken when there is a place or it has waited for too long.
    Queued,
    /// Nothing: too many stand in line, or it has waited for too long.
    Refused,
}

impl PendingHandshakes {
    /// Asks for a place. One that stood in line (`again`) has one now, or none.
    pub(crate) fn take(
        &mut self,
        stream: StreamId,
        address: &[u8],
        again: bool,
        now: UnixTime,
    ) -> Admission {
        if again {
            let placed = self.placed.iter().any(|own| own.stream == stream);
            return if placed { Admission::Admitted(Slot(())) } else { Admission::Refused };
        }
        let socket = Waiting { stream, address: network(address), since: now };
        let of_address = |own: &&Waiting| own.address == socket.address;
        let before = self.line.iter().filter(of_address).count();
        if before == 0 && self.has_room(&socket.address) {
            self.placed.push(socket);
            return Admission::Admitted(Slot(()));
        }
        if self.line.len() >= QUEUED_SOCKETS || before >= QUEUED_SOCKETS_PER_ADDRESS {
            return Admission::Refused;
        }
        self.line.push_back(socket);
        Admission::Queued
    }

    fn has_room(&self, address: &[u8]) -> bool {
        let of_address = self.placed.iter().filter(|own| own.address == address).count();
        self.placed.len() < PENDING_SOCKETS && of_address < PENDING_SOCKETS_PER_ADDRESS
    }

    /// Gives free places to those who stand in line, and gives up those who have stood there for too
    /// long; both are to be woken.
    pub(crate) fn admit(&mut self, now: UnixTime) -> Vec<StreamId> {
        let late = |own: &Waiting| now.is_over(own.since, FIRST_FRAME_WAIT);
        let mut woken: Vec<StreamId> =
            self.line.iter().filter(|own| late(own)).map(|own| own.stream).collect();
        self.line.retain(|own| !late(own));
        while let Some(next) = self.line.iter().position(|own| self.has_room(&own.address))
            && let Some(socket) = self.line.remove(next)
        {
            woken.push(socket.stream);
            self.placed.push(Waiting { since: now, ..socket });
        }
        woken
    }

    /// Whether somebody in line has a place to go to.
    #[must_use]
    pub(crate) fn can_admit(&self) -> bool {
        self.line.iter().any(|own| self.has_room(&own.address))
    }

    /// Its first frame is there, and the provider is being asked about it: that takes its own time.
    pub(crate) fn first_frame_arrived(&mut self, stream: StreamId, now: UnixTime) {
        for own in self.placed.iter_mut().filter(|own| own.stream == stream) {
            own.since = now;
        }
    }

    /// Gives the place back: judged, or gone.
    pub(crate) fn release(&mut self, stream: StreamId) {
        self.placed.retain(|own| own.stream != stream);
        self.line.retain(|own| own.stream != stream);
    }

    /// Those that stayed silent too long; their places are free at once.
    pub(crate) fn expire(&mut self, now: UnixTime) -> Vec<StreamId> {
        let silent = |own: &mut Waiting| now.is_over(own.since, FIRST_FRAME_WAIT);
        self.placed.extract_if(.., silent).map(|own| own.stream).collect()
    }

    /// Whether none has a place or stands in line.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.placed.is_empty() && self.line.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn takes(pending: &mut PendingHandshakes, stream: u32, address: &[u8], now: UnixTime) -> bool {
        matches!(pending.take(StreamId(stream), address, false, now), Admission::Admitted(_))
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
    fn who_stands_in_line_comes_in_turn_and_not_for_ever() {
        let mut pending = PendingHandshakes::default();
        let t0 = UnixTime::from_secs(100);
        let most = u32::try_from(16 + QUEUED_SOCKETS_PER_ADDRESS).unwrap();
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
        // Whoever comes later comes behind.
        pending.release(StreamId(2));
        assert!(matches!(pending.take(StreamId(1000), b"a", false, t0), Admission::Queued));
        assert_eq!(pending.admit(t0), [StreamId(19)]);
        let late = pending.admit(UnixTime::from_secs(105));
        assert_eq!(late.len(), QUEUED_SOCKETS_PER_ADDRESS - 3);
        assert!(matches!(pending.take(late[0], b"a", true, t0), Admission::Refused));
    }
}
