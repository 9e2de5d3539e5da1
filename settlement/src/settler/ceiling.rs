//! Waiting while the chain is dearer than the configuration allows: longer each time, up to a bound.

use chrono::{DateTime, TimeDelta, Utc};
use store::waits;

use crate::context::Context;
use crate::error::SettleError;

/// The first wait, in seconds; each next one is twice as long.
const FIRST_WAIT_S: i64 = 5;
/// The longest wait, in seconds.
const LONGEST_WAIT_S: i64 = 600;

/// When to look at the chain's fees again. A new one looks at once, so that losing it loses nothing.
#[derive(Debug, Clone, Default)]
pub struct Ceiling {
    refusals: u32,
    until: Option<DateTime<Utc>>,
}

impl Ceiling {
    /// Whether fees may be looked at now.
    #[must_use]
    pub fn may_try(&self, now: DateTime<Utc>) -> bool {
        self.until.is_none_or(|until| now >= until)
    }

    /// Whether the last look found the chain too dear.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        self.until.is_some()
    }

    /// When to look again after the chain was too dear once more.
    fn postpone(&mut self, now: DateTime<Utc>) -> DateTime<Utc> {
        let doubled = FIRST_WAIT_S.saturating_mul(1_i64 << self.refusals.min(16));
        self.refusals = self.refusals.saturating_add(1);
        let until = now + TimeDelta::seconds(doubled.min(LONGEST_WAIT_S));
        self.until = Some(until);
        until
    }

    /// The chain was too dear: waits, and says so in the log and in the database.
    ///
    /// # Errors
    /// [`SettleError::Store`] if that cannot be stored.
    pub async fn too_dear(&mut self, context: &Context, reason: &str) -> Result<(), SettleError> {
        let now = context.clock.now();
        let until = self.postpone(now);
        let community = &context.community_id;
        tracing::warn!(%community, reason, next_try_at = %until, refusals = self.refusals, "settlement waits for lower fees");
        Ok(waits::begin(&context.pool, community, now, until, reason).await?)
    }

    /// The chain is cheap enough. Notes that, if it was not.
    ///
    /// # Errors
    /// [`SettleError::Store`] if that cannot be stored.
    pub async fn affordable(&mut self, context: &Context) -> Result<(), SettleError> {
        if !self.is_waiting() {
            return Ok(());
        }
        *self = Self::default();
        waits::end(&context.pool, &context.community_id).await?;
        tracing::info!(community = %context.community_id, "fees are low enough again: settlement goes on");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_twice_the_one_before_up_to_a_bound() {
        let mut ceiling = Ceiling::default();
        let mut now = DateTime::UNIX_EPOCH;
        assert!(ceiling.may_try(now));
        let mut waits = Vec::new();
        for _ in 0..40 {
            let until = ceiling.postpone(now);
            waits.push((until - now).num_seconds());
            assert!(!ceiling.may_try(until - TimeDelta::seconds(1)) && ceiling.may_try(until));
            now = until;
        }
        assert_eq!(waits[..4], [5, 10, 20, 40]);
        assert_eq!(waits[39], LONGEST_WAIT_S);
    }
}
