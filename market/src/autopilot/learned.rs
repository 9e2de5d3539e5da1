//! What forecasts are made from, kept in memory: a cache of rows, built again from them after a start.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{CommunityId, SiteId};
use pilot::day::Days;
use pilot::history::{DAYS, History, Observed};
use pilot::outlook::Neighbours;
use store::autopilot::Piloted;
use store::forecasts::BatteryStep;
use store::metering::Boundary;
use store::{PgPool, StoreError, forecasts, metering};

use crate::forecast::read_slots;
use crate::rules::SlotRules;

/// How many sites' histories are read at once; the others wait for the next tick.
pub const SITES_A_TICK: usize = 256;
/// How many rows of slots that were metered again are read at once.
const ROWS_A_QUERY: usize = 100_000;

/// The histories of a community's sites.
#[derive(Debug)]
pub struct Learned {
    days: Days,
    slot: TimeDelta,
    histories: HashMap<SiteId, History>,
    neighbours: Neighbours,
    /// The slot after the last metered one that the histories hold.
    metered_to: Option<DateTime<Utc>>,
    /// The same for the neighbours.
    volumes_to: Option<DateTime<Utc>>,
    /// The revision of each slot that was metered again, as the histories hold it.
    revisions: HashMap<DateTime<Utc>, i32>,
}

impl Learned {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(rules: &SlotRules) -> Self {
        let days = Days::new(rules.length.seconds());
        Self {
            days,
            slot: rules.length.delta(),
            histories: HashMap::new(),
            neighbours: Neighbours::new(days),
            metered_to: None,
            volumes_to: None,
            revisions: HashMap::new(),
        }
    }

    /// The days that are counted in.
    #[must_use]
    pub const fn days(&self) -> Days {
        self.days
    }

    /// What is known of the neighbours.
    #[must_use]
    pub const fn neighbours(&self) -> &Neighbours {
        &self.neighbours
    }

    /// What is known of a site; `None` until it has been read.
    #[must_use]
    pub fn history(&self, site: &SiteId) -> Option<&History> {
        self.histories.get(site)
    }

    /// Reads what is new: slots that were metered, or metered again after a late or corrected reading, and the readings
    /// of the last `recent` slots up to the boundary `newest`. Sites that are new are read back to the first day that
    /// counts, [`SITES_A_TICK`] at once. What is known afterwards is what a new start would read.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn refresh(
        &mut self,
        pool: &PgPool,
        community: &CommunityId,
        piloted: &[Piloted],
        newest: DateTime<Utc>,
        recent: i32,
    ) -> Result<(), StoreError> {
        let first = newest - self.slot * i32::try_from(self.days.slots() * DAYS).unwrap_or(i32::MAX);
        let known: Vec<SiteId> = self.histories.keys().cloned().collect();
        self.corrected(pool, community, &known, first, newest).await?;
        let from = self.metered_to.unwrap_or(first);
        self.metered(pool, community, &known, from, newest).await?;
        let new: Vec<SiteId> = piloted
            .iter()
            .map(|site| &site.site_id)
            .filter(|site| !self.histories.contains_key(site))
            .take(SITES_A_TICK)
            .cloned()
            .collect();
        for site in &new {
            self.histories.insert(site.clone(), History::new(self.days));
        }
        self.metered(pool, community, &new, first, newest).await?;
        self.readings(pool, community, newest, recent).await?;
        if piloted.iter().any(|site| site.battery.is_some() && site.settings.follows_battery_plan) {
            self.volumes(pool, community, first, newest).await?;
        }
        Ok(())
    }

    async fn metered(
        &mut self,
        pool: &PgPool,
        community: &CommunityId,
        sites: &[SiteId],
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        if sites.is_empty() {
            return Ok(());
        }
        for row in forecasts::metered(pool, community, sites, from, to).await? {
            self.metered_to = self.metered_to.max(Some(row.slot_start + self.slot));
            self.learn(&row.site_id, row.slot_start, row.observed);
        }
        Ok(())
    }

    /// Learns again what changed in slots that were metered again: a row each of the days that count at most.
    async fn corrected(
        &mut self,
        pool: &PgPool,
        community: &CommunityId,
        sites: &[SiteId],
        first: DateTime<Utc>,
        newest: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let revisions = forecasts::revised(pool, community, first, newest).await?;
        let changed = |slot: &&DateTime<Utc>| self.revisions.get(*slot) != revisions.get(*slot);
        let changed: Vec<DateTime<Utc>> = revisions.keys().filter(changed).copied().collect();
        // At a start no site is known yet: each is read from its rows, which are those of the newest revision.
        if !sites.is_empty() {
            self.read_again(pool, community, sites, &changed).await?;
        }
        if !changed.is_empty() {
            // A mean cannot unlearn one slot: it is made again from all of them.
            (self.neighbours, self.volumes_to) = (Neighbours::new(self.days), None);
        }
        // Only now, so that after an error the same slots are read again.
        self.revisions = revisions;
        Ok(())
    }

    /// Reads `changed` slots again and those behind them, since whether a slot holds the energy of others too depends on
    /// the slot before.
    async fn read_again(
        &mut self,
        pool: &PgPool,
        community: &CommunityId,
        sites: &[SiteId],
        changed: &[DateTime<Utc>],
    ) -> Result<(), StoreError> {
        let is_metered = |slot: &DateTime<Utc>| self.metered_to.is_some_and(|to| *slot < to);
        let with_next = changed.iter().flat_map(|slot| [*slot, *slot + self.slot]).filter(is_metered);
        let slots: Vec<DateTime<Utc>> = BTreeSet::from_iter(with_next).into_iter().collect();
        for slots in slots.chunks((ROWS_A_QUERY / sites.len().max(1)).max(1)) {
            let rows = forecasts::metered_in(pool, community, sites, slots).await?;
            for slot_start in slots {
                // A site without a row any more is not known to have done anything.
                let index = self.days.index(*slot_start);
                self.histories.values_mut().for_each(|history| history.forget(index));
            }
            for row in rows {
                self.learn(&row.site_id, row.slot_start, row.observed);
            }
        }
        Ok(())
    }

    /// Slots that are read and not metered yet.
    async fn readings(
        &mut self,
        pool: &PgPool,
        community: &CommunityId,
        newest: DateTime<Utc>,
        recent: i32,
    ) -> Result<(), StoreError> {
        let from = newest - self.slot * recent;
        let steps = forecasts::battery_steps(pool, community, from, newest).await?;
        let mut by_site: BTreeMap<SiteId, Vec<Boundary>> = BTreeMap::new();
        for row in metering::registers_between(pool, community, from, newest).await? {
            by_site.entry(row.site_id).or_default().push(row.boundary);
        }
        let Ok(length) = domain::slot::SlotLength::from_seconds(self.slot_seconds()) else { return Ok(()) };
        for (site, boundaries) in by_site {
            for (slot_start, seen) in read_slots(&boundaries, length) {
                if self.metered_to.is_some_and(|metered_to| slot_start < metered_to) {
                    continue;
                }
                let step = steps.get(&(site.clone(), slot_start)).copied();
                self.observe(&site, slot_start, without_battery(seen, step));
            }
        }
        Ok(())
    }

    async fn volumes(
        &mut self,
        pool: &PgPool,
        community: &CommunityId,
        first: DateTime<Utc>,
        newest: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let from = self.volumes_to.unwrap_or(first);
        for (slot_start, volumes) in forecasts::volumes(pool, community, from, newest).await? {
            self.neighbours.observe(self.days.index(slot_start), volumes);
            self.volumes_to = Some(slot_start + self.slot);
        }
        Ok(())
    }

    /// Takes what the rows say of a slot that is metered: that nothing is known of it, too.
    fn learn(&mut self, site: &SiteId, slot_start: DateTime<Utc>, observed: Option<Observed>) {
        match observed {
            Some(observed) => self.observe(site, slot_start, observed),
            None => {
                let index = self.days.index(slot_start);
                if let Some(history) = self.histories.get_mut(site) {
                    history.forget(index);
                }
            }
        }
    }

    fn observe(&mut self, site: &SiteId, slot_start: DateTime<Utc>, observed: Observed) {
        let index = self.days.index(slot_start);
        if let Some(history) = self.histories.get_mut(site) {
            history.observe(index, observed);
        }
    }

    fn slot_seconds(&self) -> u32 {
        u32::try_from(self.slot.num_seconds()).unwrap_or_default()
    }
}

fn without_battery(seen: Observed, step: Option<BatteryStep>) -> Observed {
    Observed { net_wh: seen.net_wh - step.map_or(0, |step| step.net_wh), ..seen }
}
