//! One community's market: slot life, matching, metering and autopilot, in one loop.

use chrono::{DateTime, Utc};
use domain::time::Clock;
use store::PgPool;
use store::communities::Community;

use crate::autopilot::Autopilot;
use crate::config::MarketConfig;
use crate::meterer::{self, Metered};
use crate::runner::{BATCH_COMMANDS, Matched, Runner};
use crate::slots::{self, Turned};

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
}

impl CommunityMarket {
    /// A market that has not looked at the rows yet.
    #[must_use]
    pub fn new(pool: PgPool, clock: Clock, community: Community, config: &MarketConfig) -> Self {
        let runner = Runner::new(pool.clone(), clock.clone(), community.clone());
        let autopilot = config
            .autopilot
            .then(|| Autopilot::new(pool.clone(), community.clone(), config.forecast_share_percent));
        Self { pool, clock, community, runner, autopilot }
    }

    /// Does what is due: opens slots, decides a batch of commands, closes gates, meters slots, and lets
    /// the autopilot place its orders. Each is a transaction of its own and can be repeated; a tick
    /// that finds nothing changes nothing.
    ///
    /// # Errors
    /// The first error; what was done before it stays done.
    pub async fn tick(&mut self) -> anyhow::Result<Outcome> {
        let opened = slots::open(&self.pool, &self.community, self.now()).await?;
        let matched = self.runner.tick().await?;
        let closed = slots::close(&self.pool, &self.community, self.now()).await?;
        let metered = meterer::tick(&self.pool, &self.community, self.now()).await?;
        let now = self.now();
        let sent = match &mut self.autopilot {
            Some(autopilot) => autopilot.tick(now).await?,
            None => 0,
        };
        Ok(Outcome { opened, matched, closed, metered, sent })
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
