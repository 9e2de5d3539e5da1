//! A forecast run: what a site will do in the next slots, and what its battery should do about it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::ids::{CommunityId, SiteId};
use domain::tariff::Tariff;
use domain::units::Overflow;
use pilot::battery::{Battery, Step};
use pilot::forecast::{HORIZON, forecast};
use pilot::quantile::Quantiles;
use pilot::schedule;
use store::autopilot::Piloted;
use store::forecasts::{self, BatteryStep, Run};
use store::{PgPool, StoreError, communities};

use super::learned::Learned;
use crate::rules::SlotRules;

/// The tariffs of the slots ahead.
#[derive(Debug)]
pub struct Ahead {
    /// The first slot.
    pub slot_start: DateTime<Utc>,
    tariffs: Vec<Tariff>,
    /// How many batteries are planned.
    batteries: usize,
    /// What each planned battery holds before the first slot.
    before: HashMap<SiteId, i64>,
}

impl Ahead {
    /// Reads what holds from `slot_start` on.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn read(
        pool: &PgPool,
        community: &CommunityId,
        rules: &SlotRules,
        slot_start: DateTime<Utc>,
        batteries: usize,
    ) -> Result<Self, StoreError> {
        let mut tariffs: Vec<Tariff> = Vec::new();
        if batteries > 0 {
            for slot in 0..i32::try_from(HORIZON).unwrap_or_default() {
                let at = slot_start + rules.length.delta() * slot;
                tariffs.push(communities::tariff_at(pool, community, at).await?);
            }
        }
        let from = slot_start - rules.length.delta() * i32::try_from(HORIZON).unwrap_or_default();
        let steps = forecasts::battery_steps(pool, community, from, slot_start).await?;
        Ok(Self { slot_start, tariffs, batteries, before: newest_charge(steps) })
    }
}

/// What the newest step of each site left in its battery.
fn newest_charge(steps: HashMap<(SiteId, DateTime<Utc>), BatteryStep>) -> HashMap<SiteId, i64> {
    let mut newest: HashMap<SiteId, (DateTime<Utc>, i64)> = HashMap::new();
    for ((site, slot_start), step) in steps {
        let known = newest.entry(site).or_insert((slot_start, step.stored_wh));
        if slot_start > known.0 {
            *known = (slot_start, step.stored_wh);
        }
    }
    newest.into_iter().map(|(site, (_, stored_wh))| (site, stored_wh)).collect()
}

/// The run of a site. `None` if its history says nothing yet.
///
/// # Errors
/// [`Overflow`] if the prices are absurd.
pub fn run(
    learned: &Learned,
    ahead: &Ahead,
    site: &Piloted,
    share_percent: u8,
    now: DateTime<Utc>,
) -> Result<Option<Run>, Overflow> {
    let index = learned.days().index(ahead.slot_start);
    let Some(history) = learned.history(&site.site_id) else { return Ok(None) };
    let Some(residual) = forecast(history, index, HORIZON) else { return Ok(None) };
    let battery = site.battery.filter(|_| site.settings.follows_battery_plan && !ahead.tariffs.is_empty());
    let reserve_wh = battery.map_or(0, |b| b.reserve_wh(site.settings.battery_reserve_percent));
    let stored_before_wh = battery
        .map_or(0, |b| ahead.before.get(&site.site_id).map_or(reserve_wh, |wh| (*wh).min(b.capacity_wh())));
    let steps = match &battery {
        Some(battery) => steps(learned, ahead, battery, (stored_before_wh, reserve_wh), index, &residual)?,
        None => Vec::new(),
    };
    Ok(Some(Run {
        site_id: site.site_id.clone(),
        made_at: now,
        first_slot_start: ahead.slot_start,
        learned_slots: i32::try_from(history.known()).unwrap_or(i32::MAX),
        share_percent,
        residual,
        reserve_wh,
        stored_before_wh,
        battery: steps,
    }))
}

fn steps(
    learned: &Learned,
    ahead: &Ahead,
    battery: &Battery,
    (stored_wh, reserve_wh): (i64, i64),
    index: i64,
    residual: &[Quantiles],
) -> Result<Vec<Step>, Overflow> {
    let outlooks: Vec<_> = (index..)
        .zip(residual)
        .zip(&ahead.tariffs)
        .map(|((at, slot), tariff)| learned.neighbours().outlook(at, slot.p50_wh, tariff, ahead.batteries))
        .collect::<Result<_, _>>()?;
    Ok(schedule::plan(battery, stored_wh, reserve_wh, learned.days().energy_seconds(), &outlooks))
}

/// How many of the sites' batteries are planned.
#[must_use]
pub fn planned(sites: &[Piloted]) -> usize {
    sites.iter().filter(|site| site.battery.is_some() && site.settings.follows_battery_plan).count()
}
