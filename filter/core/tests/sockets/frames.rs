//! Hostile frames: whatever a client sends before it is judged, and in whatever pieces, Prefect
//! gets nothing of it but pings. `fuzz/` attacks the same property for as long as one likes.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::foundation::crypto::Entropy as _;
use crate::testing::hostile::Judged;
use crate::testing::{API_KEY, Repeatable, World, hostile};
use crate::wire::websocket;
use serde_json::json;

struct Dice(Repeatable);

impl Dice {
    fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.0.fill(&mut byte).unwrap();
        byte[0]
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(u16::from_be_bytes([self.byte(), self.byte()])) % bound
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.below(most)];
        self.0.fill(&mut bytes).unwrap();
        bytes
    }

    fn mask(&mut self) -> [u8; 4] {
        [self.byte(), self.byte(), self.byte(), self.byte()]
    }

    /// A frame as a client might send it, or as it might not.
    fn frame(&mut self) -> Vec<u8> {
        let payload = match self.below(8) {
            0 => json!({ "type": "auth", "token": format!("etl:{API_KEY}") }).to_string().into(),
            1 => json!({ "type": "auth", "token": API_KEY, "more": [1, {}] }).to_string().into(),
            2 => json!({ "type": "auth", "token": "etl:lk_wrong" }).to_string().into_bytes(),
            3 => json!({ "type": "auth", "token": self.below(9) }).to_string().into_bytes(),
            4 => br#"{"type":"auth","token":null,"token":"x"}"#.to_vec(),
            5 => br#"{"type":"filter","filter":{}}"#.to_vec(),
            6 => self.bytes(200),
            _ => vec![b'x'; self.below(5000)],
        };
        let opcode = [1, 1, 1, 1, 2, 0, 8, 9, 9, 10, 3][self.below(11)];
        let mask = self.mask();
        let mut bytes = websocket::write(opcode, &payload, mask);
        match self.below(12) {
            // Not the last piece of a message, a reserved bit, no mask, another length.
            0 => bytes[0] &= 0x7f,
            1 => bytes[0] |= 0x10 << self.below(3),
            2 => bytes[1] &= 0x7f,
            3 => bytes[1] = bytes[1].wrapping_add(1) | 0x80,
            4 => bytes.truncate(self.below(bytes.len())),
            _ => {}
        }
        bytes
    }
}

#[test]
fn nothing_passes_before_somebody_is_proved() {
    let mut dice = Dice(Repeatable::default());
    let mut counts = [0_usize; 3];
    let mut world = World::new();
    for socket in 1..=5_000 {
        if socket % 50 == 0 {
            world = World::new();
        }
        let mut sent = Vec::new();
        for _ in 0..=dice.below(4) {
            sent.extend(dice.frame());
        }
        let pieces: Vec<u8> = dice.bytes(8);
        counts[match hostile::judged_in(&mut world, &sent, &pieces) {
            Judged::Proved => 0,
            Judged::Closed => 1,
            Judged::Nothing => 2,
        }] += 1;
    }
    assert!(counts.iter().all(|count| *count > 250), "the cases are one-sided: {counts:?}");
}

#[test]
fn one_byte_at_a_time_comes_to_the_same() {
    for token in [format!("etl:{API_KEY}"), "etl:lk_wrong".to_owned()] {
        let message = json!({ "type": "auth", "token": token }).to_string();
        let sent = [
            websocket::write(9, b"ping", [9, 8, 7, 6]),
            websocket::write(1, message.as_bytes(), [1, 2, 3, 4]),
            websocket::write(1, b"behind", [4, 3, 2, 1]),
        ]
        .concat();
        let wanted = hostile::judged(&sent, &[255]);
        assert_eq!(wanted, if token.contains("wrong") { Judged::Closed } else { Judged::Proved });
        for piece in [1, 2, 3, 7] {
            assert_eq!(hostile::judged(&sent, &[piece]), wanted, "{piece} bytes at a time");
        }
    }
}

/// Of a frame that is refused, and of what stands behind it, nothing goes on.
#[test]
fn a_refused_frame_takes_what_follows_with_it() {
    let wrong = json!({ "type": "auth", "token": "etl:lk_wrong" }).to_string();
    let right = json!({ "type": "auth", "token": format!("etl:{API_KEY}") }).to_string();
    let sent = [
        websocket::write(1, wrong.as_bytes(), [1; 4]),
        websocket::write(1, right.as_bytes(), [1; 4]),
    ]
    .concat();
    for piece in [1, 20, 255] {
        assert_eq!(hostile::judged(&sent, &[piece]), Judged::Closed);
    }
}
