//! The node's process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::rpc::Rpc;
use super::{AnvilError, AnvilOptions, Mining};
use crate::process;

const START_PATIENCE: Duration = Duration::from_secs(30);
const STOP_PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
/// States of old blocks kept in memory; older ones can no longer be asked for balances.
const STATES_KEPT: u32 = 1_000;

/// Starts the program, and notes its id for a later run that finds it left behind.
pub(super) fn spawn(options: &AnvilOptions, port: u16, pid_file: &Path) -> Result<Child, AnvilError> {
    let log_file = options.run_dir.join("anvil.log");
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| AnvilError::Io { path, source }
    };
    let log = fs::File::create(&log_file).map_err(io(&log_file))?;
    let mut command = Command::new(&options.binary);
    // It writes into a home folder; the run's own is as good as any.
    command.env_clear().env("HOME", &options.run_dir).current_dir(&options.run_dir);
    // A group of its own: Ctrl-C in the terminal stops us, and we end the node when all is settled.
    command.process_group(0).kill_on_drop(true);
    command.args(arguments(options, port));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let child =
        command.spawn().map_err(|source| AnvilError::Spawn { program: options.binary.clone(), source })?;
    let pid = child.id().map(|pid| pid.to_string()).unwrap_or_default();
    fs::write(pid_file, pid).map_err(io(pid_file))?;
    Ok(child)
}

fn arguments(options: &AnvilOptions, port: u16) -> Vec<String> {
    let (seconds, automine) = match options.mining {
        Mining::Interval { seconds } => (seconds, false),
        Mining::Automine { seconds } => (seconds, true),
    };
    let mut arguments: Vec<String> = [
        "--host",
        "127.0.0.1",
        "--quiet",
        // The usual development accounts have keys that everybody knows.
        "--accounts",
        "0",
    ]
    .map(str::to_owned)
    .to_vec();
    let numbers = [
        ("--port", port.to_string()),
        ("--chain-id", options.chain_id.to_string()),
        ("--block-time", seconds.max(1).to_string()),
        ("--prune-history", STATES_KEPT.to_string()),
    ];
    arguments.extend(numbers.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
    if automine {
        arguments.push("--mixed-mining".to_owned());
    }
    match &options.allowed_origin {
        Some(origin) => arguments.extend(["--allow-origin".to_owned(), origin.clone()]),
        None => arguments.push("--no-cors".to_owned()),
    }
    arguments
}

/// Waits until the node answers, and checks that it is the chain that was asked for.
pub(super) async fn wait_until_ready(child: &mut Child, rpc: &Rpc, chain_id: u64) -> Result<(), AnvilError> {
    let deadline = Instant::now() + START_PATIENCE;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => {
                let reason = format!("it ended with {status}; see anvil.log in the run folder");
                return Err(AnvilError::Start(reason));
            }
            Ok(None) => {}
            Err(error) => return Err(AnvilError::Start(error.to_string())),
        }
        match rpc.chain_id().await {
            Ok(found) if found == chain_id => return Ok(()),
            Ok(found) => {
                return Err(AnvilError::Start(format!("chain id {found} instead of {chain_id}")));
            }
            Err(error) if Instant::now() >= deadline => return Err(error.into()),
            Err(_) => sleep(POLL).await,
        }
    }
}

/// Ends the node of a run that was killed.
pub(super) async fn end_stale(pid_file: &Path) -> Result<(), AnvilError> {
    let Some(pid) = fs::read_to_string(pid_file).ok().and_then(|text| text.trim().parse().ok()) else {
        return Ok(());
    };
    if is_anvil(pid) {
        tracing::info!(pid, "ending the anvil of an earlier run");
        if !process::end(pid, Signal::KILL, STOP_PATIENCE).await {
            return Err(AnvilError::Stale(pid));
        }
    }
    Ok(())
}

fn is_anvil(pid: u32) -> bool {
    let program = process::command_line(pid).into_iter().next().map(PathBuf::from);
    process::is_running(pid)
        && program.is_some_and(|path| path.file_name().is_some_and(|name| name == "anvil"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_foreign_process_with_the_same_id_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let pid_file = dir.path().join("anvil.pid");
        end_stale(&pid_file).await.unwrap();
        fs::write(&pid_file, "nonsense").unwrap();
        end_stale(&pid_file).await.unwrap();
        fs::write(&pid_file, std::process::id().to_string()).unwrap();
        end_stale(&pid_file).await.unwrap();
        assert!(process::is_running(std::process::id()));
    }
}
