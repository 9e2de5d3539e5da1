//! `busbar with-postgres`: a command with a private database that ends with it.

use std::process::ExitCode;

use anyhow::Context;
use tokio::process::Command;

use crate::cli::WithPostgresArgs;
use crate::installed::{self, POSTGRES_NPM};
use crate::postgres::{Postgres, PostgresOptions, package_binaries_dir};

/// Starts the server, runs the command with `DATABASE_URL`, stops the server, and gives the command's
/// exit status.
///
/// # Errors
/// When the server does not start or the command cannot be run.
pub async fn run(args: WithPostgresArgs) -> anyhow::Result<ExitCode> {
    let binaries = package_binaries_dir(&installed::folder(POSTGRES_NPM));
    let postgres = Postgres::start(PostgresOptions::new(binaries, args.state)).await?;
    eprintln!("{}", postgres.notice());
    let status = run_command(&postgres, &args.command, args.migrate).await;
    postgres.stop().await?;
    let code = status?.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

async fn run_command(
    postgres: &Postgres,
    command: &[String],
    migrate: bool,
) -> anyhow::Result<std::process::ExitStatus> {
    if migrate {
        let pool = store::connect(postgres.url(), None, 2, "migrate").await?;
        store::migrate(&pool).await?;
        pool.close().await;
    }
    let (program, arguments) = command.split_first().context("name a command after --")?;
    Command::new(program)
        .args(arguments)
        .env("DATABASE_URL", postgres.url())
        .kill_on_drop(true)
        .status()
        .await
        .with_context(|| format!("cannot run {program}"))
}
