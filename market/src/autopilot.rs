//! The autopilot: for each site whose member has not paused it, a forecast, a plan for its battery, and an
//! order for the next slot, whose limit moves from the favourable end towards the reservation as gate
//! closure nears.
//!
//! It is a member like any other: it only writes commands, and the market decides them. What it decides
//! is in [`pilot`]; here is when, and from and to which rows.

pub mod learned;
pub mod plan;
pub mod runs;

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::SiteId;
use pilot::history::DAYS;
use pilot::intent::Expected;
use pilot::ramp;
use store::autopilot::{self as settings, Piloted};
use store::communities::Community;
use store::durability::commit_without_waiting;
use store::notify::{self, Event, Kind};
use store::orders::{self, AutopilotOrder, NewCommand};
use store::slots::{self, SlotStatus};
use store::zones::{self, SiteZone};
use store::{PgPool, StoreError, forecasts};

use crate::rules::SlotRules;
use crate::terms::{self, Loaded};
use learned::{Learned, SITES_A_TICK};
use plan::{Seen, Stage, plan};
use runs::Ahead;

/// How many commands one statement inserts.
const COMMANDS_A_STATEMENT: usize = 5_000;
/// How many slots back a reading may lie that an order rests on.
const OLDEST_SLOTS: i32 = 4;
/// How often within the window sites without a fresh reading are looked at again.
const LOOKS_A_WINDOW: i32 = 16;
/// How often changed settings are looked for.
const SETTINGS_EVERY: TimeDelta = TimeDelta::seconds(1);

/// Places the orders of one community's sites.
#[derive(Debug)]
pub struct Autopilot {
    pool: PgPool,
    community: Community,
    forecast_share_percent: u8,
    last: Option<Look>,
    settings_looked_at: Option<DateTime<Utc>>,
    settings_changed_at: Option<DateTime<Utc>>,
    learned: Learned,
    made: Option<Made>,
}

/// What was looked at last, so that a tick is cheap when nothing can have changed.
#[derive(Debug, Clone, Copy)]
struct Look {
    slot_start: DateTime<Utc>,
    step: u8,
    at: DateTime<Utc>,
    /// What is still to be done for the slot's sites.
    left: Left,
}

/// What a look left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// Nothing.
    Nothing,
    /// Sites wait for a fresh reading.
    Readings,
    /// Sites wait for their turn.
    Turns,
}

/// What each site is expected to do in the slot that is traded.
#[derive(Debug)]
struct Made {
    ahead: Ahead,
    expected: HashMap<SiteId, Expected>,
}

impl Autopilot {
    /// An autopilot that trades `forecast_share_percent` of what it forecasts for those who are hands-off.
    #[must_use]
    pub fn new(pool: PgPool, community: Community, forecast_share_percent: u8) -> Self {
        let learned = Learned::new(&SlotRules::of(&community));
        Self {
            pool,
            community,
            forecast_share_percent,
            last: None,
            settings_looked_at: None,
            settings_changed_at: None,
            learned,
            made: None,
        }
    }

    /// Sends the commands of the present step. Returns how many are new; a second tick of the same
    /// step with nothing new sends none.
    ///
    /// # Errors
    /// The database's error; nothing was sent then.
    pub async fn tick(&mut self, now: DateTime<Utc>) -> anyhow::Result<u64> {
        let rules = SlotRules::of(&self.community);
        let slot_start = rules.next_to_close(now);
        let window = rules.length.delta();
        let cancelled = self.look_at_settings(slot_start, now).await?;
        let Some(step) = ramp::step(rules.gate_closure(slot_start), window, now) else {
            return Ok(cancelled);
        };
        if self.nothing_new(slot_start, step, now, window) {
            return Ok(cancelled);
        }
        let id = self.community.community_id.clone();
        let slot = slots::find(&self.pool, &id, slot_start).await?;
        if slot.is_none_or(|slot| slot.status != SlotStatus::Open) {
            return Ok(cancelled);
        }
        let of_sites = zones::of_sites(&self.pool, &id).await?;
        let Loaded { terms, fees } =
            terms::of_slot(&self.pool, &self.community, slot_start, &of_sites).await?;
        let number = |site: SiteZone| Some((site.site_id, fees.number(&site.zone_id)?));
        let stage = Stage { slot_start, terms, step, forecast_share_percent: self.forecast_share_percent };
        let zones = of_sites.into_iter().filter_map(number).collect();
        let (commands, left) = self.plans(&stage, &zones, &rules, now).await?;
        let sent = self.send(&commands, slot_start, now).await?;
        self.last = Some(Look { slot_start, step, at: now, left });
        Ok(sent + cancelled)
    }

    fn nothing_new(
        &self,
        slot_start: DateTime<Utc>,
        step: u8,
        now: DateTime<Utc>,
        window: TimeDelta,
    ) -> bool {
        self.last.is_some_and(|last| {
            last.slot_start == slot_start
                && last.step == step
                && match last.left {
                    Left::Nothing => true,
                    Left::Readings => now < last.at + window / LOOKS_A_WINDOW,
                    Left::Turns => false,
                }
        })
    }

    /// Where settings have changed, everything is planned anew, and open orders of paused sites are asked
    /// to be cancelled. Returns how many.
    async fn look_at_settings(
        &mut self,
        slot_start: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        if self.settings_looked_at.is_some_and(|at| at <= now && now < at + SETTINGS_EVERY) {
            return Ok(0);
        }
        let id = &self.community.community_id;
        let changed_at = settings::last_change(&self.pool, id).await?;
        let mut cancelled = 0;
        if changed_at != self.settings_changed_at {
            let mut tx = self.pool.begin().await?;
            cancelled = settings::cancel_paused(&mut *tx, id, slot_start, now).await?;
            if cancelled > 0 {
                notify::send(&mut *tx, &Event::new(Kind::Command, id, Some(slot_start))).await?;
            }
            tx.commit().await?;
            (self.last, self.made) = (None, None);
        }
        (self.settings_changed_at, self.settings_looked_at) = (changed_at, Some(now));
        Ok(cancelled)
    }

    /// The commands to send, and what is left to do.
    async fn plans(
        &mut self,
        stage: &Stage,
        zones: &HashMap<SiteId, usize>,
        rules: &SlotRules,
        now: DateTime<Utc>,
    ) -> anyhow::Result<(Vec<NewCommand>, Left)> {
        let id = self.community.community_id.clone();
        let sites = settings::piloted(&self.pool, &id, None).await?;
        let waiting: HashSet<SiteId> =
            orders::autopilot_waiting(&self.pool, &id, stage.slot_start).await?.into_iter().collect();
        let placed: HashMap<SiteId, AutopilotOrder> = orders::of_autopilot(&self.pool, &id, stage.slot_start)
            .await?
            .into_iter()
            .map(|order| (order.site_id.clone(), order))
            .collect();
        let mut left = self.forecast(stage, rules, &sites, now).await?;
        let expected = self.made.as_ref().map(|made| &made.expected);
        let mut commands = Vec::new();
        for site in sites.iter().filter(|site| !waiting.contains(&site.site_id)) {
            let seen = Seen {
                piloted: site,
                zone: zones.get(&site.site_id).copied().unwrap_or(usize::MAX),
                expected: expected.and_then(|expected| expected.get(&site.site_id).copied()),
                order: placed.get(&site.site_id),
            };
            if left == Left::Nothing && seen.expected.is_none() && seen.order.is_none() {
                left = Left::Readings;
            }
            commands.extend(plan(stage, &seen));
        }
        commands.sort_by_cached_key(|command| plan::mix(&command.site_id, stage.slot_start));
        Ok((commands, left))
    }

    /// Makes the forecasts that the slot still lacks and can have, and keeps them.
    async fn forecast(
        &mut self,
        stage: &Stage,
        rules: &SlotRules,
        sites: &[Piloted],
        now: DateTime<Utc>,
    ) -> anyhow::Result<Left> {
        let id = self.community.community_id.clone();
        let length = rules.length.delta();
        // The slot before the traded one is under way; the one before that ended as it began.
        let newest = stage.slot_start - length;
        self.learned.refresh(&self.pool, &id, sites, newest, OLDEST_SLOTS).await?;
        let made = match self.made.take().filter(|made| made.ahead.slot_start == stage.slot_start) {
            Some(made) => self.made.insert(made),
            None => {
                let planned = runs::planned(sites);
                let ahead = Ahead::read(&self.pool, &id, rules, stage.slot_start, planned).await?;
                let oldest = stage.slot_start - length * i32::try_from(DAYS * self.learned.days().slots())?;
                forecasts::forget_steps(&self.pool, &id, oldest).await?;
                self.made.insert(Made { ahead, expected: HashMap::new() })
            }
        };
        // At the first step only the slot that has just ended counts; later an older one is better than none.
        let slots_back = if stage.step == 0 { 1 } else { OLDEST_SLOTS };
        let oldest = self.learned.days().index(newest - length * slots_back);
        let fresh = |site: &SiteId| {
            let history = self.learned.history(site);
            history.and_then(|history| history.newest()).is_some_and(|newest| newest >= oldest)
        };
        let due = |site: &&Piloted| !made.expected.contains_key(&site.site_id) && fresh(&site.site_id);
        let mut runs = Vec::new();
        for site in sites.iter().filter(due).take(SITES_A_TICK) {
            runs.extend(runs::run(&self.learned, &made.ahead, site, stage.forecast_share_percent, now)?);
        }
        if !runs.is_empty() {
            let mut tx = self.pool.begin().await?;
            forecasts::keep(&mut tx, &id, &runs).await?;
            notify::send(&mut *tx, &Event::new(Kind::Forecast, &id, Some(stage.slot_start))).await?;
            commit_without_waiting(tx).await?;
        }
        let full = runs.len() == SITES_A_TICK;
        for run in runs {
            let Some(residual) = run.residual.first().copied() else { continue };
            let battery_wh = run.battery.first().map_or(0, pilot::battery::Step::net_wh);
            let expected = Expected { slot_start: stage.slot_start, residual, battery_wh };
            made.expected.insert(run.site_id, expected);
        }
        let unread = sites.iter().any(|site| self.learned.history(&site.site_id).is_none());
        Ok(if full || unread { Left::Turns } else { Left::Nothing })
    }

    async fn send(
        &self,
        commands: &[NewCommand],
        slot_start: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let id = &self.community.community_id;
        let mut sent = 0;
        let mut tx = self.pool.begin().await?;
        for commands in commands.chunks(COMMANDS_A_STATEMENT) {
            sent += orders::insert_commands(&mut *tx, id, commands, now).await?;
        }
        if sent > 0 {
            notify::send(&mut *tx, &Event::new(Kind::Command, id, Some(slot_start))).await?;
            tx.commit().await?;
        }
        Ok(sent)
    }
}
