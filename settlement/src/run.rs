//! The settlement service: leads what communities it can, and ticks their settlers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
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
use crate::context::{Context, Settling, check};
use crate::error::SettleError;
use crate::settler::{Settler, Tick};

const DUTY: &str = "settlement";
/// How many steps one community may take before the others have their turn.
const MAX_STEPS: u32 = 256;
/// How long it may take steps before the others have their turn, and the health file is touched; a step that was
/// begun is ended.
const MAX_TURN: TimeDelta = TimeDelta::seconds(10);

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
/// What [`SettleError::is_mismatch`] says of the configuration, before anything is sent. Every other error
/// is logged and tried again.
pub async fn run(
    config: SettlementConfig,
    chain: &ChainConfig,
    deps: Deps,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    if let Err(error @ ChainError::WrongChain { .. }) = deps.chain.check().await {
        return Err(error.into());
    }
    let mut service = Service {
        policy: send_policy(chain, &config),
        led: BTreeMap::new(),
        seeds: StdRng::from_seed(deps.seed),
        deps,
    };
    service.refuse_mismatch().await?;
    let (sender, mut hints) = broadcast::channel(notify::HINTS_KEPT);
    let listening = tokio::spawn(notify::pump(service.deps.pool.clone(), sender));
    let heartbeat = Heartbeat::new(config.heartbeat_file.clone());
    let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(15));
    while !shutdown.is_stopping() {
        heartbeat.say(service.state());
        let wait = match service.turn(&shutdown, &heartbeat).await {
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
    /// Refuses to start with a configuration that is not of the contract that is there. A node or a
    /// database that is away, or a chain that is still catching up, is no reason: that is looked at again
    /// before anything is sent.
    async fn refuse_mismatch(&self) -> Result<(), SettleError> {
        let Ok(all) = communities::all(&self.deps.pool).await else { return Ok(()) };
        for community in all {
            if community.contract.is_none() {
                continue;
            }
            let checked = match Settling::of(self.context(&community.community_id)).await {
                Ok(settling) => checked(&settling).await,
                Err(error) => Err(error),
            };
            match checked {
                Err(error) if error.is_mismatch() => return Err(error),
                Err(error) => {
                    tracing::debug!(community = %community.community_id, %error, "checked again later")
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// In one word or two, for the heartbeat.
    fn state(&self) -> &'static str {
        let waits = self.led.values().any(|led| led.settler.waits_for_lower_fees());
        if waits { "alive, waits for lower fees" } else { "alive" }
    }

    fn context(&self, community: &CommunityId) -> Context {
        Context {
            pool: self.deps.pool.clone(),
            chain: Arc::clone(&self.deps.chain),
            clock: self.deps.clock.clone(),
            community_id: community.clone(),
            policy: self.policy,
        }
    }

    /// One turn for every community; the liveliest result, or the first error.
    async fn turn(&mut self, shutdown: &Shutdown, heartbeat: &Heartbeat) -> Result<Tick, SettleError> {
        let with_contract =
            communities::all(&self.deps.pool).await?.into_iter().filter(|c| c.contract.is_some());
        let (mut result, mut failed) = (Tick::Idle, None);
        for community in with_contract.map(|c| c.community_id).collect::<Vec<_>>() {
            let settled = self.settle(&community, shutdown).await;
            heartbeat.say(self.state());
            match settled {
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
        let clock = &self.deps.clock;
        let end = clock.now() + MAX_TURN;
        for _ in 0..MAX_STEPS {
            let tick = led.settler.tick().await?;
            if tick != Tick::Progress || shutdown.is_stopping() || clock.now() >= end {
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
        let context = self.context(community);
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

/// A delay that is too short is said and not refused: it is the contract's, so that only another one would mend it.
async fn checked(settling: &Settling) -> Result<(), SettleError> {
    check::contract(settling).await?;
    match check::deployed_delay(settling).await {
        Err(error @ SettleError::ShortDelay { .. }) => tracing::warn!("{error}"),
        checked => checked?,
    }
    Ok(())
}

fn liveliest(a: Tick, b: Tick) -> Tick {
    match (a, b) {
        (Tick::Progress, _) | (_, Tick::Progress) => Tick::Progress,
        (Tick::Waiting, _) | (_, Tick::Waiting) => Tick::Waiting,
        _ => Tick::Idle,
    }
}
