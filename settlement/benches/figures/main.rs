//! Figures of settlement, as JSON lines: how long pricing takes, and what a batch costs on the chain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]
#![allow(clippy::cast_precision_loss)] // figures for people, not money

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../../market/benches/figures/figure.rs"]
mod figure;
mod gas;
mod pricing;

fn main() {
    pricing::run();
    tokio::runtime::Runtime::new().unwrap().block_on(gas::run());
}
