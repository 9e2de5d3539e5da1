//! The life of a community's slots from gate closure to the closing auction, and again whenever a
//! reading arrives late. Each slot is one transaction.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::SiteId;
use domain::units::Overflow;
use store::communities::Community;
use store::durability::commit_without_waiting;
use store::metering::{self as rows, Carry, MeteredSite, SiteInputs};
use store::notify::{self, Event, Kind};
use store::slots::{self, SlotRow, SlotStatus};
use store::{PgConnection, PgPool, keys};

use crate::closing::terms::SlotTerms;
use crate::fuse::Fuse;
use crate::metering::meter;
use crate::rules::SlotRules;

/// How many slots one tick meters, and how many it meters again.
pub const SLOTS_A_TICK: i64 = 20;

/// What one tick did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Metered {
    /// Slots metered for the first time.
    pub metered: usize,
    /// Slots that got a new revision.
    pub corrected: usize,
    /// Slots for which a late reading changed nothing.
    pub confirmed: usize,
}

/// Meters the closed slots that are complete, in their order, then again those for which a reading
/// arrived late. A slot that waits holds up those behind it, since its energy is part of theirs.
///
/// # Errors
/// The database's error, an overflow of absurd energies, or the fuse has blown; slots metered before stay metered.
pub async fn tick(
    pool: &PgPool,
    community: &Community,
    now: DateTime<Utc>,
    fuse: &Fuse,
) -> anyhow::Result<Metered> {
    let id = &community.community_id;
    let mut done = Metered::default();
    for slot in slots::with_status(pool, id, SlotStatus::Closed, SLOTS_A_TICK).await? {
        if !is_complete(pool, community, slot.slot_start, now).await? {
            break;
        }
        if meter_slot(pool, community, &slot, now).await? != Outcome::Metered {
            break;
        }
        fuse.committed("slot metered")?;
        done.metered += 1;
    }
    for slot in slots::remetering_due(pool, id, SLOTS_A_TICK).await? {
        match meter_slot(pool, community, &slot, now).await? {
            Outcome::Metered => done.corrected += 1,
            Outcome::Unchanged => done.confirmed += 1,
            Outcome::Elsewhere => continue,
        }
        fuse.committed("slot metered again")?;
    }
    Ok(done)
}

/// Whether nothing is left to wait for: the slot has ended, and every reading of its end is stored, or
/// cannot come any more, or the deadline has passed.
async fn is_complete(
    pool: &PgPool,
    community: &Community,
    slot_start: DateTime<Utc>,
    now: DateTime<Utc>,
) -> anyhow::Result<bool> {
    let rules = SlotRules::of(community);
    let end = rules.end(slot_start);
    if now < end {
        return Ok(false);
    }
    Ok(rules.deadline_passed(slot_start, now)
        || rows::missing_readings(pool, &community.community_id, end).await? == 0)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Its rows are written at a new revision.
    Metered,
    /// A late reading changed no energy.
    Unchanged,
    /// The slot changed meanwhile; the next tick looks again.
    Elsewhere,
}

async fn meter_slot(
    pool: &PgPool,
    community: &Community,
    slot: &SlotRow,
    now: DateTime<Utc>,
) -> anyhow::Result<Outcome> {
    let id = &community.community_id;
    let rules = SlotRules::of(community);
    let start = slot.slot_start;
    let mut tx = pool.begin().await?;
    rows::hold_readings(&mut tx).await?;
    if slots::find(&mut *tx, id, start).await? != Some(*slot) {
        return Ok(Outcome::Elsewhere);
    }
    let previous = start - rules.length.delta();
    let inputs = rows::inputs(&mut tx, id, previous, start, rules.end(start)).await?;
    let sites: Vec<MeteredSite> = inputs.iter().map(meter).collect::<Result<_, Overflow>>()?;
    let first = slot.status == SlotStatus::Closed;
    if !first {
        let before = rows::of_slot(&mut *tx, id, start, slot.revision).await?;
        if energies(&before) == energies(&sites) {
            slots::mark_remetering(&mut *tx, id, start, false).await?;
            tx.commit().await?;
            return Ok(Outcome::Unchanged);
        }
        if carries(&before) != carries(&sites) {
            slots::mark_remetering(&mut *tx, id, rules.end(start), true).await?;
        }
    }
    let revision = if first { slot.revision } else { slot.revision + 1 };
    write(&mut tx, community, start, revision, &inputs, &sites).await?;
    if !slots::set_metered(&mut *tx, id, slot, revision, now).await? {
        return Ok(Outcome::Elsewhere);
    }
    notify::send(&mut *tx, &Event::new(Kind::Slot, id, Some(start))).await?;
    commit_without_waiting(tx).await?;
    log(community, slot, &sites, now - rules.end(start));
    Ok(Outcome::Metered)
}

/// Writes what the sites metered, clears what they did not trade, and writes what that gave them.
async fn write(
    tx: &mut PgConnection,
    community: &Community,
    slot_start: DateTime<Utc>,
    revision: i32,
    inputs: &[SiteInputs],
    sites: &[MeteredSite],
) -> anyhow::Result<()> {
    let id = &community.community_id;
    let mut terms = SlotTerms::load(&mut *tx, id, slot_start, community.slot_length).await?;
    let closed = terms.close(inputs, sites)?;
    // From here on rows are only written.
    keys::check_by_index(&mut *tx).await?;
    rows::insert_metered(&mut *tx, id, slot_start, revision, sites).await?;
    rows::insert_closing_fills(&mut *tx, id, slot_start, revision, &closed.fills).await?;
    rows::insert_closing_pairs(tx, id, slot_start, revision, &closed.pairs).await?;
    Ok(())
}

type Energies<'a> = HashMap<&'a SiteId, (domain::reading::Metered, Carry)>;

/// What a revision is for: energies and what they leave to later slots. Whether they were substituted
/// is not: a reading that confirms a substituted energy moves no money.
fn energies(sites: &[MeteredSite]) -> Energies<'_> {
    sites.iter().map(|site| (&site.site_id, (site.metered, site.carry))).collect()
}

fn carries(sites: &[MeteredSite]) -> HashMap<&SiteId, Carry> {
    sites.iter().map(|site| (&site.site_id, site.carry)).collect()
}

fn log(community: &Community, slot: &SlotRow, sites: &[MeteredSite], after_end: TimeDelta) {
    let substituted = sites.iter().filter(|site| site.substituted).count();
    tracing::info!(
        community_id = %community.community_id,
        slot_start = %slot.slot_start,
        sites = sites.len(),
        substituted,
        after_end_ms = after_end.num_milliseconds(),
        "slot metered"
    );
}
