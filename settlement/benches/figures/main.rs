//! Figures of settlement, as JSON lines: how long pricing takes, and what a batch costs on the chain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]
#![allow(clippy::cast_precision_loss)] // figures for people, not money

#[path = "../../tests/common/mod.rs"]
mod common;
mod gas;
mod pricing;

use serde_json::{Value, json};

/// One line a figure: `peer` is what it is held against, `ratio` how many times better it is than that.
fn figure(bench: &str, value: f64, unit: &str, peer: Option<f64>, ratio: Option<f64>) {
    let round = |x: f64| (x * 1_000.0).round() / 1_000.0;
    let line: Value = json!({
        "bench": bench, "value": round(value), "unit": unit, "peer": peer.map(round), "ratio": ratio.map(round),
    });
    println!("{line}");
}

fn main() {
    pricing::run();
    tokio::runtime::Runtime::new().unwrap().block_on(gas::run());
}
