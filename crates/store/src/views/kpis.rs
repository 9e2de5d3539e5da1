//! A community's key figures: how much of its energy is its own.
//!
//! Each is computed a slot, when the slot is priced (`slot_totals`), then numerators and denominators are summed.

use domain::ids::CommunityId;
use sqlx::PgExecutor;

use crate::StoreError;

/// Sums of a community's priced slots, at their latest revisions, in Wh. Slots in which the
/// production of a site is unknown count for the local share alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KpiSums {
    /// Production and import less export, of slots with known production.
    pub consumption_wh: i64,
    /// The part of it met from own or local production.
    pub self_supplied_wh: i64,
    /// Production, of slots in which it is known.
    pub production_wh: i64,
    /// The part of it used behind its own meter or by a neighbour.
    pub self_consumed_wh: i64,
    /// Import of all priced slots.
    pub import_wh: i64,
    /// The part of it bought from neighbours.
    pub local_wh: i64,
}

impl KpiSums {
    /// Self-sufficiency in thousandths; `None` if nothing was consumed.
    #[must_use]
    pub fn self_sufficiency_permille(&self) -> Option<i64> {
        permille(self.self_supplied_wh, self.consumption_wh)
    }

    /// Self-consumption in thousandths; `None` if nothing was produced.
    #[must_use]
    pub fn self_consumption_permille(&self) -> Option<i64> {
        permille(self.self_consumed_wh, self.production_wh)
    }

    /// The share of imported energy that came from neighbours, in thousandths; `None` if nothing was
    /// imported.
    #[must_use]
    pub fn local_share_permille(&self) -> Option<i64> {
        permille(self.local_wh, self.import_wh)
    }
}

/// `part` of `whole` in thousandths, rounded to the nearest; `None` where the ratio has no meaning.
fn permille(part_wh: i64, whole_wh: i64) -> Option<i64> {
    let (part, whole) = (i128::from(part_wh), i128::from(whole_wh));
    (whole > 0).then(|| i64::try_from((part * 1_000 + whole / 2) / whole).ok()).flatten()
}

/// Sums a community's key figures over all priced slots.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn sums(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<KpiSums, StoreError> {
    Ok(sqlx::query_as!(
        KpiSums,
        r#"SELECT coalesce(sum(consumed_wh), 0)::bigint AS "consumption_wh!",
                  coalesce(sum(self_supplied_wh), 0)::bigint AS "self_supplied_wh!",
                  coalesce(sum(produced_wh), 0)::bigint AS "production_wh!",
                  coalesce(sum(self_consumed_wh), 0)::bigint AS "self_consumed_wh!",
                  coalesce(sum(imported_wh), 0)::bigint AS "import_wh!",
                  coalesce(sum(local_wh), 0)::bigint AS "local_wh!"
           FROM (SELECT DISTINCT ON (slot_start) * FROM slot_totals WHERE community_id = $1
                 ORDER BY slot_start DESC, revision DESC) newest"#,
        community.as_str()
    )
    .fetch_one(db)
    .await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_without_a_denominator_is_undefined_not_zero() {
        let none = KpiSums::default();
        assert_eq!(none.self_sufficiency_permille(), None);
        assert_eq!(none.self_consumption_permille(), None);
        assert_eq!(none.local_share_permille(), None);
    }

    #[test]
    fn ratios_are_rounded_to_the_nearest_thousandth() {
        let sums = KpiSums { import_wh: 3, local_wh: 2, ..KpiSums::default() };
        assert_eq!(sums.local_share_permille(), Some(667));
        assert_eq!(permille(i64::MAX, i64::MAX), Some(1_000));
    }
}
