//! Random commands without end for the book, on a stable compiler: `make fuzz`, or
//! `cargo run -p market --example fuzz_book -- 10000000 7`, with the number of commands and a first seed.
//!
//! The commands are those of the fuzz target in `market/fuzz`: every event is compared with a slower book of another
//! make, and the fast book's insides are checked all the time. The first difference ends the run with what differs;
//! the seed it began with is printed, so that it can be run again. A run that finds nothing prints one JSON line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../tests/support/script.rs"]
mod script;

use std::time::Instant;

use script::{BYTES_A_COMMAND, Tally};

/// Commands that one pair of books gets: long enough for a deep book, short enough for many beginnings.
const COMMANDS_A_BOOK: usize = 100_000;
/// How often the fast book is taken apart and compared order by order.
const CHECK_EVERY: usize = 1_000;

fn main() {
    let number = |place: usize, default: u64| {
        std::env::args().nth(place).map_or(default, |text| text.parse().expect("a whole number"))
    };
    let (commands, first_seed) = (usize::try_from(number(1, 10_000_000)).unwrap(), number(2, 1));
    let started = Instant::now();
    let mut sum = Tally::default();
    for (seed, done) in (first_seed..).zip((0..commands).step_by(COMMANDS_A_BOOK)) {
        eprintln!("seed {seed}: {done} commands so far");
        let bytes = bytes(seed, COMMANDS_A_BOOK.min(commands - done));
        let tally = script::run(&bytes, CHECK_EVERY);
        sum.commands += tally.commands;
        sum.refused += tally.refused;
        sum.trades += tally.trades;
        sum.self_trades += tally.self_trades;
        sum.replaced += tally.replaced;
        sum.most_resting = sum.most_resting.max(tally.most_resting);
    }
    let Tally { commands, refused, trades, self_trades, replaced, most_resting } = sum;
    println!(
        "{{\"fuzz\":\"book\",\"commands\":{commands},\"refused\":{refused},\"trades\":{trades},\
         \"self_trades\":{self_trades},\"replaced\":{replaced},\"most_resting\":{most_resting},\"first_seed\":{first_seed},\
         \"seconds\":{:.1}}}",
        started.elapsed().as_secs_f64()
    );
}

/// Bytes that look random and are the same for the same seed.
fn bytes(seed: u64, commands: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()
    });
    words.take(commands * BYTES_A_COMMAND / 8).flatten().collect()
}
