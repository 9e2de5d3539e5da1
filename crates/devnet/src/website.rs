//! The dashboard's server, on the port that was kept for it.

use std::path::{Path, PathBuf};

use domain::time::Clock;
use service::config::ConfigFile;
use service::lifecycle::Shutdown;
use store::PgPool;
use web::{Bound, Deps, StackInfo, WebConfig};

use crate::ports::ReservedPort;

/// Opens the port that was kept for it. `public_rpc_url` is the node that the dashboard's pages may ask.
///
/// # Errors
/// When the port cannot be opened or the token cannot be stored.
pub fn bind(
    port: ReservedPort,
    public_rpc_url: Option<String>,
    config: &ConfigFile,
    pool: &PgPool,
    state: &Path,
    stack: StackInfo,
    shutdown: &Shutdown,
) -> anyhow::Result<Bound> {
    let mut web: WebConfig = config.section("web")?;
    web.listen_addr = port.address();
    web.public_rpc_url = public_rpc_url;
    web.token_file = token_file(state);
    let token = web::load_or_create_token(&web.token_file, &mut rand::rng())?;
    let bound = web::bind(&web, Deps { pool: pool.clone(), clock: Clock::System, token, stack }, shutdown)?;
    port.release();
    Ok(bound)
}

/// Where the server's access token is kept, below the folder of all state.
#[must_use]
pub fn token_file(state: &Path) -> PathBuf {
    state.join("secrets/web_token")
}
