//! A local EVM chain for a run that brings none of its own: anvil, as a child process.
//!
//! Its state is kept in memory only. What has to survive a restart is in our own rows, from where it is sent again.

mod child;
mod rpc;

pub use rpc::RpcError;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use tokio::process::Child;
use url::Url;

use crate::ports::ReservedPort;
use crate::run_lock::{RunLock, RunLockError};
use rpc::Rpc;

/// When blocks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mining {
    /// One block every so many seconds, as on a public chain.
    Interval {
        /// Seconds between two blocks, at least 1.
        seconds: u32,
    },
    /// A block for each transaction at once, and an empty one every so many seconds, so that confirmations go on.
    Automine {
        /// Seconds between two blocks, at least 1.
        seconds: u32,
    },
}

/// What a local chain needs to know.
#[derive(Debug, Clone)]
pub struct AnvilOptions {
    /// The program; see [`package_binary`].
    pub binary: PathBuf,
    /// A folder for the id of the process and its scratch files. Made when missing.
    pub run_dir: PathBuf,
    /// The chain's id (EIP-155).
    pub chain_id: u64,
    /// When blocks are made.
    pub mining: Mining,
    /// The port to take if it is free.
    pub preferred_port: Option<u16>,
    /// Whose pages a browser lets ask the node, such as `http://127.0.0.1:8080`; nobody's without it. Never
    /// everybody's: the node has methods that move any balance.
    pub allowed_origin: Option<String>,
}

/// The chain id that the node at `url` serves.
///
/// # Errors
/// When it does not answer.
pub async fn chain_id_of(url: &Url) -> Result<u64, RpcError> {
    Rpc::new(url.clone())?.chain_id().await
}

/// The program after `npm ci` in `contracts_dir`, for this machine's architecture. Not the script in
/// `node_modules/.bin`: that one starts the program as a child of its own, which would outlive it.
#[must_use]
pub fn package_binary(contracts_dir: &Path) -> PathBuf {
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    contracts_dir.join(format!("node_modules/@foundry-rs/anvil-linux-{arch}/bin/anvil"))
}

/// Why there is no local chain.
#[derive(Debug, thiserror::Error)]
pub enum AnvilError {
    /// The npm package is not installed.
    #[error("anvil is missing (`{0}`); run `make setup`, or set CHAIN_RPC_URL to a node of your own")]
    BinaryMissing(PathBuf),
    /// The program could not be run.
    #[error("cannot run `{program}` ({source}); run `make setup` again")]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error(
        "cannot write `{path}` ({source}); make the folder writable for this user, or choose another one"
    )]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another run uses the folder.
    #[error(transparent)]
    Locked(#[from] RunLockError),
    /// No port could be bound.
    #[error("no free port on 127.0.0.1 ({0}); check the machine's network set-up")]
    Port(io::Error),
    /// The process ended or did not answer.
    #[error("anvil did not start: {0}")]
    Start(String),
    /// An earlier process does not end.
    #[error("an earlier anvil (process {0}) does not stop; end that process and start again")]
    Stale(u32),
    /// The node answers, but not as it should.
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

/// A running local chain. The process ends with this value.
#[derive(Debug)]
pub struct Anvil {
    child: Child,
    url: Url,
    chain_id: u64,
    taken_port: Option<u16>,
    rpc: Rpc,
    pid_file: PathBuf,
    _lock: RunLock,
}

impl Anvil {
    /// Starts the node and waits until it answers with the right chain id.
    ///
    /// A node that a killed run left behind is ended first. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Everything in [`AnvilError`], each in one line that says what to do.
    pub async fn start(options: AnvilOptions) -> Result<Self, AnvilError> {
        if !options.binary.is_file() {
            return Err(AnvilError::BinaryMissing(options.binary));
        }
        // The program starts in the run folder, from where relative paths would lead elsewhere.
        let absolute = |path: &Path| {
            path.canonicalize().map_err(|source| AnvilError::Io { path: path.to_owned(), source })
        };
        std::fs::create_dir_all(&options.run_dir)
            .map_err(|source| AnvilError::Io { path: options.run_dir.clone(), source })?;
        let (binary, run_dir) = (absolute(&options.binary)?, absolute(&options.run_dir)?);
        let options = AnvilOptions { binary, run_dir, ..options };
        let lock = RunLock::take(&options.run_dir, "anvil")?;
        let pid_file = options.run_dir.join("anvil.pid");
        child::end_stale(&pid_file).await?;
        let reserved = ReservedPort::new(options.preferred_port).map_err(AnvilError::Port)?;
        let url = Url::parse(&format!("http://{}/", reserved.address()))
            .map_err(|error| AnvilError::Start(error.to_string()))?;
        let rpc = Rpc::new(url.clone())?;
        let mut child = child::spawn(&options, reserved.port(), &pid_file)?;
        child::wait_until_ready(&mut child, &rpc, options.chain_id).await?;
        let taken_port = reserved.taken();
        reserved.release();
        Ok(Self { child, url, chain_id: options.chain_id, taken_port, rpc, pid_file, _lock: lock })
    }

    /// The JSON-RPC URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The chain's id.
    #[must_use]
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The preferred port, if it was taken and another one stands in for it.
    #[must_use]
    pub fn taken_port(&self) -> Option<u16> {
        self.taken_port
    }

    /// One line for people.
    #[must_use]
    pub fn notice(&self) -> String {
        let mut line = format!("chain {} (anvil) on {}", self.chain_id, self.url);
        if let Some(taken) = self.taken_port {
            line.push_str(&format!(" (port {taken} is taken)"));
        }
        line
    }

    /// Sets the native balance of an account, so that it can pay for gas. `address` is `0x` and 40 hex digits.
    ///
    /// # Errors
    /// When the address is malformed or the node refuses.
    pub async fn set_balance(&self, address: &str, balance_wei: u128) -> Result<(), RpcError> {
        self.rpc.set_balance(address, balance_wei).await
    }

    /// Waits until the process ends, which it does not by itself while all is well.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Ends the process, if it has not ended yet.
    ///
    /// # Errors
    /// When it cannot be ended or waited for.
    pub async fn stop(mut self) -> Result<(), AnvilError> {
        let path = self.pid_file.clone();
        if self.child.id().is_some() {
            // It keeps nothing, so there is nothing that it would have to finish.
            self.child.kill().await.map_err(|source| AnvilError::Io { path: path.clone(), source })?;
        }
        std::fs::remove_file(&path).map_err(|source| AnvilError::Io { path, source })
    }
}
