//! `busbar demo`: runs a community, reports each slot, and checks at the end that every sum holds.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use service::lifecycle::{self, Shutdown};
use store::totals;

use crate::cli::DemoArgs;
use crate::community;
use crate::dataset::DataSet;
use crate::given;
use crate::lines;
use crate::opening::begin_lively;
use crate::report::Report;
use crate::stack::Stack;
use crate::state::State;
use crate::summary::Summary;

/// How long the last batches may take to become final once trading has stopped.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);
const DRAIN_LOOK_EVERY: Duration = Duration::from_millis(100);
/// Something does not add up: not for the user to mend.
const EXIT_FAULT: u8 = 1;

/// Runs the demonstration.
///
/// # Errors
/// What has to be mended before it can start, or a service that ended by itself.
pub async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let mut data = DataSet::read(&args.data)?;
    begin_lively(&mut data);
    let config = community::config(&args)?;
    community::check(&config)?;
    given::check(&args).await?;
    let state = State::open(&args).await?;
    let log = state.log(&args.log)?;
    let shutdown = Shutdown::new();
    lifecycle::stop_on_signal(shutdown.clone())?;
    say(&format!("starting in {} (log: {})", state.dir().display(), log.display()))?;
    let starting = Stack::start(&args, config, data, &state);
    let mut stack = tokio::select! {
        stack = starting => stack?,
        () = shutdown.stopped() => return Ok(ExitCode::SUCCESS),
    };
    greet(&stack)?;
    let before = totals::of_community(&stack.pool, &stack.community_id).await?.slots_settled;
    let watched = watch(&mut stack, &args, &shutdown).await;
    let finished = match watched {
        Ok(()) => finish(&stack, &args, before, started).await,
        Err(error) => Err(error),
    };
    stack.stop().await?;
    finished
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("nobody reads the output")
}

fn greet(stack: &Stack) -> anyhow::Result<()> {
    for note in &stack.notes {
        say(&format!("  {note}"))?;
    }
    say(&format!("\ndashboard: http://{}\n\n{}", stack.dashboard_addr, lines::HEADING))
}

/// Follows the slots until enough have settled, a stop is asked for, or a service fails; then lets what was
/// metered settle.
async fn watch(stack: &mut Stack, args: &DemoArgs, shutdown: &Shutdown) -> anyhow::Result<()> {
    let since = domain::time::Clock::System.now();
    let mut report = Report::new(stack.pool.clone(), stack.community_id.clone(), since);
    tokio::select! {
        followed = report.follow(args.slots, shutdown) => followed?,
        error = stack.failed() => return Err(error),
    }
    stack.stop_trading();
    let deadline = Instant::now() + DRAIN_LIMIT;
    while Instant::now() < deadline {
        let totals = totals::of_community(&stack.pool, &stack.community_id).await?;
        if totals.slots_unsettled == 0 && totals.batches_open == 0 {
            break;
        }
        tokio::time::sleep(DRAIN_LOOK_EVERY).await;
    }
    report.look().await?;
    Ok(())
}

/// Adds up, compares with the chain, and says what does not hold.
async fn finish(stack: &Stack, args: &DemoArgs, before: i64, started: Instant) -> anyhow::Result<ExitCode> {
    let totals = totals::of_community(&stack.pool, &stack.community_id).await?;
    let differences = stack.chain.differences().await?;
    let summary = Summary::new(&totals, before, differences.is_empty(), started.elapsed().as_secs());
    let faults = summary.faults(totals.unbalanced_slots);
    for line in faults.iter().chain(&differences) {
        eprintln!("fault: {line}");
    }
    if args.json {
        say(&serde_json::to_string(&summary)?)?;
    } else {
        let balance = if faults.is_empty() { "all sums hold" } else { "a sum does not hold" };
        say(&format!(
            "\n{} slots settled, {balance}; the chain equals the ledger: {}",
            summary.slots_settled, summary.chain_equals_ledger
        ))?;
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAULT) })
}
