//! A private PostgreSQL server for a run, from the binaries of an npm package.
//!
//! It listens on 127.0.0.1 only, has no unix socket, and its one role has a generated password, kept in a file that
//! only the server's user may read. Data outlives the run; the server does not outlive it for long: a normal
//! end stops it, and what a killed run left behind is stopped by the next one.

mod account;
mod binaries;
mod cluster;
mod error;
mod placement;
mod server;

pub use binaries::package_binaries_dir;
pub use error::PostgresError;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use tokio::process::Child;

use crate::ports::ReservedPort;
use crate::run_lock::RunLock;
use placement::Placement;

/// Name of the database and of its only role.
pub const DATABASE: &str = "busbar";

/// What a private server needs to know.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// The folder that holds `bin`, `lib` and `share`; see [`package_binaries_dir`].
    pub binaries_dir: PathBuf,
    /// The folder for the data, for example `.busbar` in the repository. Made when missing.
    pub data_parent_dir: PathBuf,
    /// Where a folder is made instead, if the server's user may not enter the one above. Absolute.
    pub fallback_parent_dir: PathBuf,
    /// The port to take if it is free.
    pub preferred_port: Option<u16>,
    /// Least free space in bytes that a start asks for.
    pub min_free_bytes: u64,
}

impl PostgresOptions {
    /// Options with `/var/tmp` as fallback, any free port and 512 MiB of free space.
    #[must_use]
    pub fn new(binaries_dir: PathBuf, data_parent_dir: PathBuf) -> Self {
        Self {
            binaries_dir,
            data_parent_dir,
            fallback_parent_dir: PathBuf::from("/var/tmp"),
            preferred_port: None,
            min_free_bytes: 512 * 1024 * 1024,
        }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    child: Option<Child>,
    url: String,
    port: u16,
    taken_port: Option<u16>,
    placement: Placement,
    _lock: RunLock,
}

impl Postgres {
    /// Starts a server, after making its data folder if there is none yet, and waits until it accepts connections.
    ///
    /// A server of an earlier run that was killed is stopped first. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Everything in [`PostgresError`], each in one line that says what to do.
    pub async fn start(options: PostgresOptions) -> Result<Self, PostgresError> {
        let placement = Placement::choose(&options)?;
        let lock = RunLock::take(&placement.base_dir, "postgres")?;
        placement::check_free_space(&placement.base_dir, options.min_free_bytes)?;
        server::end_stale(&placement).await?;
        cluster::create_if_missing(&placement).await?;
        let password = cluster::password(&placement)?;
        let mut reserved = ReservedPort::new(options.preferred_port).map_err(PostgresError::Port)?;
        let mut taken_port = reserved.taken();
        let child = match server::launch(&placement, reserved.port()).await {
            // Another program has listened on the preferred port meanwhile; other runs keep off it.
            Err(error) if error.is_port_taken() && options.preferred_port.is_some() => {
                taken_port = options.preferred_port;
                reserved = ReservedPort::new(None).map_err(PostgresError::Port)?;
                server::launch(&placement, reserved.port()).await?
            }
            launched => launched?,
        };
        let port = reserved.port();
        reserved.release();
        let url = format!("postgres://{DATABASE}:{password}@127.0.0.1:{port}/{DATABASE}");
        Ok(Self { child: Some(child), url, port, taken_port, placement, _lock: lock })
    }

    /// Deletes the data, for a run that starts over. A server that still uses it is stopped first.
    ///
    /// # Errors
    /// When another run uses the folder or it cannot be deleted.
    pub async fn erase(options: &PostgresOptions) -> Result<(), PostgresError> {
        let placement = Placement::choose(options)?;
        let _lock = RunLock::take(&placement.base_dir, "postgres")?;
        server::end_stale(&placement).await?;
        cluster::remove(&placement)
    }

    /// The connection URL, password included: for the services, not for a log.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The preferred port, if it was taken and another one stands in for it.
    #[must_use]
    pub fn taken_port(&self) -> Option<u16> {
        self.taken_port
    }

    /// The folder with the data.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.placement.data_dir()
    }

    /// The server's log, emptied at each start.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.placement.log_file()
    }

    /// One line for people: where it listens, where the data lies and whose process it is.
    #[must_use]
    pub fn notice(&self) -> String {
        let mut line = format!("PostgreSQL on 127.0.0.1:{}", self.port);
        if let Some(taken) = self.taken_port {
            line.push_str(&format!(" (port {taken} is taken)"));
        }
        line.push_str(&format!(", data in {}", self.data_dir().display()));
        if let Some(account) = &self.placement.account {
            line.push_str(&format!(", as user {}", account.name));
        }
        line
    }

    /// Waits until the server ends, which it does not by itself while all is well.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        match &mut self.child {
            Some(child) => child.wait().await,
            None => std::future::pending().await,
        }
    }

    /// Stops the server: open transactions are rolled back and the data is left clean.
    ///
    /// # Errors
    /// When it has not ended after half a minute and had to be killed. Its data is safe, the next start
    /// recovers.
    pub async fn stop(mut self) -> Result<(), PostgresError> {
        match self.child.take() {
            Some(child) => server::stop(child).await,
            None => Ok(()),
        }
    }
}

impl Drop for Postgres {
    /// A run that ends without [`Postgres::stop`] still asks the server to end; nobody waits for it.
    fn drop(&mut self) {
        if let Some(pid) = self.child.as_ref().and_then(Child::id) {
            server::ask_to_stop(pid);
        }
    }
}

/// The folder of the server's data inside its cluster folder.
fn data_dir_of(cluster_dir: &Path) -> PathBuf {
    cluster_dir.join("data")
}
