//! Frames of clients (RFC 6455 §5.2), shorter than 64 KiB.

pub const TEXT: u8 = 1;
pub const CLOSE: u8 = 8;
const MASK: [u8; 4] = [1, 2, 3, 4];

/// A whole frame, masked.
pub fn write(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match u8::try_from(payload.len()) {
        Ok(length @ 0..=125) => frame.push(0x80 | length),
        _ => {
            frame.push(0x80 | 126);
            frame.extend((payload.len() as u16).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// The opcode and the payload of the first frame, and what stands behind it.
pub fn read(frame: &[u8]) -> Option<(u8, Vec<u8>, &[u8])> {
    let (length, rest) = match frame.get(1)? & 0x7f {
        126 => (usize::from(u16::from_be_bytes([*frame.get(2)?, *frame.get(3)?])), frame.get(4..)?),
        short => (usize::from(short), frame.get(2..)?),
    };
    let (mask, rest) = rest.split_at_checked(4)?;
    let (payload, rest) = rest.split_at_checked(length)?;
    let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    Some((frame.first()? & 0x0f, payload.collect(), rest))
}

/// The first frame of Prefect's clients.
pub fn auth(token: &str) -> Vec<u8> {
    write(TEXT, serde_json::json!({"type": "auth", "token": token}).to_string().as_bytes())
}
