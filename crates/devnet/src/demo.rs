//! `busbar demo`: runs a community, reports each slot, and checks at the end that every sum holds.

use std::io::Write;
use std::path::Path;
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
use crate::reconciling::Found;
use crate::report::Report;
use crate::stack::Stack;
use crate::state::State;
use crate::summary::Summary;
use crate::website;

/// How long the last batches may take to become final once trading has stopped.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);
const DRAIN_LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often servers that end by themselves are started again.
const MOST_RESTARTS: u32 = 10;
/// Something does not add up: not for the user to mend.
const EXIT_FAULT: u8 = 1;

/// Runs the demonstration. A server of its own that ends by itself is started again, with everything else.
///
/// # Errors
/// What has to be mended before it can start, or a service that ended by itself.
pub async fn run(mut args: DemoArgs) -> anyhow::Result<ExitCode> {
    let mut data = DataSet::read(&args.data)?;
    begin_lively(&mut data);
    let config = community::config(&args)?;
    community::check(&config)?;
    given::check(&args, &data).await?;
    let state = State::open(&args).await?;
    let log = state.log(&args.log)?;
    let shutdown = Shutdown::new();
    lifecycle::stop_on_signal(shutdown.clone())?;
    say(&format!("starting in {} (log: {})", state.dir().display(), log.display()))?;
    let mut past =
        Past { started: Instant::now(), restarts: 0, before: None, report: None, found: Found::default() };
    let mut broker = None;
    loop {
        let starting = Stack::start(&args, config.clone(), data.clone(), &state, broker.take());
        let mut stack = tokio::select! {
            stack = starting => stack?,
            () = shutdown.stopped() => return Ok(ExitCode::SUCCESS),
        };
        greet(&stack, &website::token_file(state.dir()))?;
        let error = match watch(&mut stack, &args, &shutdown, &mut past).await {
            Ok(()) => {
                let finished = finish(&stack, &args, &past).await;
                stack.stop().await?;
                return finished;
            }
            Err(error) => error,
        };
        let lost = stack.lost_server().await;
        past.keep(stack.comparisons.found());
        args.port = stack.dashboard_addr.port();
        broker = stack.broker();
        let stopped = stack.stop().await;
        match lost {
            Some(lost) if past.restarts < MOST_RESTARTS && !shutdown.is_stopping() => {
                past.restarts += 1;
                say(&format!("\n{lost}: starting again from what is stored"))?;
            }
            _ => {
                stopped?;
                return Err(error);
            }
        }
    }
}

/// What a run knows of its earlier stacks.
struct Past {
    started: Instant,
    restarts: u32,
    /// How many slots had settled before the run.
    before: Option<i64>,
    report: Option<Report>,
    found: Found,
}

impl Past {
    fn keep(&mut self, found: Found) {
        self.found.batches_reconciled += found.batches_reconciled;
        self.found.differences.extend(found.differences);
    }
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("nobody reads the output")
}

fn greet(stack: &Stack, token: &Path) -> anyhow::Result<()> {
    for note in &stack.notes {
        say(&format!("  {note}"))?;
    }
    say(&format!("\ndashboard: http://{}", stack.dashboard_addr))?;
    say(&format!("access token for orders and settings: {}\n\n{}", token.display(), lines::HEADING))
}

/// Follows the slots until enough have settled, a stop is asked for, or a service fails; then lets what was
/// metered settle.
async fn watch(
    stack: &mut Stack,
    args: &DemoArgs,
    shutdown: &Shutdown,
    past: &mut Past,
) -> anyhow::Result<()> {
    if past.before.is_none() {
        past.before = Some(totals::of_community(&stack.pool, &stack.community_id).await?.slots_settled);
    }
    let since = domain::time::Clock::System.now();
    let report =
        past.report.get_or_insert_with(|| Report::new(stack.pool.clone(), stack.community_id.clone(), since));
    report.reconnect(stack.pool.clone());
    tokio::select! {
        followed = report.follow(args.slots, shutdown) => followed?,
        error = stack.failed() => return Err(error),
    }
    stack.stop_trading();
    if !is_drained(stack).await? {
        say("what was metered settles before the end; Ctrl-C again ends at once")?;
    }
    let deadline = Instant::now() + DRAIN_LIMIT;
    while Instant::now() < deadline && !is_drained(stack).await? {
        tokio::time::sleep(DRAIN_LOOK_EVERY).await;
    }
    report.look().await?;
    Ok(())
}

async fn is_drained(stack: &Stack) -> anyhow::Result<bool> {
    let totals = totals::of_community(&stack.pool, &stack.community_id).await?;
    Ok(totals.slots_unsettled == 0 && totals.batches_open == 0)
}

/// Adds up, compares with the chain, and says what does not hold.
async fn finish(stack: &Stack, args: &DemoArgs, past: &Past) -> anyhow::Result<ExitCode> {
    let totals = totals::of_community(&stack.pool, &stack.community_id).await?;
    let found = stack.comparisons.found();
    let mut differences = stack.chain.differences().await?;
    differences.extend(past.found.differences.iter().cloned());
    differences.extend(found.differences);
    let summary = Summary::new(
        &totals,
        past.before.unwrap_or_default(),
        (differences.is_empty(), past.found.batches_reconciled + found.batches_reconciled),
        past.started.elapsed().as_secs(),
    );
    let faults = summary.faults(totals.unbalanced_slots);
    for line in faults.iter().chain(&differences) {
        eprintln!("fault: {line}");
    }
    if args.json {
        say(&serde_json::to_string(&summary)?)?;
    } else {
        let balance = if faults.is_empty() { "all sums hold" } else { "a sum does not hold" };
        say(&format!(
            "\n{} slots settled, {balance}; the chain equals the ledger: {} (comparisons: {})",
            summary.slots_settled, summary.chain_equals_ledger, summary.batches_reconciled
        ))?;
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAULT) })
}
