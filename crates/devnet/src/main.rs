//! `busbar`: the composition root of the demonstration.

use std::process::ExitCode;

use clap::Parser;
use devnet::cli::{Cli, Command};

#[tokio::main]
async fn main() -> ExitCode {
    service::lifecycle::end_on_panic();
    let result = match Cli::parse().command {
        Command::Demo(args) => devnet::demo::run(args).await,
        Command::WithPostgres(args) => devnet::with_postgres::run(args).await,
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {}", service::cli::one_line(error.as_ref()));
        ExitCode::from(service::cli::EXIT_USAGE)
    })
}
