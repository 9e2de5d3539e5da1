//! The meter agent's process, and ingest's.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    meter_agent::cli::execute(meter_agent::cli::Args::parse())
}
