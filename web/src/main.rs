//! The web server's process.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    web::cli::execute(web::cli::Args::parse())
}
