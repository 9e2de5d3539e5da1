//! The server's process: started, waited for, stopped.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::PostgresError;
use super::placement::Placement;
use crate::process;

/// How long a start may take: recovery after a power cut reads the whole log.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// How long a stop may take before it is forced.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
/// How long a forced stop may take before the process is killed.
const FORCE_PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
/// Starts tried while helpers of a killed server are still letting go of its memory.
const ATTEMPTS: u32 = 10;

/// One of the server's programs, as its user, in a folder that this user may enter, with nothing of our environment.
pub(super) fn command(placement: &Placement, program: &str, working_dir: &Path) -> Command {
    let mut command = Command::new(placement.program(program));
    command.env_clear().envs([("LC_ALL", "C"), ("TZ", "UTC"), ("PATH", "/usr/bin:/bin")]);
    // A group of its own: Ctrl-C in the terminal stops us, and we stop the server when all is stored.
    command.process_group(0).current_dir(working_dir);
    if let Some(account) = &placement.account {
        command.uid(account.uid).gid(account.gid);
    }
    command
}

/// Starts the server on `port` and waits until it is ready.
pub(super) async fn launch(placement: &Placement, port: u16) -> Result<Child, PostgresError> {
    let mut attempt = 1;
    loop {
        let mut child = spawn(placement, port)?;
        match wait_until_ready(placement, &mut child).await {
            Err(PostgresError::Start { reason, .. })
                if reason.contains("pre-existing shared memory") && attempt < ATTEMPTS =>
            {
                attempt += 1;
                sleep(Duration::from_millis(500)).await;
            }
            Err(error) => {
                if let Some(pid) = child.id() {
                    process::end(pid, Signal::QUIT, FORCE_PATIENCE).await;
                }
                return Err(error);
            }
            Ok(()) => return Ok(child),
        }
    }
}

fn spawn(placement: &Placement, port: u16) -> Result<Child, PostgresError> {
    let log_file = placement.log_file();
    let log = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&log_file)
        .map_err(PostgresError::io("write", &log_file))?;
    let mut postgres = command(placement, "postgres", &placement.cluster_dir());
    postgres.arg("-D").arg(placement.data_dir()).arg("-p").arg(port.to_string());
    for setting in [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "max_connections=200",
        "max_wal_size=256MB",
        "log_checkpoints=off",
    ] {
        postgres.arg("-c").arg(setting);
    }
    postgres.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    postgres.spawn().map_err(|source| PostgresError::Spawn { program: placement.program("postgres"), source })
}

async fn wait_until_ready(placement: &Placement, child: &mut Child) -> Result<(), PostgresError> {
    let log = placement.log_file();
    let deadline = Instant::now() + START_PATIENCE;
    loop {
        if let Some(status) = child.try_wait().map_err(PostgresError::io("wait for", &log))? {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let reason = reason_in(&text).unwrap_or_else(|| status.to_string());
            return Err(PostgresError::Start { reason, log });
        }
        if let Some(file) = PidFile::read(&placement.data_dir())
            && Some(file.pid) == child.id()
            && file.ready
        {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let reason = format!("not ready after {} s", START_PATIENCE.as_secs());
            return Err(PostgresError::Start { reason, log });
        }
        sleep(POLL).await;
    }
}

/// Stops a server that a killed run left behind, and removes the trace of one that is gone.
pub(super) async fn end_stale(placement: &Placement) -> Result<(), PostgresError> {
    let data_dir = placement.data_dir();
    let Some(PidFile { pid, .. }) = PidFile::read(&data_dir) else {
        return Ok(());
    };
    if is_server_of(pid, &data_dir) {
        tracing::info!(pid, "stopping the PostgreSQL of an earlier run");
        if !process::end(pid, Signal::INT, STOP_PATIENCE).await
            && !process::end(pid, Signal::QUIT, FORCE_PATIENCE).await
        {
            return Err(PostgresError::Stale(pid));
        }
    }
    // The server would refuse to start while any process has the old id.
    match fs::remove_file(PidFile::path(&data_dir)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(PostgresError::io("remove", &PidFile::path(&data_dir))(error))
        }
        _ => Ok(()),
    }
}

/// A server works in its data folder; another process that got the same id does not.
fn is_server_of(pid: u32, data_dir: &Path) -> bool {
    let is_postgres = process::command_line(pid).first().is_some_and(|program| program.contains("postgres"));
    process::is_running(pid) && is_postgres && process::working_dir(pid).as_deref() == Some(data_dir)
}

/// Asks for a fast shutdown: clients are disconnected, open transactions rolled back.
pub(super) fn ask_to_stop(pid: u32) {
    process::send(pid, Signal::INT);
}

/// Stops a child, forcing it after a while.
pub(super) async fn stop(mut child: Child) -> Result<(), PostgresError> {
    let Some(pid) = child.id() else {
        return Ok(());
    };
    for (signal, patience) in [(Signal::INT, STOP_PATIENCE), (Signal::QUIT, FORCE_PATIENCE)] {
        process::send(pid, signal);
        if timeout(patience, child.wait()).await.is_ok() {
            return Ok(());
        }
    }
    let _ = child.kill().await;
    Err(PostgresError::Stop((STOP_PATIENCE + FORCE_PATIENCE).as_secs()))
}

/// What the server itself writes about its state.
#[derive(Debug, PartialEq, Eq)]
struct PidFile {
    pid: u32,
    ready: bool,
}

impl PidFile {
    fn path(data_dir: &Path) -> std::path::PathBuf {
        data_dir.join("postmaster.pid")
    }

    fn read(data_dir: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(Self::path(data_dir)).ok()?)
    }

    /// Line 1 is the process id, line 8 the state.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse().ok()?;
        let ready = lines.nth(6).is_some_and(|state| state.trim() == "ready");
        Some(Self { pid, ready })
    }
}

/// The line of a log that says why: the first fatal one, else the first error, else the last line.
pub(super) fn reason_in(log: &str) -> Option<String> {
    let lines = || log.lines().map(str::trim).filter(|line| !line.is_empty());
    let of = |mark: &str| lines().find(|line| line.contains(mark)).map(str::to_owned);
    let line = of("FATAL:").or_else(|| of("PANIC:")).or_else(|| of("rror:")).or_else(|| of("ERROR:"));
    let line = line.or_else(|| lines().next_back().map(str::to_owned))?;
    Some(line.chars().take(300).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_own_file_is_understood() {
        let text = "812\n/data\n1763800000\n5433\n\n127.0.0.1\n  5433 42\nready   \n";
        assert_eq!(PidFile::parse(text), Some(PidFile { pid: 812, ready: true }));
        assert_eq!(
            PidFile::parse(&text.replace("ready", "starting")),
            Some(PidFile { pid: 812, ready: false })
        );
        assert_eq!(PidFile::parse("812\n"), Some(PidFile { pid: 812, ready: false }));
        assert_eq!(PidFile::parse(""), None);
    }

    #[test]
    fn the_reason_is_one_line() {
        let log = "LOG:  starting\nFATAL:  could not create lock file: No space left on device\nHINT: x\n";
        assert_eq!(reason_in(log).unwrap(), "FATAL:  could not create lock file: No space left on device");
        assert_eq!(
            reason_in("initdb: error: directory exists\nhint\n").unwrap(),
            "initdb: error: directory exists"
        );
        assert_eq!(reason_in("a\nb\n\n").unwrap(), "b");
        assert_eq!(reason_in(""), None);
    }

    #[test]
    fn another_process_with_the_same_id_is_left_alone() {
        assert!(!is_server_of(std::process::id(), Path::new("/")));
    }
}
