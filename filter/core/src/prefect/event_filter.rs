//! The second message of a client of `/events/out`: which events it wants. Where some are not for it, the
//! message is held and gets one wish more; Prefect reads no other after it.

use crate::foundation::limits::EVENT_FILTER;
use crate::prefect::block_events::filter_without;
use crate::wire::websocket;
use crate::wire::websocket::{CLOSE, Frame, PING_PONG, Read, TEXT};

/// What has come of it. It is kept here and not by Envoy: what stands before it goes on meanwhile.
#[derive(Debug, Default)]
pub(crate) struct EventFilter(Vec<u8>);

/// How far it has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FilterProgress {
    /// Not whole yet.
    Incomplete,
    /// It has gone on, and so may all that follows.
    Complete,
    /// The client leaves instead.
    ClientCloses,
    /// Something else came, or more than is read.
    Invalid,
}

impl EventFilter {
    /// Reads what has come now: what goes on of it.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> (Vec<u8>, FilterProgress) {
        self.0.extend_from_slice(bytes);
        let mut on = Vec::new();
        loop {
            let frame = match websocket::read(&self.0, EVENT_FILTER) {
                Read::Incomplete => return (on, FilterProgress::Incomplete),
                Read::Invalid(_) => return (on, FilterProgress::Invalid),
                Read::Frame(frame) => frame,
            };
            let rest = self.0.split_off(frame.length.min(self.0.len()));
            let taken = core::mem::replace(&mut self.0, rest);
            match frame {
                Frame { opcode, fin: true, .. } if PING_PONG.contains(&opcode) => on.extend(taken),
                Frame { opcode: CLOSE, fin: true, .. } => {
                    return (on, FilterProgress::ClientCloses);
                }
                Frame { opcode: TEXT, fin: true, payload, mask, .. } => {
                    let Some(message) = filter_without(&payload) else {
                        return (on, FilterProgress::Invalid);
                    };
                    on.extend(websocket::write(TEXT, message.as_bytes(), mask));
                    on.append(&mut self.0);
                    return (on, FilterProgress::Complete);
                }
                _ => return (on, FilterProgress::Invalid),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const MASK: [u8; 4] = [7, 8, 9, 10];
    const MESSAGE: &[u8] = br#"{"type":"filter","filter":{"event":{"prefix":["prefect."]}}}"#;

    fn said(bytes: &[u8], piece: usize) -> (Vec<u8>, FilterProgress) {
        let (mut filter, mut on) = (EventFilter::default(), Vec::new());
        for (number, part) in bytes.chunks(piece).enumerate() {
            let (more, said) = filter.read(part);
            on.extend(more);
            if said != FilterProgress::Incomplete {
                on.extend(bytes.chunks(piece).skip(number + 1).flatten());
                return (on, said);
            }
        }
        (on, FilterProgress::Incomplete)
    }

    #[test]
    fn one_wish_more_whatever_the_pieces() {
        let ping = websocket::write(9, b"p", MASK);
        let behind = b"behind".as_slice();
        let sent = [&ping, &websocket::write(TEXT, MESSAGE, MASK), behind].concat();
        let message = filter_without(MESSAGE).unwrap();
        let wanted = [&ping, &websocket::write(TEXT, message.as_bytes(), MASK), behind].concat();
        for piece in 1..=sent.len() {
            assert_eq!(said(&sent, piece), (wanted.clone(), FilterProgress::Complete), "{piece}");
        }
    }

    #[test]
    fn nothing_else_goes_on() {
        let half = websocket::write(TEXT, MESSAGE, MASK);
        assert_eq!(said(&half[..half.len() - 1], 5), (vec![], FilterProgress::Incomplete));
        let fragment = [&[half[0] & 0x7f][..], &half[1..]].concat();
        let long = websocket::write(TEXT, &vec![b' '; EVENT_FILTER + 1], MASK);
        for odd in [
            fragment,
            long,
            websocket::write(2, MESSAGE, MASK),
            websocket::write(TEXT, b"{}", MASK),
            websocket::write(TEXT, b"{\"type\":\"filter\"}", MASK),
            b"GET / HTTP/1.1\r\n".to_vec(),
        ] {
            assert_eq!(EventFilter::default().read(&odd), (vec![], FilterProgress::Invalid));
        }
        let close = websocket::write(CLOSE, &1000_u16.to_be_bytes(), MASK);
        assert_eq!(EventFilter::default().read(&close), (vec![], FilterProgress::ClientCloses));
    }

    #[test]
    fn it_is_bounded_on_both_sides() {
        let padded = |length: usize| {
            let pad = " ".repeat(length - MESSAGE.len());
            websocket::write(TEXT, &[MESSAGE, pad.as_bytes()].concat(), MASK)
        };
        assert_eq!(EventFilter::default().read(&padded(EVENT_FILTER)).1, FilterProgress::Complete);
        assert_eq!(
            EventFilter::default().read(&padded(EVENT_FILTER + 1)).1,
            FilterProgress::Invalid
        );
    }
}
