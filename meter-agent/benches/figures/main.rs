//! What ingest and an agent can carry, as JSON lines:
//! `{"bench":..,"value":..,"unit":..,"peer":..,"ratio":..}`.
//!
//! Where a peer is named, it was measured in the same run; `ratio` is ours over the peer's. For what has a
//! limit instead, the peer is the limit and `ratio` is the limit over ours, so that one and more is within.
//! `cargo bench -p meter-agent` prints all, `cargo bench -p meter-agent -- ingest` one group: `size`,
//! `ingest` or `agent`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod agent;
#[path = "../../tests/common/broker.rs"]
mod broker;
mod child;
mod cpu;
#[path = "../../../market/benches/figures/figure.rs"]
mod figure;
mod ingest;
mod world;

use std::path::Path;

use figure::Figure;

/// A whole number as a float, for division.
fn float(number: impl TryInto<u32>) -> f64 {
    f64::from(number.try_into().ok().expect("it fits 32 bits"))
}

/// The program as it is shipped: optimised, without symbols.
fn size() {
    const LIMIT_MB: f64 = 12.0;
    let bytes = std::fs::metadata(Path::new(env!("CARGO_BIN_EXE_meter-agent"))).unwrap().len();
    Figure::new("agent_binary_stripped", float(bytes) / 1e6, "MB").at_most(LIMIT_MB).print();
}

fn main() {
    let mut args = std::env::args().skip(1);
    // The agent that is measured is a process of its own: this program, called with a file.
    if let Some(file) = args.next().as_deref().and_then(|arg| arg.strip_prefix("--agent=")) {
        return child::run(Path::new(file));
    }
    // Cargo hands its own flags on; what is left is a part of a name.
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let groups: [(&str, fn()); 3] = [("size", size), ("ingest", ingest::print), ("agent", agent::print)];
    for (_, print) in groups.iter().filter(|(name, _)| name.contains(&wanted)) {
        print();
    }
}
