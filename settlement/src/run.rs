//! The settlement service: leads what communities it can, and ticks their settlers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::ids::CommunityId;
use domain::time::Clock;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use service::health::Heartbeat;
use service::lifecycle::{Backoff, Shutdown};
use store::leader::{self, Leadership};
use store::notify::{self, Kind};
use store::{PgPool, communities};
use tokio::sync::broadcast;

use crate::chain::{Chain, ChainError};
use crate::config::{ChainConfig, SettlementConfig, send_policy};
use crate::context::{Context, Settling};
use crate::error::SettleError;
use crate::settler::{Settler, Tick};

const DUTY: &str = "settlement";
/// How many steps one community may take before the others have their turn.
const MAX_STEPS: u32 = 256;

/// What the service is given.
pub struct Deps {
    /// The database.
    pub pool: PgPool,
    /// The clock.
    pub clock: Clock,
    /// The chain.
    pub chain: Arc<dyn Chain>,
    /// Random and secret: salts of statements are made from it.
    pub seed: [u8; 32],
}

struct Led {
    leadership: Leadership,
    settler: Settler,
}

/// Settles every community that has a contract, until told to stop.
///
/// # Errors
/// [`ChainError::WrongChain`] if the node serves another chain than the configuration says. Every
/// other error is logged and tried again.
pub async fn run(
    config: SettlementConfig,
    chain: &ChainConfig,
    deps: Deps,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    if let Err(error @ ChainError::WrongChain { .. }) = deps.chain.check().await {
        return Err(error.into());
    }
    let (sender, mut hints) = broadcast::channel(notify::HINTS_KEPT);
    let listening = tokio::spawn(notify::pump(deps.pool.clone(), sender));
    let mut service = Service {
        policy: send_policy(chain, &config),
        led: BTreeMap::new(),
        seeds: StdRng::from_seed(deps.seed),
        deps,
    };
    let heartbeat = Heartbeat::new(config.heartbeat_file.clone());
    let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(15));
    while !shutdown.is_stopping() {
        heartbeat.beat();
        let wait = match service.turn(&shutdown).await {
            Ok(Tick::Progress) => continue,
            Ok(tick) => {
                backoff.reset();
                let idle = tick == Tick::Idle;
                Duration::from_millis(if idle {
                    config.poll_interval_ms
                } else {
                    config.chain_poll_interval_ms
                })
            }
            Err(error) => {
                tracing::warn!(error = service::cli::one_line(&error), "settlement waits and tries again");
                backoff.after_failure()
            }
        };
        tokio::select! {
            () = shutdown.stopped() => {}
            () = notify::wait(&mut hints, wait, |hint| matches!(hint.kind, Kind::Slot | Kind::Deposit)) => {}
        }
    }
    listening.abort();
    service.resign().await;
    Ok(())
}

struct Service {
    deps: Deps,
    policy: crate::context::SendPolicy,
    led: BTreeMap<CommunityId, Led>,
    seeds: StdRng,
}

impl Service {
    /// One turn for every community; the liveliest result, or the first error.
    async fn turn(&mut self, shutdown: &Shutdown) -> Result<Tick, SettleError> {
        let with_contract =
            communities::all(&self.deps.pool).await?.into_iter().filter(|c| c.contract.is_some());
        let (mut result, mut failed) = (Tick::Idle, None);
        for community in with_contract.map(|c| c.community_id).collect::<Vec<_>>() {
            match self.settle(&community, shutdown).await {
                Ok(tick) => result = liveliest(result, tick),
                Err(error) => {
                    // Whatever was lost, the rows tell it: lead and start afresh at the next turn.
                    self.led.remove(&community);
                    failed = failed.or(Some(error));
                }
            }
        }
        failed.map_or(Ok(result), Err)
    }

    async fn settle(&mut self, community: &CommunityId, shutdown: &Shutdown) -> Result<Tick, SettleError> {
        if !self.lead(community).await? {
            return Ok(Tick::Idle);
        }
        let Some(led) = self.led.get_mut(community) else { return Ok(Tick::Idle) };
        led.leadership.still_leads().await?;
        for _ in 0..MAX_STEPS {
            let tick = led.settler.tick().await?;
            if tick != Tick::Progress || shutdown.is_stopping() {
                return Ok(tick);
            }
        }
        Ok(Tick::Progress)
    }

    async fn lead(&mut self, community: &CommunityId) -> Result<bool, SettleError> {
        if self.led.contains_key(community) {
            return Ok(true);
        }
        let Some(leadership) = leader::try_lead(&self.deps.pool, DUTY, community).await? else {
            return Ok(false);
        };
        let context = Context {
            pool: self.deps.pool.clone(),
            chain: Arc::clone(&self.deps.chain),
            clock: self.deps.clock.clone(),
            community_id: community.clone(),
            policy: self.policy,
        };
        let mut seed = [0; 32];
        self.seeds.fill_bytes(&mut seed);
        let settler = Settler::new(Settling::of(context).await?, StdRng::from_seed(seed));
        self.led.insert(community.clone(), Led { leadership, settler });
        tracing::info!(%community, "settling");
        Ok(true)
    }

    async fn resign(self) {
        for led in self.led.into_values() {
            if let Err(error) = led.leadership.resign().await {
                tracing::debug!(%error, "the lock ends with the connection");
            }
        }
    }
}

fn liveliest(a: Tick, b: Tick) -> Tick {
    match (a, b) {
        (Tick::Progress, _) | (_, Tick::Progress) => Tick::Progress,
        (Tick::Waiting, _) | (_, Tick::Waiting) => Tick::Waiting,
        _ => Tick::Idle,
    }
}
