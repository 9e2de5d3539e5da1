//! The free credits of the members who bid: read from the rows once, then kept up to date in memory.
//!
//! The market's own decisions are accounted for here as they are made. What else changes credits (deposits, settlements,
//! withdrawals, slots that close) moves the community's stamp with its commit; when the stamp has moved, all is
//! read again. Like the books this is a cache: it goes with them when a batch fails.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{CommunityId, MemberId, ZoneId};
use domain::units::{Money, Overflow};
use store::{PgPool, StoreError, orders};

/// Credits are read again after this time even if the stamp stands, so that nothing is missed for long.
const READ_AGAIN_AFTER: TimeDelta = TimeDelta::seconds(10);

/// Free credits, of the members who have bid since they were last read.
#[derive(Debug, Default)]
pub(super) struct Credits {
    free: HashMap<MemberId, Money>,
    read: Option<(i64, DateTime<Utc>)>,
}

impl Credits {
    /// Makes sure that the credits of `bidders` are known and as the rows have them, in a community of `zones`.
    pub(super) async fn look_up(
        &mut self,
        pool: &PgPool,
        community: &CommunityId,
        bidders: &[MemberId],
        zones: &[ZoneId],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        if bidders.is_empty() {
            return Ok(());
        }
        // Read before the credits: a change that comes between is seen twice, never missed.
        let stamp = orders::credit_stamp(pool, community).await?;
        let fresh =
            |(read, at): &(i64, DateTime<Utc>)| *read == stamp && (now - *at).abs() < READ_AGAIN_AFTER;
        if !self.read.as_ref().is_some_and(fresh) {
            self.free.clear();
            self.read = Some((stamp, now));
        }
        let unknown: Vec<MemberId> =
            bidders.iter().filter(|member| !self.free.contains_key(*member)).cloned().collect();
        if !unknown.is_empty() {
            self.free.extend(orders::free_credits(pool, community, &unknown, zones).await?);
        }
        Ok(())
    }

    /// What a member may still spend; nothing if the member was not looked up.
    pub(super) fn free(&self, member: &MemberId) -> Money {
        self.known(member).unwrap_or_default()
    }

    /// What a member may still spend, if it was looked up.
    pub(super) fn known(&self, member: &MemberId) -> Option<Money> {
        self.free.get(member).copied()
    }

    /// Takes what a command used, less what it set free.
    pub(super) fn settle(&mut self, member: &MemberId, freed: Money, used: Money) -> Result<(), Overflow> {
        if let Some(free) = self.free.get_mut(member) {
            *free = free.checked_add(freed)?.checked_sub(used)?;
        }
        Ok(())
    }
}
