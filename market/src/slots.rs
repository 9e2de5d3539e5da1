//! The life of a community's slots up to gate closure: creating, opening and closing them.

use chrono::{DateTime, Utc};
use store::communities::Community;
use store::durability::commit_without_waiting;
use store::notify::{self, Event, Kind};
use store::slots::{self, SlotStatus};
use store::{PgPool, StoreError};

use crate::fuse::Fuse;
use crate::rules::SlotRules;

/// How many slots one tick creates, opens or closes.
pub const SLOTS_A_TICK: usize = 500;

/// What one tick did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Turned {
    /// Slots that were created.
    pub created: u64,
    /// Slots that were opened, or closed.
    pub changed: usize,
    /// Orders that gate closure ended.
    pub expired: u64,
}

impl Turned {
    /// Whether all that was due is done, so that nothing is until the next slot's time comes.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.changed < SLOTS_A_TICK && usize::try_from(self.created).is_ok_and(|made| made < SLOTS_A_TICK)
    }
}

/// Creates the slots that are due and opens those whose lead has come, oldest first.
///
/// # Errors
/// [`StoreError`] if the database does not answer; what is stored then is right all the same.
pub async fn open(pool: &PgPool, community: &Community, now: DateTime<Utc>) -> Result<Turned, StoreError> {
    let id = &community.community_id;
    let rules = SlotRules::of(community);
    let mut tx = pool.begin().await?;
    let latest = slots::latest(&mut *tx, id).await?;
    let starts = rules.missing(latest, now, SLOTS_A_TICK);
    let mut turned = Turned::default();
    if !starts.is_empty() {
        turned.created = slots::insert_scheduled(&mut *tx, id, &starts, now).await?;
    }
    let limit = i64::try_from(SLOTS_A_TICK).unwrap_or(i64::MAX);
    let opened = slots::open_due(&mut *tx, id, rules.last_open_start(now), now, limit).await?;
    turned.changed = opened.len();
    if turned.created > 0 || turned.changed > 0 {
        // One hint for all of them: a listener reads the slots anyway.
        notify::send(&mut *tx, &Event::new(Kind::Slot, id, opened.first().copied())).await?;
        commit_without_waiting(tx).await?;
    }
    Ok(turned)
}

/// Closes the open slots whose gate closure has come, oldest first, and expires their open orders.
///
/// # Errors
/// The database's error, or the fuse has blown; slots closed before stay closed.
pub async fn close(
    pool: &PgPool,
    community: &Community,
    now: DateTime<Utc>,
    fuse: &Fuse,
) -> anyhow::Result<Turned> {
    let id = &community.community_id;
    let last = SlotRules::of(community).last_closed_start(now);
    let limit = i64::try_from(SLOTS_A_TICK).unwrap_or(i64::MAX);
    let mut turned = Turned::default();
    for slot in slots::with_status(pool, id, SlotStatus::Open, limit).await? {
        if slot.slot_start > last {
            break;
        }
        let mut tx = pool.begin().await?;
        if let Some(expired) = slots::close(&mut tx, id, slot.slot_start, now).await? {
            notify::send(&mut *tx, &Event::new(Kind::Slot, id, Some(slot.slot_start))).await?;
            commit_without_waiting(tx).await?;
            fuse.committed("slot closed")?;
            turned.changed += 1;
            turned.expired += expired;
        }
    }
    Ok(turned)
}
