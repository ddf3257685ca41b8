//! Bytes of a client whose socket is not judged yet, in any pieces: the property is that of
//! `filter/core/tests/frames`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lictor_core::testing::hostile;

fuzz_target!(|input: &[u8]| {
    let (pieces, sent) = input.split_at(input.len().min(4));
    let _judged = hostile::judged(sent, pieces);
});
