//! The network fee of each pair of zones, versioned in time.

use chrono::{DateTime, Utc};
use domain::fees::NetworkFees;
use domain::ids::{CommunityId, ZoneId};
use domain::tariff::Tariff;
use domain::units::Price;
use sqlx::{PgConnection, PgExecutor};

use crate::StoreError;
use crate::error::corrupt;
use crate::notify::{self, Event, Kind};
use crate::zones::SiteZone;

/// The most versions that one look returns.
pub const MAX_LISTED: i64 = 10_000;

/// What a kWh from one zone to another pays from a time on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeeRow {
    /// The seller's zone.
    pub from_zone: ZoneId,
    /// The buyer's zone.
    pub to_zone: ZoneId,
    /// The first slot start that pays it.
    pub valid_from: DateTime<Utc>,
    /// The fee.
    pub fee: Price,
}

/// Whether fees were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetFees {
    /// They are.
    Stored,
    /// Nothing is: a slot that one of them would change takes orders already, or is over.
    TooLate {
        /// The latest such slot; a fee may hold from after its start.
        latest_open: DateTime<Utc>,
    },
}

/// The fees among the zones of `sites` in the slot that starts at `at`.
///
/// # Errors
/// [`StoreError::Corrupt`] if the community has too many zones.
pub async fn of_slot(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    at: DateTime<Utc>,
    tariff: &Tariff,
    sites: &[SiteZone],
) -> Result<NetworkFees, StoreError> {
    let pairs = sqlx::query!(
        "SELECT DISTINCT ON (from_zone, to_zone) from_zone, to_zone, fee_micro_per_kwh FROM network_fees
         WHERE community_id = $1 AND valid_from <= $2 ORDER BY from_zone, to_zone, valid_from DESC",
        community.as_str(),
        at
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| {
        let fee = Price::from_micro_per_kwh(row.fee_micro_per_kwh);
        Ok((ZoneId::new(&row.from_zone)?, ZoneId::new(&row.to_zone)?, fee))
    })
    .collect::<Result<Vec<_>, StoreError>>()?;
    NetworkFees::new(sites.iter().map(|site| site.zone_id.clone()), tariff, pairs).map_err(corrupt)
}

/// Stores fees, all or none. One that is there already is left as it is if it is the same, otherwise replaced.
///
/// A fee may only hold from a slot on that takes no orders yet: bids were bounded by the fees that held when
/// their slot opened, and must not come to cost more than the grid.
///
/// # Errors
/// [`StoreError`] if the database refuses them.
pub async fn set(
    tx: &mut PgConnection,
    community: &CommunityId,
    fees: &[FeeRow],
    now: DateTime<Utc>,
) -> Result<SetFees, StoreError> {
    let earliest = fees.iter().map(|fee| fee.valid_from).min();
    // Locks the slots, so that none of them opens before this transaction ends.
    let opened = sqlx::query!(
        "SELECT slot_start, status FROM slots WHERE community_id = $1 AND slot_start >= $2
         ORDER BY slot_start FOR SHARE",
        community.as_str(),
        earliest
    )
    .fetch_all(&mut *tx)
    .await?;
    let is_new = new_ones(tx, community, fees).await?;
    let changed: Vec<&FeeRow> = fees.iter().zip(is_new).filter(|(_, new)| *new).map(|(fee, _)| fee).collect();
    let first = changed.iter().map(|fee| fee.valid_from).min();
    let late = opened
        .iter()
        .filter(|slot| slot.status != "scheduled" && first.is_some_and(|first| slot.slot_start >= first))
        .map(|slot| slot.slot_start)
        .max();
    if let Some(latest_open) = late {
        return Ok(SetFees::TooLate { latest_open });
    }
    let column = |of: fn(&FeeRow) -> &str| changed.iter().map(|fee| of(fee).to_owned()).collect::<Vec<_>>();
    let times: Vec<_> = changed.iter().map(|fee| fee.valid_from).collect();
    let micro: Vec<_> = changed.iter().map(|fee| fee.fee.micro_per_kwh()).collect();
    sqlx::query!(
        "INSERT INTO network_fees (community_id, from_zone, to_zone, valid_from, fee_micro_per_kwh, set_at)
         SELECT $1, t.*, $6 FROM UNNEST($2::text[], $3::text[], $4::timestamptz[], $5::bigint[]) AS t
         ON CONFLICT (community_id, from_zone, to_zone, valid_from)
         DO UPDATE SET fee_micro_per_kwh = excluded.fee_micro_per_kwh, set_at = excluded.set_at",
        community.as_str(),
        &column(|fee| fee.from_zone.as_str()),
        &column(|fee| fee.to_zone.as_str()),
        &times,
        &micro,
        now
    )
    .execute(&mut *tx)
    .await?;
    if !changed.is_empty() {
        notify::send(&mut *tx, &Event::new(Kind::Settings, community, None)).await?;
    }
    Ok(SetFees::Stored)
}

/// Whether each of `fees` is not stored as it is.
async fn new_ones(
    tx: &mut PgConnection,
    community: &CommunityId,
    fees: &[FeeRow],
) -> Result<Vec<bool>, StoreError> {
    let stored = list(&mut *tx, community).await?;
    Ok(fees.iter().map(|fee| !stored.contains(fee)).collect())
}

/// All fees of a community, by pair and time; at most [`MAX_LISTED`], the newest.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn list(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<Vec<FeeRow>, StoreError> {
    sqlx::query!(
        r#"SELECT from_zone AS "from_zone!", to_zone AS "to_zone!", valid_from AS "valid_from!",
             fee_micro_per_kwh AS "fee_micro_per_kwh!" FROM (
             SELECT from_zone, to_zone, valid_from, fee_micro_per_kwh FROM network_fees
             WHERE community_id = $1 ORDER BY valid_from DESC, from_zone, to_zone LIMIT $2) newest
           ORDER BY from_zone, to_zone, valid_from"#,
        community.as_str(),
        MAX_LISTED
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| {
        Ok(FeeRow {
            from_zone: ZoneId::new(&row.from_zone)?,
            to_zone: ZoneId::new(&row.to_zone)?,
            valid_from: row.valid_from,
            fee: Price::from_micro_per_kwh(row.fee_micro_per_kwh),
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::fixtures;
    use crate::zones;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn fee(from: &str, valid_from: &str, micro: i64) -> FeeRow {
        let zone = |id: &str| ZoneId::new(id).unwrap();
        let (valid_from, fee) = (at(valid_from), Price::from_micro_per_kwh(micro));
        FeeRow { from_zone: zone(from), to_zone: zone("main"), valid_from, fee }
    }

    async fn tried(pool: &sqlx::PgPool, fees: &[FeeRow]) -> SetFees {
        let mut tx = pool.begin().await.unwrap();
        let done = set(&mut tx, &CommunityId::new("demo").unwrap(), fees, fixtures::now()).await.unwrap();
        tx.commit().await.unwrap();
        done
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_fee_holds_from_a_slot_on_that_takes_no_orders_yet(pool: sqlx::PgPool) {
        fixtures::insert(&pool).await.unwrap();
        let community = CommunityId::new("demo").unwrap();
        // The slot of 12:30 is open, the one of 12:45 is not.
        let late = [fee("main", "2026-03-01T12:45:00Z", 5), fee("main", "2026-03-01T12:16:00Z", 6)];
        let latest_open = at("2026-03-01T12:30:00Z");
        assert_eq!(tried(&pool, &late).await, SetFees::TooLate { latest_open });
        assert_eq!(list(&pool, &community).await.unwrap(), []);
        let fees = [fee("main", "2026-03-01T12:45:00Z", 10_000), fee("main", "2026-03-01T13:00:00Z", 20_000)];
        assert_eq!(tried(&pool, &fees).await, SetFees::Stored);
        let tariff =
            crate::communities::tariff_at(&pool, &community, at("2026-03-01T12:00:00Z")).await.unwrap();
        let sites = zones::of_sites(&pool, &community).await.unwrap();
        for (slot, micro) in [("12:30", 30_000), ("12:45", 10_000), ("13:00", 20_000), ("14:00", 20_000)] {
            let slot = at(&format!("2026-03-01T{slot}:00Z"));
            let all = of_slot(&pool, &community, slot, &tariff, &sites).await.unwrap();
            assert_eq!(all.fee(0, 0).micro_per_kwh(), micro, "{slot}");
        }
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn the_same_fee_again_is_harmless_at_any_time_and_another_replaces_it_in_time(pool: sqlx::PgPool) {
        fixtures::insert(&pool).await.unwrap();
        let community = CommunityId::new("demo").unwrap();
        let first = [fee("main", "2026-03-01T12:45:00Z", 10_000)];
        assert_eq!(tried(&pool, &first).await, SetFees::Stored);
        let second = [fee("main", "2026-03-01T12:45:00Z", 11_000)];
        assert_eq!(tried(&pool, &second).await, SetFees::Stored);
        sqlx::query("UPDATE slots SET status = 'open'").execute(&pool).await.unwrap();
        assert_eq!(tried(&pool, &second).await, SetFees::Stored, "nothing changes");
        assert!(matches!(tried(&pool, &first).await, SetFees::TooLate { .. }));
        assert_eq!(list(&pool, &community).await.unwrap(), second);
    }
}
