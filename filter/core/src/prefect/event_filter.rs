//! Rewrites the event filter, which is the second message of an `/events/out` client.
//!
//! For a role that must not see some events, the message is held and rewritten to exclude them.
//! Prefect reads no further message after it.

use crate::foundation::limits::EVENT_FILTER;
use crate::prefect::block_events::filter_without;
use crate::wire::websocket;
use crate::wire::websocket::{CLOSE, Frame, PING_PONG, Read, TEXT};

/// The held bytes of an incomplete filter message.
///
/// They are not held by Envoy, because the frames before the message are forwarded meanwhile.
#[derive(Debug, Default)]
pub(crate) struct EventFilter(Vec<u8>);

/// The progress of reading the filter message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FilterProgress {
    /// The message is incomplete.
    Incomplete,
    /// The message is forwarded, and all later bytes may pass unread.
    Complete,
    /// The client closes the socket instead of sending a filter.
    ClientCloses,
    /// The client sent another message, or one that is too long.
    Invalid,
}

impl EventFilter {
    /// Reads bytes from the client, and returns the bytes to forward to Prefect.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> (Vec<u8>, FilterProgress) {
        self.0.extend_from_slice(bytes);
        let mut out = Vec::new();
        loop {
            let frame = match websocket::read(&self.0, EVENT_FILTER) {
                Read::Incomplete => return (out, FilterProgress::Incomplete),
                Read::Invalid(_) => return (out, FilterProgress::Invalid),
                Read::Frame(frame) => frame,
            };
            let rest = self.0.split_off(frame.length.min(self.0.len()));
            let raw = core::mem::replace(&mut self.0, rest);
            match frame {
                Frame { opcode, fin: true, .. } if PING_PONG.contains(&opcode) => out.extend(raw),
                Frame { opcode: CLOSE, fin: true, .. } => {
                    return (out, FilterProgress::ClientCloses);
                }
                Frame { opcode: TEXT, fin: true, payload, mask, .. } => {
                    let Some(message) = filter_without(&payload) else {
                        return (out, FilterProgress::Invalid);
                    };
                    out.extend(websocket::write(TEXT, message.as_bytes(), mask));
                    out.append(&mut self.0);
                    return (out, FilterProgress::Complete);
                }
                _ => return (out, FilterProgress::Invalid),
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

    /// Returns what is forwarded of bytes that arrive in pieces of this size, and the progress.
    fn read_in_pieces(bytes: &[u8], piece: usize) -> (Vec<u8>, FilterProgress) {
        let (mut filter, mut out) = (EventFilter::default(), Vec::new());
        for (number, part) in bytes.chunks(piece).enumerate() {
            let (more, progress) = filter.read(part);
            out.extend(more);
            if progress != FilterProgress::Incomplete {
                out.extend(bytes.chunks(piece).skip(number + 1).flatten());
                return (out, progress);
            }
        }
        (out, FilterProgress::Incomplete)
    }

    #[test]
    fn one_wish_more_whatever_the_pieces() {
        let ping = websocket::write(9, b"p", MASK);
        let behind = b"behind".as_slice();
        let sent = [&ping, &websocket::write(TEXT, MESSAGE, MASK), behind].concat();
        let message = filter_without(MESSAGE).unwrap();
        let wanted = [&ping, &websocket::write(TEXT, message.as_bytes(), MASK), behind].concat();
        for piece in 1..=sent.len() {
            let expected = (wanted.clone(), FilterProgress::Complete);
            assert_eq!(read_in_pieces(&sent, piece), expected, "{piece}");
        }
    }

    #[test]
    fn nothing_else_goes_on() {
        let half = websocket::write(TEXT, MESSAGE, MASK);
        let incomplete = read_in_pieces(&half[..half.len() - 1], 5);
        assert_eq!(incomplete, (vec![], FilterProgress::Incomplete));
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
