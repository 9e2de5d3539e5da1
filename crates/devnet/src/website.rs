//! The dashboard's server, on the port that was asked for or a free one.

use std::net::SocketAddr;
use std::path::Path;

use domain::time::Clock;
use service::config::ConfigFile;
use service::lifecycle::Shutdown;
use store::PgPool;
use web::{Bound, Deps, Mode, StackInfo, StartError, WebConfig};

use crate::cli::DemoArgs;

/// Opens the port; when it is taken, a free one, and says so in `notes`, which the dashboard shows.
///
/// # Errors
/// When no port can be opened or the token cannot be stored.
pub fn bind(
    config: &ConfigFile,
    args: &DemoArgs,
    pool: &PgPool,
    state: &Path,
    notes: &mut Vec<String>,
    profile_seconds_per_slot: u32,
    shutdown: &Shutdown,
) -> anyhow::Result<Bound> {
    let clock = Clock::System;
    let mut web: WebConfig = config.section("web")?;
    web.listen_addr = SocketAddr::from(([127, 0, 0, 1], args.port));
    web.token_file = state.join("secrets/web_token");
    let token = web::load_or_create_token(&web.token_file, &mut rand::rng())?;
    let deps = |notes: &[String]| Deps {
        pool: pool.clone(),
        clock: clock.clone(),
        token: token.clone(),
        stack: StackInfo {
            mode: Mode::Demonstration,
            notes: notes.to_vec(),
            started_at: clock.now(),
            profile_seconds_per_slot: Some(profile_seconds_per_slot),
        },
    };
    match web::bind(&web, deps(notes), shutdown) {
        Err(StartError::PortInUse { .. }) => {
            notes.push(format!("port {} is taken, so the dashboard has another one", args.port));
            web.listen_addr.set_port(0);
            Ok(web::bind(&web, deps(notes), shutdown)?)
        }
        bound => Ok(bound?),
    }
}
