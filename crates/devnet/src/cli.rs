//! The command line of `busbar`.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand};
use domain::slot::SlotLength;

use crate::real_meter::RealMeter;

/// A whole energy community on this machine: real parts, simulated devices.
#[derive(Debug, Parser)]
#[command(name = "busbar", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands of `busbar`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs a community: neighbours trade real profiles, and each slot ends as token transfers.
    ///
    /// Starts PostgreSQL, an MQTT broker, an EVM chain, simulated meters and every service, and prints the
    /// dashboard's address and a line a slot. Ctrl-C stops it; the same command goes on from what was stored.
    ///
    /// Exit status: 0 if all sums hold, 1 if one does not, 2 if something has to be mended first.
    Demo(DemoArgs),
    /// Runs a command with DATABASE_URL set to a private PostgreSQL that ends with it.
    WithPostgres(WithPostgresArgs),
}

/// Options of `busbar demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// A folder with `sites.csv` and `profiles.csv` (format: crates/devnet/data/README.md).
    #[arg(
        long,
        value_name = "DIR",
        default_value = "crates/devnet/data/simbench-lv-rural",
        overrides_with = "data"
    )]
    pub data: PathBuf,
    /// The length of a slot, such as `10s`, `30s` or `15m`; each carries one row of the profile.
    #[arg(long, value_name = "LENGTH", default_value = "30s", value_parser = parse_slot)]
    pub slot: SlotLength,
    /// Ends after this many more slots are settled; without it, runs until Ctrl-C.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub slots: Option<u32>,
    /// Prints a last line for machines, as JSON.
    #[arg(long)]
    pub json: bool,
    /// Starts over: deletes what this community has stored in the state folder.
    #[arg(long)]
    pub fresh: bool,
    /// Where everything is stored [default: a folder in .busbar for each data folder and slot length].
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The configuration; what it leaves open has the demonstration's defaults.
    #[arg(long, value_name = "FILE", env = "BUSBAR_CONFIG")]
    pub config: Option<PathBuf>,
    /// The dashboard's port, if it is free.
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub port: u16,
    /// How many sites one meter agent reads.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub sites_per_agent: u16,
    /// Reads a real meter for a site in place of the simulated one; may be given several times.
    #[arg(long = "meter", value_name = "SITE=TEMPLATE,ENDPOINT[,UNIT or TOPIC]")]
    pub meters: Vec<RealMeter>,
    /// What is logged to the state folder's busbar.log.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub log: String,
    /// An existing PostgreSQL to use instead of a private one; its database must be this community's alone.
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// An existing MQTT 5 broker to use instead of the embedded one, `mqtt://HOST:PORT`.
    #[arg(long, value_name = "URL", env = "MQTT_URL", hide_env_values = true)]
    pub mqtt_url: Option<String>,
    /// An existing development chain's JSON-RPC to use instead of a private anvil.
    #[arg(long, value_name = "URL", env = "CHAIN_RPC_URL", hide_env_values = true)]
    pub chain_rpc_url: Option<String>,
    /// The chain's id; checked against what the node says.
    #[arg(long, value_name = "ID", env = "CHAIN_ID", default_value_t = 31_337)]
    pub chain_id: u64,
}

/// Options of `busbar with-postgres`.
#[derive(Debug, Clone, Args)]
pub struct WithPostgresArgs {
    /// Where the server's data lies.
    #[arg(long, value_name = "DIR", default_value = ".busbar/test")]
    pub state: PathBuf,
    /// Applies the migrations first.
    #[arg(long)]
    pub migrate: bool,
    /// The command and its arguments.
    #[arg(required = true, last = true)]
    pub command: Vec<String>,
}

/// Reads `10s`, `5m`, or a number of seconds.
fn parse_slot(text: &str) -> Result<SlotLength, String> {
    let (number, factor) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let seconds = number
        .parse::<u32>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| "name a length such as 10s, 30s or 15m".to_owned())?;
    SlotLength::from_seconds(seconds).map_err(|error| error.to_string())
}

impl DemoArgs {
    /// The community's id: the name of the data folder, as far as an id allows.
    #[must_use]
    pub fn community_name(&self) -> String {
        let absolute = std::path::absolute(&self.data).unwrap_or_else(|_| self.data.clone());
        let name = absolute.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let cleaned: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' })
            .take(domain::ids::MAX_ID_BYTES)
            .collect();
        if cleaned.is_empty() { "community".to_owned() } else { cleaned }
    }

    /// The folder of all state: the named one, or one for each data folder and slot length, so that two
    /// communities never mix.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.state.clone().unwrap_or_else(|| {
            let absolute = std::path::absolute(&self.data).unwrap_or_else(|_| self.data.clone());
            let place = crate::hash::fnv1a(absolute.as_os_str().as_encoded_bytes());
            let name = self.community_name();
            PathBuf::from(format!(".busbar/demo-{name}-{:08x}-{}s", place >> 32, self.slot.seconds()))
        })
    }
}

/// The first slot start that leaves the devices time to be read at it.
#[must_use]
pub fn first_opening(now: DateTime<Utc>, slot: SlotLength) -> DateTime<Utc> {
    domain::slot::Slot::at_or_after(now + chrono::TimeDelta::seconds(2), slot).start()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn slot_lengths_have_units() {
        assert_eq!(parse_slot("10s").unwrap().seconds(), 10);
        assert_eq!(parse_slot("15m").unwrap().seconds(), 900);
        assert_eq!(parse_slot("30").unwrap().seconds(), 30);
        for bad in ["", "s", "7s", "-1s", "1h", "99999999999m", "4294967295m"] {
            assert!(parse_slot(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn two_communities_do_not_share_a_folder() {
        let parse = |words: &[&str]| match Cli::parse_from(words).command {
            Command::Demo(args) => args,
            Command::WithPostgres(_) => panic!("not a demo"),
        };
        let a = parse(&["busbar", "demo", "--data", "a/village"]);
        let b = parse(&["busbar", "demo", "--data", "b/village"]);
        assert_eq!(a.community_name(), "village");
        assert_ne!(a.state_dir(), b.state_dir());
        let short = parse(&["busbar", "demo", "--data", "a/village", "--slot", "10s"]);
        assert_ne!(a.state_dir(), short.state_dir());
    }
}
