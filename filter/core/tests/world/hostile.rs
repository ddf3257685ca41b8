//! What must hold for any bytes of a client whose socket is not judged yet. Tests and fuzzers ask
//! it.

use crate::gate::decision::DataStep;

use super::{API_KEY, AUTH_STRING, World};

/// What became of the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// Somebody was proved, and what follows passes.
    Proved,
    /// A close frame went to Prefect in the client's name.
    Closed,
    /// Neither.
    Nothing,
}

/// Sends bytes in pieces (their lengths repeat) and looks at everything that reaches Prefect.
pub fn judged(sent: &[u8], pieces: &[u8]) -> Judged {
    judged_in(&mut World::new(), sent, pieces)
}

/// The same at a site that has judged other sockets before. They are closed.
pub fn judged_in(world: &mut World, sent: &[u8], pieces: &[u8]) -> Judged {
    let mut gate = world.unproved_socket();
    let (mut held, mut passed, mut at) = (Vec::new(), Vec::new(), 0);
    for piece in pieces.iter().chain([&255]).cycle() {
        if at >= sent.len() {
            break;
        }
        let end = (at + usize::from(*piece).max(1)).min(sent.len());
        held.extend_from_slice(&sent[at..end]);
        at = end;
        match gate.on_request_data(&held, false, &mut world.cx()) {
            DataStep::Hold => assert!(held.len() <= 8192, "more is held than a first frame"),
            DataStep::Pass => passed.append(&mut held),
            DataStep::Replace(instead) => {
                passed.extend(instead);
                held.clear();
            }
            DataStep::Reset => break,
            DataStep::Answer(reply) => panic!("an answer on a socket: {reply:?}"),
        }
    }
    gate.finish(&mut world.site);
    verdict(sent, &passed)
}

fn verdict(sent: &[u8], passed: &[u8]) -> Judged {
    let mut rest = passed;
    let mut closed = false;
    while let Some((opcode, payload, behind)) = first(rest) {
        assert!(!closed, "something behind a close frame");
        let text = String::from_utf8_lossy(&payload).into_owned();
        match opcode {
            9 | 10 => assert!(payload.len() <= 125, "a ping that is none"),
            8 => {
                let code = u16::from_be_bytes([payload[0], payload[1]]);
                // Only who has left by himself is let go without a word.
                assert!(matches!(code, 1008 | 1013) || code == 1000 && leaves(sent), "{code}");
                closed = true;
            }
            1 if text.contains(AUTH_STRING) => {
                // From here on bytes pass as they are. Somebody must have shown the key for that.
                assert!(!text.contains(API_KEY), "the client's key at Prefect");
                assert!(shows_key(sent), "nobody showed a key");
                return Judged::Proved;
            }
            other => panic!("a frame {other} passed unjudged: {text}"),
        }
        rest = behind;
    }
    assert!(rest.is_empty(), "half a frame passed");
    if closed { Judged::Closed } else { Judged::Nothing }
}

/// A client's first whole frame, read by other code than the product's.
fn first(bytes: &[u8]) -> Option<(u8, Vec<u8>, &[u8])> {
    let (head, rest) = bytes.split_at_checked(2)?;
    let (length, rest) = match head[1] & 0x7f {
        126 => {
            let (length, rest) = rest.split_at_checked(2)?;
            (usize::from(u16::from_be_bytes([length[0], length[1]])), rest)
        }
        127 => {
            let (length, rest) = rest.split_at_checked(8)?;
            (usize::try_from(u64::from_be_bytes(length.try_into().ok()?)).ok()?, rest)
        }
        short => (usize::from(short), rest),
    };
    let (mask, rest) = rest.split_at_checked(4)?;
    let (payload, rest) = rest.split_at_checked(length)?;
    let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    Some((head[0] & 0x0f, payload, rest))
}

/// Whether a close frame may be among what was sent.
fn leaves(sent: &[u8]) -> bool {
    (0..sent.len()).any(|at| first(&sent[at..]).is_some_and(|(opcode, ..)| opcode == 8))
}

/// Whether some frame that was sent holds the key, however it is masked.
fn shows_key(sent: &[u8]) -> bool {
    (0..sent.len()).any(|at| {
        first(&sent[at..])
            .is_some_and(|(_, payload, _)| String::from_utf8_lossy(&payload).contains(API_KEY))
    })
}
