//! Leading communities: one task for each that this process won, until it is asked to stop. What an operator changes in a
//! community's row reaches the task that leads it within seconds.

use std::collections::HashMap;
use std::time::Duration;

use domain::ids::CommunityId;
use domain::time::Clock;
use service::health::Heartbeat;
use service::lifecycle::{Backoff, Shutdown};
use store::communities::{self, Community};
use store::leader::{self, Leadership};
use store::notify::{self, Event, HINTS_KEPT, Kind};
use store::{PgPool, StoreError};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

use crate::community::CommunityMarket;
use crate::config::MarketConfig;

/// The duty that the advisory lock is named after.
const DUTY: &str = "market";
/// How often communities without a leader, and changed rules of those that are led, are looked for.
const CAMPAIGN_EVERY: Duration = Duration::from_secs(2);
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MOST: Duration = Duration::from_secs(10);

/// What the market is given to work with.
#[derive(Debug, Clone)]
pub struct Deps {
    /// The database. It needs a connection for each community led, and two more.
    pub pool: PgPool,
    /// The time.
    pub clock: Clock,
}

/// Leads communities until `shutdown` stops: looks for those without a leader, and turns the market
/// of each that it won in a task of its own.
///
/// # Errors
/// A configuration that cannot be used. A database that does not answer is waited for.
pub async fn run(config: MarketConfig, deps: Deps, shutdown: Shutdown) -> anyhow::Result<()> {
    config.check()?;
    let heartbeat = Heartbeat::new(config.heartbeat_file.clone());
    let (hints, _) = broadcast::channel(HINTS_KEPT);
    let pump = tokio::spawn(notify::pump(deps.pool.clone(), hints.clone()));
    let mut led: HashMap<CommunityId, watch::Sender<Community>> = HashMap::new();
    let mut markets: JoinSet<CommunityId> = JoinSet::new();
    while !shutdown.is_stopping() {
        while let Some(ended) = markets.try_join_next() {
            led.remove(&ended?);
        }
        match campaign(&config, &deps, &led).await {
            Ok(won) => {
                for (community, leadership) in won {
                    let (rules, changes) = watch::channel(community.clone());
                    led.insert(community.community_id.clone(), rules);
                    let market = Led::new(&config, &deps, community, changes, leadership);
                    markets.spawn(market.turn(hints.subscribe(), shutdown.clone()));
                }
                heartbeat.beat();
            }
            Err(error) => tracing::warn!(%error, "cannot look for communities to lead; trying again"),
        }
        shutdown.sleep(CAMPAIGN_EVERY).await;
    }
    while let Some(ended) = markets.join_next().await {
        ended?;
    }
    pump.abort();
    Ok(())
}

/// Tries to become the leader of each community that this process may lead and does not lead yet, and tells those that it
/// leads what their rows say now.
async fn campaign(
    config: &MarketConfig,
    deps: &Deps,
    led: &HashMap<CommunityId, watch::Sender<Community>>,
) -> Result<Vec<(Community, Leadership)>, StoreError> {
    let mut won = Vec::new();
    for community in communities::all(&deps.pool).await? {
        let id = &community.community_id;
        if let Some(rules) = led.get(id) {
            rules.send_if_modified(|known| {
                *known != community && {
                    *known = community.clone();
                    true
                }
            });
            continue;
        }
        let wanted = config.communities.is_empty() || config.communities.iter().any(|c| c == id.as_str());
        if !wanted || led.len() + won.len() >= config.max_communities {
            continue;
        }
        if let Some(leadership) = leader::try_lead(&deps.pool, DUTY, id).await? {
            tracing::info!(community_id = %id, "leading the market");
            won.push((community, leadership));
        }
    }
    Ok(won)
}

/// A community that this process leads.
struct Led {
    id: CommunityId,
    config: MarketConfig,
    deps: Deps,
    market: CommunityMarket,
    changes: watch::Receiver<Community>,
    leadership: Leadership,
}

impl Led {
    fn new(
        config: &MarketConfig,
        deps: &Deps,
        community: Community,
        changes: watch::Receiver<Community>,
        leadership: Leadership,
    ) -> Self {
        let id = community.community_id.clone();
        let market = CommunityMarket::new(deps.pool.clone(), deps.clock.clone(), community, config);
        Self { id, config: config.clone(), deps: deps.clone(), market, changes, leadership }
    }

    /// A market over the same rows goes on where the last one stopped, so a changed row is followed by beginning anew.
    fn follow_changes(&mut self) {
        if !self.changes.has_changed().unwrap_or_default() {
            return;
        }
        let community = self.changes.borrow_and_update().clone();
        tracing::info!(community_id = %self.id, "the community's row has changed: the market goes on by the new rules");
        self.market =
            CommunityMarket::new(self.deps.pool.clone(), self.deps.clock.clone(), community, &self.config);
    }

    /// Turns the market until a stop is asked for or leadership is lost.
    async fn turn(mut self, mut hints: broadcast::Receiver<Event>, shutdown: Shutdown) -> CommunityId {
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MOST);
        let poll = Duration::from_millis(self.config.poll_interval_ms);
        while !shutdown.is_stopping() {
            if let Err(error) = self.leadership.still_leads().await {
                tracing::warn!(community_id = %self.id, %error, "leadership lost");
                return self.id;
            }
            // Hints that are here already are answered by the tick that follows.
            hints = hints.resubscribe();
            self.follow_changes();
            match self.market.tick().await {
                Ok(outcome) => {
                    backoff.reset();
                    if outcome.goes_on() {
                        continue;
                    }
                    let wait = notify::wait(&mut hints, poll, |hint| wakes(hint, &self.id));
                    tokio::select! {
                        () = wait => {}
                        () = shutdown.stopped() => {}
                    }
                }
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::error!(community_id = %self.id, error, "a tick failed; trying again");
                    shutdown.sleep(backoff.after_failure()).await;
                }
            }
        }
        if let Err(error) = self.leadership.resign().await {
            tracing::debug!(community_id = %self.id, %error, "leadership ended with its connection");
        }
        self.id
    }
}

/// Commands are decided, readings complete slots, and a batch that is final lets a late reading count.
fn wakes(hint: &Event, community: &CommunityId) -> bool {
    hint.community_id == community.as_str()
        && matches!(hint.kind, Kind::Command | Kind::Reading | Kind::Batch)
}
