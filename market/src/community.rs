//! One community's market: slot life, matching, metering and autopilot, in one loop.

use chrono::{DateTime, Utc};
use domain::time::Clock;
use store::PgPool;
use store::communities::Community;

use crate::autopilot::Autopilot;
use crate::config::MarketConfig;
use crate::fuse::Fuse;
use crate::meterer::{self, Metered};
use crate::rules::SlotRules;
use crate::runner::{BATCH_COMMANDS, Matched, Runner};
use crate::slots::{self, Turned};

/// How many batches of commands one tick decides at most, so that gates close in time.
const BATCHES_A_TICK: usize = 8;

/// What one tick did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Slots created and opened.
    pub opened: Turned,
    /// Commands decided.
    pub matched: Matched,
    /// Slots closed.
    pub closed: Turned,
    /// Slots metered.
    pub metered: Metered,
    /// Commands the autopilot sent.
    pub sent: u64,
}

impl Outcome {
    /// Whether more is likely to wait, so that the loop should turn again at once.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        let batch = usize::try_from(BATCH_COMMANDS).unwrap_or(usize::MAX);
        self.sent > 0
            || self.matched.accepted + self.matched.refused >= batch
            || self.metered.metered > 0
            || self.metered.corrected > 0
            || self.opened.changed >= slots::SLOTS_A_TICK
    }
}

/// The market of one community. All of its state is in the rows: a new one over the same rows goes
/// on where this one stopped.
#[derive(Debug)]
pub struct CommunityMarket {
    pool: PgPool,
    clock: Clock,
    community: Community,
    runner: Runner,
    autopilot: Option<Autopilot>,
    fuse: Fuse,
    /// What had been reached when slots were last opened and closed, if that left nothing.
    reached: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl CommunityMarket {
    /// A market that has not looked at the rows yet.
    #[must_use]
    pub fn new(pool: PgPool, clock: Clock, community: Community, config: &MarketConfig) -> Self {
        let runner = Runner::new(pool.clone(), clock.clone(), community.clone());
        let autopilot = config
            .autopilot
            .then(|| Autopilot::new(pool.clone(), community.clone(), config.forecast_share_percent));
        Self { pool, clock, community, runner, autopilot, fuse: Fuse::default(), reached: None }
    }

    /// The same, to be stopped after a commit.
    #[must_use]
    pub fn with_fuse(self, fuse: Fuse) -> Self {
        Self { runner: self.runner.with_fuse(fuse.clone()), fuse, ..self }
    }

    /// Does what is due: opens slots, decides a batch of commands, closes gates, meters slots, and lets
    /// the autopilot place its orders. Each is a transaction of its own and can be repeated; a tick
    /// that finds nothing changes nothing.
    ///
    /// # Errors
    /// The first error; what was done before it stays done.
    pub async fn tick(&mut self) -> anyhow::Result<Outcome> {
        let start = self.now();
        let reached = SlotRules::of(&self.community).reached(start);
        let due = self.reached != Some(reached);
        let opened = if due { self.open(start).await? } else { Turned::default() };
        let matched = self.decide().await?;
        let mut closed = Turned::default();
        if due {
            closed = slots::close(&self.pool, &self.community, start, &self.fuse).await?;
            self.reached = (opened.is_all() && closed.is_all()).then_some(reached);
        }
        let metered = meterer::tick(&self.pool, &self.community, self.now(), &self.fuse).await?;
        let now = self.now();
        let sent = match &mut self.autopilot {
            Some(autopilot) => autopilot.tick(now).await?,
            None => 0,
        };
        if sent > 0 {
            self.fuse.committed("autopilot's commands sent")?;
        }
        Ok(Outcome { opened, matched, closed, metered, sent })
    }

    async fn open(&self, now: DateTime<Utc>) -> anyhow::Result<Turned> {
        let opened = slots::open(&self.pool, &self.community, now).await?;
        if opened != Turned::default() {
            self.fuse.committed("slots opened")?;
        }
        Ok(opened)
    }

    /// Decides what waits, a few batches at a time: under load the rest of a tick is not paid for with each of them.
    async fn decide(&mut self) -> anyhow::Result<Matched> {
        let mut all = Matched::default();
        for _ in 0..BATCHES_A_TICK {
            let matched = self.runner.tick().await?;
            all.accepted += matched.accepted;
            all.refused += matched.refused;
            all.trades += matched.trades;
            if matched.accepted + matched.refused < usize::try_from(BATCH_COMMANDS)? {
                // What has come meanwhile has sent a hint, which the next tick answers.
                break;
            }
        }
        Ok(all)
    }

    /// The books, for those who want to look at them.
    #[must_use]
    pub const fn runner(&self) -> &Runner {
        &self.runner
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}
