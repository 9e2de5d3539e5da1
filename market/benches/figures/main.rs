//! The market's figures, as JSON lines:
//! `{"bench":..,"value":..,"unit":..,"peer":..,"ratio":..}`.
//!
//! Each figure stands beside that of a peer measured in the same run on the same input; `ratio` is ours
//! over the peer's for rates and shares, and the peer's over ours for times, so that more is better.
//! `cargo bench -p market` prints all, `cargo bench -p market -- book` one group:
//! `book`, `call_auction`, `welfare`, `members` or `durable`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod auction;
mod books;
mod durable;
mod members;
mod random;
mod stream;
mod welfare;
#[path = "../../tests/support/mod.rs"]
mod world;

/// One line.
struct Figure {
    bench: String,
    value: f64,
    unit: &'static str,
    /// The peer's name and how many times better we are; none where there is nothing to compare with.
    peer: Option<(&'static str, f64)>,
}

impl Figure {
    fn print(&self) {
        let (peer, ratio) = match self.peer {
            Some((peer, ratio)) => (format!("\"{peer}\""), format!("{ratio:.3}")),
            None => ("null".to_owned(), "null".to_owned()),
        };
        let Self { bench, value, unit, .. } = self;
        println!(
            "{{\"bench\":\"{bench}\",\"value\":{value:.3},\"unit\":\"{unit}\",\"peer\":{peer},\"ratio\":{ratio}}}"
        );
    }
}

fn main() {
    // Cargo hands its own flags on; what is left is a part of a name.
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let groups: [(&str, fn()); 5] = [
        ("book", books::print),
        ("call_auction", auction::print),
        ("welfare", welfare::print),
        ("members", members::print),
        ("durable", durable::print),
    ];
    for (_, print) in groups.iter().filter(|(name, _)| name.contains(&wanted)) {
        print();
    }
}
