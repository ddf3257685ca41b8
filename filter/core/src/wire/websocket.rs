//! WebSocket frames of a client (RFC 6455 §5.2): reading one, and writing one masked.

/// Opcode of a text frame.
pub(crate) const TEXT: u8 = 1;
/// Opcode of a close frame.
pub(crate) const CLOSE: u8 = 8;
/// Opcodes of ping and pong.
pub(crate) const PING_PONG: [u8; 2] = [9, 10];

/// The result of reading a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// The bytes are the beginning of a frame.
    Incomplete,
    /// The bytes begin with a whole frame.
    Frame(Frame),
    /// The bytes are not a frame that a client may send here. The text says why.
    Invalid(&'static str),
}

/// A whole frame of a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Opcode (RFC 6455 §5.2).
    pub(crate) opcode: u8,
    /// Whether this is the last frame of its message.
    pub(crate) fin: bool,
    /// The payload, unmasked.
    pub(crate) payload: Vec<u8>,
    /// The masking key of the frame.
    pub(crate) mask: [u8; 4],
    /// Length of the whole frame on the wire, in bytes.
    pub(crate) length: usize,
}

/// Reads the first frame of the bytes from a client.
///
/// A payload above `limit` bytes is invalid as soon as its length is known: the filter never
/// waits for it.
#[must_use]
pub(crate) fn read(bytes: &[u8], limit: usize) -> Read {
    let Some((&[first, second], rest)) = bytes.split_first_chunk::<2>() else {
        return Read::Incomplete;
    };
    if first & 0x70 != 0 {
        return Read::Invalid("reserved bits (a compressed frame)");
    }
    if second & 0x80 == 0 {
        return Read::Invalid("an unmasked frame");
    }
    let (length, rest, header) = match second & 0x7f {
        126 => match rest.split_first_chunk::<2>() {
            Some((length, rest)) => (u64::from(u16::from_be_bytes(*length)), rest, 4_usize),
            None => return Read::Incomplete,
        },
        127 => match rest.split_first_chunk::<8>() {
            Some((length, rest)) => (u64::from_be_bytes(*length), rest, 10),
            None => return Read::Incomplete,
        },
        short => (u64::from(short), rest, 2),
    };
    let Some(length) = usize::try_from(length).ok().filter(|length| *length <= limit) else {
        return Read::Invalid("a frame that is too long");
    };
    let Some((mask, rest)) = rest.split_first_chunk::<4>() else { return Read::Incomplete };
    let Some(payload) = rest.get(..length) else { return Read::Incomplete };
    Read::Frame(Frame {
        opcode: first & 0x0f,
        fin: first & 0x80 != 0,
        payload: masked(payload, *mask),
        mask: *mask,
        length: header.saturating_add(4).saturating_add(length),
    })
}

/// Writes a masked frame that is a whole message (RFC 6455 §5.3: clients must mask).
#[must_use]
pub(crate) fn write(opcode: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut bytes = vec![0x80 | opcode];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ 0..=125), _) => bytes.push(0x80 | short),
        (_, Ok(medium)) => {
            bytes.push(0x80 | 126);
            bytes.extend(medium.to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend(u64::try_from(payload.len()).unwrap_or(u64::MAX).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(masked(payload, mask));
    bytes
}

/// Writes a close frame with a status code (RFC 6455 §7.4) and a reason of at most 123 bytes.
#[must_use]
pub(crate) fn close(code: u16, reason: &str, mask: [u8; 4]) -> Vec<u8> {
    let reason = reason.as_bytes();
    let reason = reason.get(..reason.len().min(123)).unwrap_or_default();
    write(CLOSE, &[&code.to_be_bytes(), reason].concat(), mask)
}

fn masked(payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect()
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn what_is_written_reads_back_from_the_first_whole_byte_on() {
        for length in [0, 1, 125, 126, 4096] {
            let payload = vec![b'x'; length];
            let bytes = [write(TEXT, &payload, [1, 2, 3, 4]), b"rest".to_vec()].concat();
            let whole = bytes.len() - 4;
            for end in 0..whole {
                assert_eq!(read(&bytes[..end], 4096), Read::Incomplete, "{length} cut at {end}");
            }
            let Read::Frame(frame) = read(&bytes, 4096) else { panic!("no frame of {length}") };
            assert_eq!((frame.payload, frame.length, frame.fin), (payload, whole, true));
        }
    }

    #[test]
    fn what_a_client_may_not_send_is_invalid() {
        assert!(matches!(read(&[0xc1, 0x80], 10), Read::Invalid(_)), "compressed");
        assert!(matches!(read(&[0x81, 0x01, b'x'], 10), Read::Invalid(_)), "unmasked");
        assert!(
            matches!(read(&write(TEXT, b"12345678901", [0; 4]), 10), Read::Invalid(_)),
            "too long"
        );
        assert!(matches!(
            read(&[0x81, 0xff, 255, 255, 255, 255, 255, 255, 255, 255], 10),
            Read::Invalid(_)
        ));
    }
}
