//! Starting and stopping the server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{HttpServer, web};
use chrono::{DateTime, Utc};
use domain::time::Clock;
use service::lifecycle::Shutdown;
use service::secret::Secret;
use store::PgPool;
use store::notify::{self, HINTS_KEPT};
use tokio::sync::{Semaphore, broadcast};

use crate::app::{AppState, app};
use crate::config::{InvalidWebConfig, WebConfig};
use crate::live::journal::Journal;
use crate::metrics::Metrics;
use crate::routes::commands::decisions::{self, Watch};
use crate::routes::orders::inbox::{self, Waiting};
use crate::routes::orders::limit::CommandLimit;

const KEEP_ALIVE: Duration = Duration::from_secs(75);
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
const DISCONNECT_WITHIN: Duration = Duration::from_secs(2);
const SOFT_STOP_S: u64 = 10;

/// What the server is given by whoever starts it.
#[derive(Debug, Clone)]
pub struct Deps {
    /// The database, migrated.
    pub pool: PgPool,
    /// The time.
    pub clock: Clock,
    /// The bearer token of the routes that write.
    pub token: Secret,
    /// What `GET /api/v1/stack` tells about the stack around this server.
    pub stack: StackInfo,
}

/// What is known about the stack around this server.
#[derive(Debug, Clone)]
pub struct StackInfo {
    /// Demonstration or production.
    pub mode: Mode,
    /// What whoever started the stack wants to be read, such as ports that were taken.
    pub notes: Vec<String>,
    /// When the stack was started.
    pub started_at: DateTime<Utc>,
    /// How many seconds of the profile one slot carries, where a demonstration runs faster than life.
    pub profile_seconds_per_slot: Option<u32>,
}

/// What the stack is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Simulated devices.
    Demonstration,
    /// Real members.
    Production,
}

/// The server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting cannot be used.
    #[error(transparent)]
    Config(#[from] InvalidWebConfig),
    /// Another process has the port.
    #[error(
        "cannot listen on {addr}: the port is in use; stop what uses it, or choose another with \
         [web] listen_addr (BUSBAR_WEB__LISTEN_ADDR)"
    )]
    PortInUse {
        /// The address.
        addr: SocketAddr,
    },
    /// The system does not let the server listen.
    #[error("cannot listen on {addr}: {source}; check [web] listen_addr")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A metric cannot be registered.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// A server that listens; requests are answered once it is served.
pub struct Bound {
    addr: SocketAddr,
    server: Server,
    state: web::Data<AppState>,
    waiting: Waiting,
    watch: Watch,
}

/// Opens the port. From here on the address is known, also where port 0 was asked for.
///
/// # Errors
/// [`StartError`] with what to mend; [`StartError::PortInUse`] lets a caller try another port.
pub fn bind(config: &WebConfig, deps: Deps, shutdown: &Shutdown) -> Result<Bound, StartError> {
    config.validate()?;
    let (inbox, waiting) = inbox::inbox();
    let (decisions, watch) = decisions::decisions();
    let state = web::Data::new(AppState {
        pool: deps.pool,
        journal: Journal::new(deps.clock.now()),
        inbox,
        decisions,
        command_limit: CommandLimit::new(config.max_commands_per_second),
        clock: deps.clock,
        token: deps.token,
        stack: deps.stack,
        hints: broadcast::channel(HINTS_KEPT).0,
        live_places: Arc::new(Semaphore::new(config.max_live_clients)),
        decision_wait: config.decision_wait(),
        trees: store::receipts::Trees::default(),
        public_origin: config.public_origin.clone(),
        public_rpc_url: config.public_rpc_url.clone(),
        request_timeout: config.request_timeout(),
        metrics: Metrics::new()?,
        shutdown: shutdown.clone(),
    });
    let addr = config.listen_addr;
    let shared = state.clone();
    let server = HttpServer::new(move || app(shared.clone()))
        .workers(config.workers)
        .max_connections(config.max_connections)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEADERS_WITHIN)
        .client_disconnect_timeout(DISCONNECT_WITHIN)
        // A live client that closes its connection leaves its place at once, not at the next event.
        .h1_allow_half_closed(false)
        .shutdown_timeout(SOFT_STOP_S)
        .disable_signals()
        .bind(addr)
        .map_err(|source| match source.kind() {
            std::io::ErrorKind::AddrInUse => StartError::PortInUse { addr },
            _ => StartError::Listen { addr, source },
        })?;
    let addr = server.addrs().first().copied().unwrap_or(addr);
    Ok(Bound { addr, server: server.run(), state, waiting, watch })
}

impl Bound {
    /// Where the server listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers requests until a stop is asked for, then lets those under way finish.
    ///
    /// # Errors
    /// The operating system's error if the server ends by itself.
    pub async fn serve(self) -> anyhow::Result<()> {
        if !self.addr.ip().is_loopback() {
            tracing::warn!(
                addr = %self.addr,
                "the server can be reached from other machines, and reading needs no token: guard it by a proxy"
            );
        }
        tracing::info!(url = %format!("http://{}/", self.addr), "serving the dashboard and the API");
        let (pool, hints) = (&self.state.pool, &self.state.hints);
        let tasks = [
            tokio::spawn(self.state.journal.clone().write(hints.subscribe())),
            tokio::spawn(self.watch.run(pool.clone(), hints.subscribe())),
            tokio::spawn(self.waiting.store_all(pool.clone())),
            tokio::spawn(notify::pump(pool.clone(), hints.clone())),
        ];
        let handle = self.server.handle();
        let shutdown = self.state.shutdown.clone();
        let stopper = tokio::spawn(async move {
            shutdown.stopped().await;
            handle.stop(true).await;
        });
        let result = self.server.await;
        stopper.abort();
        // The server has answered every request: nothing waits in them any more.
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        Ok(result?)
    }
}

/// Runs the server until a stop is asked for.
///
/// # Errors
/// [`StartError`] if it cannot listen, or the operating system's error if it ends by itself.
pub async fn run(config: WebConfig, deps: Deps, shutdown: Shutdown) -> anyhow::Result<()> {
    bind(&config, deps, &shutdown)?.serve().await
}
