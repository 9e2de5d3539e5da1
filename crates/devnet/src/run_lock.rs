//! One run at a time in a folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Held as long as the value lives. The kernel lets go of it when the process ends in whatever way, so a lock file
/// that was left behind locks nobody out.
#[derive(Debug)]
pub struct RunLock {
    // Locked while open.
    _file: File,
}

/// Why a folder could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum RunLockError {
    /// Another process uses the folder.
    #[error("process {holder} already uses `{path}`; stop it first, or run with another folder")]
    Taken {
        /// The lock file.
        path: PathBuf,
        /// Id of the process that holds it, as far as known.
        holder: String,
    },
    /// The lock file cannot be written.
    #[error("cannot write `{path}` ({source}); make the folder writable or choose another one")]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl RunLock {
    /// Locks `folder` for the purpose `name`. The folder must exist.
    ///
    /// # Errors
    /// When another process holds it, or the folder cannot be written.
    pub fn take(folder: &Path, name: &str) -> Result<Self, RunLockError> {
        let path = folder.join(format!("{name}.lock"));
        let io = |source| RunLockError::Io { path: path.clone(), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.take(20).read_to_string(&mut holder).map_err(io)?;
                let holder = holder.trim().to_owned();
                return Err(RunLockError::Taken { path, holder });
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        file.set_len(0).map_err(io)?;
        file.rewind().map_err(io)?;
        writeln!(file, "{}", std::process::id()).map_err(io)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_is_refused_until_the_first_ends() {
        let dir = tempfile::tempdir().unwrap();
        let first = RunLock::take(dir.path(), "postgres").unwrap();
        let error = RunLock::take(dir.path(), "postgres").unwrap_err().to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        RunLock::take(dir.path(), "anvil").unwrap();
        drop(first);
        RunLock::take(dir.path(), "postgres").unwrap();
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = RunLock::take(Path::new("/nonexistent"), "x").unwrap_err().to_string();
        assert!(error.contains("/nonexistent/x.lock"), "{error}");
    }
}
