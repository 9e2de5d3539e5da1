//! How long it takes from the end of a slot until its money has moved on the chain for good: the whole
//! demonstration in this process, with communities of 13, 104 and 1,000 sites.
//!
//! What is measured is in the rows: a slot's end, and when its batch became final (one confirmation, on a
//! development chain that makes a block at once). In between lie the readings of every meter, signed, sent and
//! stored; the closing auction; pricing; and the transaction. Where the time goes is on standard error.
//!
//! A meter is read within a tenth of a slot after its end. With 1,000 simulated meters, their agents, PostgreSQL, broker
//! and chain on one machine that is what runs out first, so slots are longer there; in production a tenth is 90 s.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

#[path = "../../../market/benches/figures/figure.rs"]
mod figure;

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use clap::Parser;
use devnet::cli::{Cli, Command, DemoArgs};
use devnet::dataset::DataSet;
use devnet::opening::begin_lively;
use devnet::stack::Stack;
use devnet::state::State;
use domain::ids::CommunityId;
use domain::time::Clock;
use figure::Figure;
use store::PgPool;

/// So many rows of the profile are more than any run takes.
const ROWS: usize = 96;
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A run that takes so many slots longer than it should is over; it prints the slots that were final until then. A slot
/// with a meter that was not read in time waits six slots for it.
const SLOTS_LONGER: usize = 8;
/// How long it may take until the credits of the start are there.
const START_LIMIT: Duration = Duration::from_secs(120);

/// A community to run.
struct Run {
    sites: usize,
    /// How long a slot is: a thousand simulated meters on two cores need longer ones.
    slot: &'static str,
    slot_s: u64,
    /// How many slots are measured.
    slots: usize,
    sites_per_agent: &'static str,
}

const RUNS: [Run; 3] = [
    Run { sites: 13, slot: "10s", slot_s: 10, slots: 8, sites_per_agent: "16" },
    Run { sites: 104, slot: "10s", slot_s: 10, slots: 8, sites_per_agent: "16" },
    Run { sites: 1_000, slot: "60s", slot_s: 60, slots: 4, sites_per_agent: "64" },
];

impl Run {
    fn limit(&self) -> Duration {
        let slots = u32::try_from(self.slots + SLOTS_LONGER).unwrap();
        START_LIMIT + Duration::from_secs(self.slot_s) * slots
    }
}

fn main() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/simbench-lv-rural");
    let mut data = DataSet::read(&data).unwrap();
    begin_lively(&mut data);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // `cargo bench ... -- 13 104` runs these alone.
    let asked: Vec<usize> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    for run in RUNS.into_iter().filter(|run| asked.is_empty() || asked.contains(&run.sites)) {
        let mut latencies_ms = runtime.block_on(measure(&run, grown(&data, run.sites)));
        latencies_ms.sort_unstable();
        if latencies_ms.is_empty() {
            eprintln!("no slot of {} sites became final within {} s", run.sites, run.limit().as_secs());
            continue;
        }
        eprintln!("{} sites: {} slots of {}", run.sites, latencies_ms.len(), run.slot);
        for (name, part) in [("p50", 50), ("p95", 95)] {
            let at = (latencies_ms.len() * part).div_ceil(100).saturating_sub(1);
            let bench = format!("settlement/slot_end_to_final_{}_sites_{name}", run.sites);
            Figure::new(bench, f64::from(i32::try_from(latencies_ms[at]).unwrap()), "ms").print();
        }
    }
}

/// The same village, so many times that it has `sites` sites. Each copy lives some quarter-hours later, so that
/// they do not all do the same at once; nothing is random.
fn grown(village: &DataSet, sites: usize) -> DataSet {
    let (houses, all_rows) = (village.sites.len(), village.rows.len());
    let mut grown = village.clone();
    grown.sites = (0..sites)
        .map(|i| {
            let mut site = village.sites[i % houses].clone();
            if i >= houses {
                site.id = format!("{}-{}", site.id, i / houses);
            }
            site
        })
        .collect();
    grown.rows.truncate(ROWS);
    for (number, row) in grown.rows.iter_mut().enumerate() {
        row.powers =
            (0..sites).map(|i| village.rows[(number + i / houses) % all_rows].powers[i % houses]).collect();
    }
    grown
}

/// Runs a community from nothing until enough slots are final; the time of each, in milliseconds.
async fn measure(run: &Run, data: DataSet) -> Vec<i64> {
    // In the build folder: the database's user has to reach it.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("slot-to-final-{}", run.sites));
    let args = args(run, &folder);
    let config = devnet::community::config(&args).unwrap();
    let state = State::open(&args).await.unwrap();
    // Only the first run of a process gets a log.
    let _ = state.log("warn");
    let stack = Stack::start(&args, config, data, &state, None).await.unwrap();
    let (pool, community) = (&stack.pool, &stack.community_id);
    let started = Instant::now();
    let is_late = || started.elapsed() > run.limit();
    // The first slots wait for the credits that every account starts with; those are not measured.
    while store::ledger::open_deposits(pool, community).await.unwrap() > 0 && !is_late() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let since = Clock::System.now();
    let mut latencies = Vec::new();
    while latencies.len() < run.slots && !is_late() {
        latencies = store::settled::end_to_final_ms(pool, community, since).await.unwrap();
        tokio::time::sleep(LOOK_EVERY).await;
    }
    latencies.truncate(run.slots);
    explain(pool, community).await;
    stack.stop_trading();
    stack.stop().await.unwrap();
    latencies
}

/// Says of each final slot how many readings of its end there are, and what was done when after it.
async fn explain(pool: &PgPool, community: &CommunityId) {
    let slots: Vec<(DateTime<Utc>, i64, i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT slot_start, count(meter_id),
             (extract(epoch FROM max(read_at) - slot_end) * 1000)::bigint,
             (extract(epoch FROM max(received_at) - slot_end) * 1000)::bigint,
             (extract(epoch FROM created_at - slot_end) * 1000)::bigint,
             (extract(epoch FROM final_at - slot_end) * 1000)::bigint
         FROM (SELECT batches.*, slot_start + make_interval(secs => slot_length_s) AS slot_end
             FROM batches JOIN communities USING (community_id)) b
         LEFT JOIN readings USING (community_id, slot_end)
         WHERE community_id = $1 AND status = 'final' AND revision = 0
         GROUP BY slot_start, slot_end, created_at, final_at ORDER BY slot_start",
    )
    .bind(community.as_str())
    .fetch_all(pool)
    .await
    .unwrap();
    for (start, readings, read_ms, stored_ms, priced_ms, final_ms) in slots {
        eprintln!(
            "slot {}: {readings} readings, the last read after {read_ms} ms and stored after {stored_ms} ms; \
             priced after {priced_ms} ms, final after {final_ms} ms",
            start.format("%H:%M:%S")
        );
    }
}

fn args(run: &Run, state: &Path) -> DemoArgs {
    let state = state.to_str().unwrap();
    let words = [
        "busbar",
        "demo",
        "--slot",
        run.slot,
        "--state",
        state,
        "--fresh",
        "--sites-per-agent",
        run.sites_per_agent,
        "--port",
        "0",
    ];
    match Cli::parse_from(words).command {
        Command::Demo(args) => DemoArgs { database_url: None, mqtt_url: None, chain_rpc_url: None, ..args },
        Command::WithPostgres(_) => unreachable!("the words say demo"),
    }
}
