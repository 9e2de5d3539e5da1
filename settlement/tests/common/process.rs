//! The program itself: its configuration, its key, and the process.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use settlement::chain::TokenScale;
use settlement::chain::evm::{EvmChain, NodeSettings, SignerKey};
use store::PgPool;

use super::anvil::{Anvil, CHAIN_ID, ETHER_WEI};

/// How often the process is killed in the tests of every day; `BUSBAR_KILLS` sets another number.
const KILLS: i64 = 4;

/// How often it is to be killed.
#[allow(clippy::disallowed_methods)] // a longer run is asked for from outside
pub fn kills() -> i64 {
    std::env::var("BUSBAR_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS)
}

/// The chain with the key that the process will open: its keystore is made at the first call.
pub async fn chain(anvil: &Anvil, folder: &Path) -> EvmChain {
    let mut byte = 0x40;
    let random = || {
        byte += 1;
        [byte; 32]
    };
    let (keystore, password) = (folder.join("keystore"), folder.join("password"));
    let key = SignerKey::open_or_create(&keystore, &password, random).unwrap();
    let settings = NodeSettings {
        rpc_urls: vec![anvil.url().parse().unwrap()],
        chain_id: CHAIN_ID,
        request_timeout: Duration::from_secs(5),
        lowest_max_fee_wei: 3_000_000_000,
        scale: TokenScale::ETHER,
    };
    let chain = EvmChain::new(settings, &key).unwrap();
    chain.fund_on_development_chain(1_000 * ETHER_WEI).await.unwrap();
    chain
}

/// What the process is told beside its database and its key.
pub struct Settings<'a> {
    /// The node, such as `http://127.0.0.1:8545`.
    pub rpc_url: &'a str,
    /// Lines of `[chain]`.
    pub chain: &'a str,
    /// Lines of `[settlement]`.
    pub settlement: &'a str,
}

fn command(folder: &Path, pool: &PgPool, settings: &Settings<'_>) -> Command {
    let options = pool.connect_options();
    let (host, port) = (options.get_host(), options.get_port());
    let (user, database) = (options.get_username(), options.get_database().unwrap());
    let Settings { rpc_url, chain, settlement } = settings;
    let config = format!(
        "[database]\nurl = 'postgres://{user}@{host}:{port}/{database}'\nmax_connections = 3\n{}\n\
         [chain]\nrpc_url = '{rpc_url}'\nsigner_keystore_file = '{}'\nsigner_password_file = '{}'\n{chain}\n\
         [settlement]\n{settlement}\n[telemetry]\nlog_filter = 'warn'\n",
        database_password(folder),
        folder.join("keystore").display(),
        folder.join("password").display()
    );
    let file = folder.join("busbar.toml");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_settlement"));
    command.arg("--config").arg(&file).stdin(Stdio::null());
    command
}

/// The line that names the file of the tests' database password, where the server asks for one. Connections do not tell
/// their password, so it is taken from where they have it.
#[allow(clippy::disallowed_methods)]
fn database_password(folder: &Path) -> String {
    let url = url::Url::parse(&std::env::var("DATABASE_URL").unwrap()).unwrap();
    let Some(password) = url.password() else { return String::new() };
    let file = folder.join("database-password");
    std::fs::write(&file, password).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    format!("password_file = '{}'", file.display())
}

/// The service, until it is killed.
pub fn start(folder: &Path, pool: &PgPool, settings: &Settings<'_>) -> Child {
    command(folder, pool, settings).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// The service that is expected to end by itself.
pub fn refused(folder: &Path, pool: &PgPool, settings: &Settings<'_>) -> Output {
    command(folder, pool, settings).output().unwrap()
}

/// SIGKILL, as a power cut would end it.
pub fn kill(mut process: Child) {
    process.kill().unwrap();
    process.wait().unwrap();
}
