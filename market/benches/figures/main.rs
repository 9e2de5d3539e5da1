//! The market's figures, as JSON lines:
//! `{"bench":..,"value":..,"unit":..,"peer":..,"ratio":..}`.
//!
//! Each figure stands beside that of a peer measured in the same run on the same input; `ratio` is ours
//! over the peer's for rates and shares, and the peer's over ours for times, so that more is better; of
//! a loss it is ours over the peer's, so that less is.
//! `cargo bench -p market` prints all, `cargo bench -p market -- book` one group:
//! `book`, `call_auction`, `closing`, `welfare`, `members` or `durable`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod auction;
mod books;
mod closing;
mod durable;
mod figure;
mod forecast;
mod members;
mod random;
mod stream;
mod welfare;
#[path = "../../tests/support/mod.rs"]
mod world;

use figure::Figure;

fn main() {
    // Cargo hands its own flags on; what is left is a part of a name.
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let groups: [(&str, fn()); 7] = [
        ("book", books::print),
        ("call_auction", auction::print),
        ("closing", closing::print),
        ("welfare", welfare::print),
        ("forecast", forecast::print),
        ("members", members::print),
        ("durable", durable::print),
    ];
    for (_, print) in groups.iter().filter(|(name, _)| name.contains(&wanted)) {
        print();
    }
}
