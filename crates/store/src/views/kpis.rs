//! A community's key figures: how much of its energy is its own.
//!
//! Each is computed a slot, then numerators and denominators are summed. Only energy that exists
//! counts: what was sold locally but never delivered to the network cannot have been used there.

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
        r#"WITH priced AS (
             SELECT slot_start, max(revision) AS revision FROM statements WHERE community_id = $1
             GROUP BY slot_start),
           local AS (
             SELECT st.slot_start, sum(st.traded_bought_wh + st.closing_bought_wh) AS bought
             FROM priced JOIN statements st USING (slot_start, revision)
             JOIN accounts a USING (community_id, account_id)
             WHERE st.community_id = $1 AND a.kind = 'member' GROUP BY st.slot_start),
           site AS (
             SELECT ms.slot_start, ms.import_wh, ms.export_wh,
                    coalesce(ms.production_wh, CASE WHEN si.pv_peak_w = 0 THEN 0 END) AS production_wh
             FROM priced JOIN metered_sites ms USING (slot_start, revision)
             JOIN sites si USING (community_id, site_id)
             WHERE ms.community_id = $1),
           metered AS (
             SELECT slot_start, sum(import_wh) AS imported, sum(export_wh) AS exported,
                    CASE WHEN bool_and(production_wh IS NOT NULL) THEN sum(production_wh) END AS produced,
                    sum(greatest(0, production_wh - export_wh)) AS own
             FROM site GROUP BY slot_start),
           slot AS (
             SELECT imported, least(bought, imported) AS local, produced,
                    greatest(0, produced + imported - exported) AS consumed,
                    own + least(bought, exported) AS used
             FROM metered JOIN local USING (slot_start))
           SELECT coalesce(sum(consumed) FILTER (WHERE produced IS NOT NULL), 0)::bigint
                    AS "consumption_wh!",
                  coalesce(sum(least(consumed, used)) FILTER (WHERE produced IS NOT NULL), 0)::bigint
                    AS "self_supplied_wh!",
                  coalesce(sum(produced), 0)::bigint AS "production_wh!",
                  coalesce(sum(least(produced, used)) FILTER (WHERE produced IS NOT NULL), 0)::bigint
                    AS "self_consumed_wh!",
                  coalesce(sum(imported), 0)::bigint AS "import_wh!",
                  coalesce(sum(local), 0)::bigint AS "local_wh!"
           FROM slot"#,
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
