//! A million commands that look random, in four streams: the book never panics, never breaks, and
//! agrees with a book of another make on every event.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/script.rs"]
mod script;

const COMMANDS: usize = 250_000;

fn agrees(seed: u64) {
    let mut state = seed;
    let bytes = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()
    });
    let bytes: Vec<u8> = bytes.take(COMMANDS).flatten().collect();
    let tally = script::run(&bytes, 5_000);
    assert_eq!(tally.commands, COMMANDS);
    let enough = [tally.refused, tally.trades, tally.self_trades, tally.replaced].iter().all(|n| *n > 5_000);
    assert!(enough && tally.most_resting > 100, "the streams are about nothing: {tally:?}");
}

#[test]
fn first_quarter() {
    agrees(0x9e37_79b9_7f4a_7c15);
}

#[test]
fn second_quarter() {
    agrees(0x0bad_5eed_0bad_5eed);
}

#[test]
fn third_quarter() {
    agrees(0x0123_4567_89ab_cdef);
}

#[test]
fn fourth_quarter() {
    agrees(0xfeed_face_cafe_beef);
}
