//! The autopilot: for each site whose member has not paused it, an order for the next slot, whose
//! limit moves from the favourable end towards the reservation as gate closure nears.
//!
//! It is a member like any other: it only writes commands, and the market decides them.

pub mod plan;
pub mod ramp;

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{MemberId, SiteId};
use domain::units::Energy;
use store::communities::{self, Community};
use store::metering::Boundary;
use store::notify::{self, Event, Kind};
use store::orders::{self, AutopilotOrder, NewCommand};
use store::slots::{self, SlotStatus};
use store::{PgPool, StoreError, members, metering};

use crate::forecast;
use crate::rules::SlotRules;
use crate::validate::SlotTerms;
use plan::{Seen, Stage, plan};
use ramp::Preset;

/// How many commands one statement inserts.
const COMMANDS_A_STATEMENT: usize = 5_000;
/// How many slots back a reading may lie that an order rests on.
const OLDEST_SLOTS: i32 = 4;
/// How often within the window sites without a fresh reading are looked at again.
const LOOKS_A_WINDOW: i32 = 16;

/// Places the orders of one community's sites.
#[derive(Debug)]
pub struct Autopilot {
    pool: PgPool,
    community: Community,
    forecast_share_percent: u8,
    last: Option<Look>,
}

/// What was looked at last, so that a tick is cheap when nothing can have changed.
#[derive(Debug, Clone, Copy)]
struct Look {
    slot_start: DateTime<Utc>,
    step: u8,
    at: DateTime<Utc>,
    /// Whether every site had a fresh reading.
    complete: bool,
}

/// A site and how its member wants it to trade.
struct Piloted {
    site_id: SiteId,
    member_id: MemberId,
    preset: Preset,
}

impl Autopilot {
    /// An autopilot that trades `forecast_share_percent` of what it forecasts.
    #[must_use]
    pub const fn new(pool: PgPool, community: Community, forecast_share_percent: u8) -> Self {
        Self { pool, community, forecast_share_percent, last: None }
    }

    /// Sends the commands of the present step. Returns how many are new; a second tick of the same
    /// step with nothing new sends none.
    ///
    /// # Errors
    /// The database's error; nothing was sent then.
    pub async fn tick(&mut self, now: DateTime<Utc>) -> anyhow::Result<u64> {
        let id = &self.community.community_id;
        let rules = SlotRules::of(&self.community);
        let slot_start = rules.next_to_close(now);
        let window = rules.length.delta();
        let Some(step) = ramp::step(rules.gate_closure(slot_start), window, now) else { return Ok(0) };
        if self.nothing_new(slot_start, step, now, window) {
            return Ok(0);
        }
        let slot = slots::find(&self.pool, id, slot_start).await?;
        if slot.is_none_or(|slot| slot.status != SlotStatus::Open) {
            return Ok(0);
        }
        let tariff = communities::tariff_at(&self.pool, id, slot_start).await?;
        let stage = Stage {
            slot_start,
            terms: SlotTerms::new(rules.gate_closure(slot_start), &tariff, self.community.max_order)?,
            step,
            slot_seconds: rules.length.seconds(),
            forecast_share_percent: self.forecast_share_percent,
        };
        let (commands, complete) = self.plans(&stage, &rules).await?;
        let sent = self.send(&commands, slot_start, now).await?;
        self.last = Some(Look { slot_start, step, at: now, complete });
        Ok(sent)
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
                && (last.complete || now < last.at + window / LOOKS_A_WINDOW)
        })
    }

    /// The commands to send, and whether every site had a fresh reading.
    async fn plans(&self, stage: &Stage, rules: &SlotRules) -> anyhow::Result<(Vec<NewCommand>, bool)> {
        let id = &self.community.community_id;
        let piloted = self.piloted().await?;
        let waiting: HashSet<SiteId> =
            orders::autopilot_waiting(&self.pool, id, stage.slot_start).await?.into_iter().collect();
        let placed: HashMap<SiteId, AutopilotOrder> = orders::of_autopilot(&self.pool, id, stage.slot_start)
            .await?
            .into_iter()
            .map(|order| (order.site_id.clone(), order))
            .collect();
        let observed = self.observed(stage, rules).await?;
        let mut commands = Vec::new();
        let mut complete = true;
        for site in piloted.iter().filter(|site| !waiting.contains(&site.site_id)) {
            let seen = Seen {
                site_id: &site.site_id,
                member_id: &site.member_id,
                preset: site.preset,
                net_export: observed.get(&site.site_id).copied(),
                order: placed.get(&site.site_id),
            };
            complete &= seen.net_export.is_some() || seen.order.is_some();
            commands.extend(plan(stage, &seen));
        }
        commands.sort_by_cached_key(|command| plan::mix(&command.site_id, stage.slot_start));
        Ok((commands, complete))
    }

    async fn piloted(&self) -> Result<Vec<Piloted>, StoreError> {
        let id = &self.community.community_id;
        let presets: HashMap<MemberId, Preset> = members::all(&self.pool, id)
            .await?
            .into_iter()
            .filter_map(|member| Some((member.member_id, Preset::parse(&member.preset)?)))
            .collect();
        let sites = members::sites(&self.pool, id).await?;
        Ok(sites
            .into_iter()
            .filter_map(|site| {
                let preset = *presets.get(&site.member_id)?;
                Some(Piloted { site_id: site.site_id, member_id: site.member_id, preset })
            })
            .collect())
    }

    /// What each site delivered net in the latest slot that was read. At the first step only the slot
    /// that has just ended counts; later an older one is better than none.
    async fn observed(
        &self,
        stage: &Stage,
        rules: &SlotRules,
    ) -> Result<HashMap<SiteId, Energy>, StoreError> {
        let length = rules.length.delta();
        // The slot before the traded one is under way; the one before that ended as it began.
        let newest = stage.slot_start - length;
        let oldest_end = if stage.step == 0 { newest } else { newest - length * (OLDEST_SLOTS - 1) };
        let id = &self.community.community_id;
        let rows = metering::registers_between(&self.pool, id, oldest_end - length, newest).await?;
        let mut by_site: BTreeMap<SiteId, Vec<Boundary>> = BTreeMap::new();
        for row in rows {
            by_site.entry(row.site_id).or_default().push(row.boundary);
        }
        Ok(by_site
            .into_iter()
            .filter_map(|(site, boundaries)| {
                let seen = forecast::last_slot(&boundaries, rules.length)?;
                Some((site, seen.net_export))
            })
            .collect())
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
