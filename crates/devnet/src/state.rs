//! The folder of everything a run stores: made, locked, and erased for a fresh start.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tracing_subscriber::EnvFilter;

use crate::cli::DemoArgs;
use crate::parts::postgres_options;
use crate::postgres::Postgres;
use crate::run_lock::RunLock;

/// The state folder, held by this run alone.
#[derive(Debug)]
pub struct State {
    dir: PathBuf,
    _lock: RunLock,
}

impl State {
    /// Makes the folder and takes its lock; with `--fresh`, erases what an earlier run stored.
    ///
    /// # Errors
    /// When the folder cannot be written or another run uses it.
    pub async fn open(args: &DemoArgs) -> anyhow::Result<Self> {
        let dir = args.state_dir();
        fs::create_dir_all(&dir).with_context(|| {
            format!("cannot make the folder {}; name another with --state", dir.display())
        })?;
        let dir = std::path::absolute(&dir)?;
        let lock = RunLock::take(&dir, "demo")?;
        if args.fresh {
            if args.database_url.is_some() {
                bail!(
                    "--fresh cannot erase the database in DATABASE_URL: drop and create it yourself, then leave --fresh away"
                );
            }
            Postgres::erase(&postgres_options(&dir)).await?;
            erase(&dir, "demo.lock")?;
        }
        Ok(Self { dir, _lock: lock })
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Sends the log to `busbar.log` in the folder, so that the terminal shows the slots alone.
    ///
    /// # Errors
    /// A filter that cannot be used, or a file that cannot be written.
    pub fn log(&self, filter: &str) -> anyhow::Result<PathBuf> {
        let path = self.dir.join("busbar.log");
        let file = fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        // The embedded broker reports the readiness probes as broken connections.
        let filter = EnvFilter::try_new(format!("{filter},rumqttd=off"))
            .with_context(|| format!("--log {filter} is not a filter such as `info` or `market=debug`"))?;
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(false)
            .with_writer(std::sync::Mutex::new(file))
            .try_init()
            .map_err(|error| anyhow::anyhow!("cannot set up the log: {error}"))?;
        Ok(path)
    }
}

/// Removes everything in `dir` but the file `kept`.
fn erase(dir: &Path, kept: &str) -> anyhow::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name == kept) {
            continue;
        }
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erasing_keeps_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("agents/a")).unwrap();
        fs::write(folder.path().join("agents/a/outbox"), "x").unwrap();
        fs::write(folder.path().join("demo.lock"), "1").unwrap();
        erase(folder.path(), "demo.lock").unwrap();
        let left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["demo.lock"]);
    }
}
