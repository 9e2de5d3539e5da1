//! Processes of an earlier run: are they still there, are they what we think, and how are they ended?
//!
//! A run that is killed with SIGKILL cannot stop its children. The next run finds their ids in files, but an id
//! may meanwhile belong to somebody else: so a process is only touched after a look at what it is.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

/// How often the end of a process is looked for.
const POLL: Duration = Duration::from_millis(20);

/// Whether a process with this id runs. One that has ended but was not yet collected by its parent does not.
#[must_use]
pub fn is_running(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat_says_running(&stat))
}

/// Reads a line of `/proc/PID/stat` (proc(5)): after the name comes the state, and 17 fields on the number of threads.
fn stat_says_running(stat: &str) -> bool {
    // The name in parentheses may hold anything, so the fields are counted from the last parenthesis.
    let Some((_, rest)) = stat.rsplit_once(')') else {
        return false;
    };
    let mut fields = rest.split_ascii_whitespace();
    match fields.next() {
        None | Some("X") => false,
        // The state is that of the first thread; while others go on ending, files and ports are still held.
        Some("Z") => {
            fields.nth(16).and_then(|threads| threads.parse().ok()).is_some_and(|threads: u32| threads > 1)
        }
        Some(_) => true,
    }
}

/// The program and its arguments, empty if there is no such process.
#[must_use]
pub fn command_line(pid: u32) -> Vec<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bytes
        .split(|&byte| byte == 0)
        .filter(|part| !part.is_empty())
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect()
}

/// The folder that the process works in, if it may be seen.
#[must_use]
pub fn working_dir(pid: u32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

/// Sends `signal` and waits up to `patience` for the process to end; `false` if it is still there.
pub async fn end(pid: u32, signal: Signal, patience: Duration) -> bool {
    send(pid, signal);
    let deadline = Instant::now() + patience;
    while is_running(pid) {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(POLL).await;
    }
    true
}

/// Sends `signal` if the process is there. Whether it arrived shows in whether the process ends.
pub fn send(pid: u32, signal: Signal) {
    // Id 0 and negative ids would mean whole groups.
    let pid = i32::try_from(pid).ok().filter(|&pid| pid > 1).and_then(Pid::from_raw);
    if let Some(pid) = pid
        && let Err(error) = kill_process(pid, signal)
    {
        tracing::debug!(?pid, ?signal, %error, "the signal could not be sent");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[tokio::test]
    async fn a_child_is_seen_recognised_and_ended() {
        let mut child = Command::new("sleep").arg("600").current_dir("/").spawn().unwrap();
        let pid = child.id();
        assert!(is_running(pid));
        assert_eq!(working_dir(pid), Some(PathBuf::from("/")));
        while command_line(pid).first().is_none_or(|program| program != "sleep") {
            sleep(POLL).await; // until the child has become the program
        }
        assert_eq!(command_line(pid), ["sleep", "600"]);
        // Not yet collected, it counts as ended all the same.
        assert!(end(pid, Signal::KILL, Duration::from_secs(10)).await);
        child.wait().unwrap();
        assert!(!is_running(pid));
        assert!(command_line(pid).is_empty());
    }

    #[test]
    fn a_process_has_ended_when_its_last_thread_has() {
        let stat = |state, threads| {
            format!("7 (a) b) {state} 1 7 7 0 -1 4 0 0 0 0 1 2 3 4 20 0 {threads} 0 99 1000 5")
        };
        assert!(stat_says_running(&stat("S", 4)));
        assert!(stat_says_running(&stat("Z", 2)), "its other thread still holds its ports");
        assert!(!stat_says_running(&stat("Z", 1)));
        assert!(!stat_says_running(&stat("X", 1)));
        assert!(!stat_says_running(""));
    }

    #[test]
    fn this_process_runs() {
        assert!(is_running(std::process::id()));
    }
}
