//! A full disk, as the system itself reports it: a process that may not make its files any larger.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "common/append.rs"]
mod append;
#[path = "common/community.rs"]
mod community;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use append::append;
use community::{agent, boundary, meter};
use domain::ids::MeterId;
use meter_agent::outbox::{Order, Outbox, OutboxError};

const METERS: usize = 50;
/// As much as the outbox may grow to, in kilobytes.
const LIMIT_KB: u32 = 3_000;
/// Set for the process that fills its disk; names its outbox.
const ROLE: &str = "BUSBAR_TEST_FULL_DISK";
const MAX_RECORDS: u64 = 1_000_000;

fn meters() -> Vec<MeterId> {
    (1..=METERS).map(meter).collect()
}

/// Fills its outbox until the disk is full, says how many boundaries there was room for, waits for more room,
/// and goes on.
fn fill(file: &Path) {
    let outbox = Outbox::open(file, MAX_RECORDS, 1).unwrap();
    let mut number = 0;
    let error = loop {
        number += 1;
        assert!(number < 1_000, "the limit is not there");
        if let Err(error) = append(&outbox, &agent(), &meters(), number, boundary(number)) {
            break error;
        }
    };
    assert!(matches!(error, OutboxError::Storage(_)), "{error}");
    assert!(error.to_string().contains("check the disk"), "{error}");
    // As long as it is full, nothing is stored, nothing is lost, and what there is can be delivered.
    assert!(append(&outbox, &agent(), &meters(), number, boundary(number)).is_err());
    let stored = u64::try_from(number - 1).unwrap() * u64::try_from(METERS).unwrap();
    assert_eq!(outbox.depth().unwrap(), stored);
    assert_eq!(outbox.pending(Order::OldestFirst, 10).unwrap().len(), 10);
    println!("full {}", number - 1);
    std::io::stdout().flush().unwrap();
    std::io::stdin().lock().read_line(&mut String::new()).unwrap();
    append(&outbox, &agent(), &meters(), number, boundary(number)).expect("there is room again");
    assert_eq!(outbox.depth().unwrap(), stored + u64::try_from(METERS).unwrap());
}

#[test]
#[allow(clippy::disallowed_methods)] // the child is told its part through the environment
fn f44_a_full_disk_drops_nothing_and_is_left_behind_without_a_restart() {
    if let Ok(file) = std::env::var(ROLE) {
        return fill(Path::new(&file));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("outbox.redb");
    // The signal that goes with the limit would end the process; a full disk sends none.
    let script = format!("trap '' XFSZ; ulimit -S -f $(({LIMIT_KB} * 1024 / $1)); shift; exec \"$@\"");
    let mut child = Command::new("sh")
        .args(["-c", &script, "sh", &block_bytes().to_string()])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "f44_a_full_disk_drops_nothing_and_is_left_behind_without_a_restart",
            "--nocapture",
        ])
        .env(ROLE, &file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let full = lines.find_map(|line| Some(line.split("full ").nth(1)?.trim().parse::<i64>().unwrap()));
    let full = full.expect("the disk fills up");
    let (pid, no_limit) = (child.id().to_string(), "--fsize=unlimited:unlimited");
    assert!(Command::new("prlimit").args(["--pid", &pid, no_limit]).status().unwrap().success());
    child.stdin.take().unwrap().write_all(b"more room\n").unwrap();
    lines.for_each(drop);
    assert!(child.wait().unwrap().success());
    // Every record there was room for, once, and one boundary more.
    let outbox = Outbox::open(&file, MAX_RECORDS, 1).unwrap();
    let pending = outbox.pending(Order::OldestFirst, usize::MAX).unwrap();
    let mut numbers: Vec<i64> = pending.iter().filter(|p| p.meter_id == meter(1)).map(|p| p.seq).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=full + 1).collect::<Vec<_>>());
}

/// What this shell's `ulimit -f` counts in: 512 bytes by the standard, 1024 in some.
fn block_bytes() -> u64 {
    let script = "ulimit -S -f 1; exec cat /proc/self/limits";
    let limits = Command::new("sh").args(["-c", script]).output().unwrap().stdout;
    let limits = String::from_utf8(limits).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max file size")).unwrap();
    line.split_whitespace().nth(3).unwrap().parse().unwrap()
}
