//! A site's past slots with all that a what-if needs: meters, trades, prices, tariffs and the community.

mod fees;

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use domain::ids::{CommunityId, SiteId};
use domain::tariff::Tariff;
use domain::units::{Energy, Price};
use pilot::outlook::Volumes;
use pilot::what_if::PastSlot;
use sqlx::PgPool;

use crate::StoreError;
use crate::error::corrupt;
use fees::PastFees;

/// The most slots that are read: 31 days of five minutes.
pub const MAX_SLOTS: i64 = 8_928;

struct Row {
    slot_start: DateTime<Utc>,
    import_wh: i64,
    export_wh: i64,
    production_wh: Option<i64>,
    battery_wh: i64,
    local_net_wh: i64,
    local_net_nano: i64,
    local_bought_wh: i64,
    traded_wh: i64,
    traded_nano: i64,
    closing_price: Option<i64>,
    all_import_wh: i64,
    all_export_wh: i64,
    all_local_wh: i64,
    retail: i64,
    feed_in: i64,
    network_fee: i64,
    platform_fee: i64,
}

/// The newest [`MAX_SLOTS`] metered slots of a site from `from` to before `to`, in the order of time.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn past(
    pool: &PgPool,
    community: &CommunityId,
    site: &SiteId,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<PastSlot>, StoreError> {
    let mut fees = PastFees::read(pool, community, site, from, to).await?;
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT * FROM (
               SELECT s.slot_start, m.import_wh, m.export_wh, m.production_wh,
                   COALESCE(b.discharge_wh - b.charge_wh, 0) AS "battery_wh!",
                   own.net_wh + COALESCE(f.net_wh, 0) AS "local_net_wh!",
                   own.net_nano + COALESCE(f.net_nano, 0) AS "local_net_nano!",
                   own.bought_wh + COALESCE(f.bought_wh, 0) AS "local_bought_wh!",
                   traded.wh AS "traded_wh!", traded.nano AS "traded_nano!", closing.price AS closing_price,
                   community.import_wh AS "all_import_wh!", community.export_wh AS "all_export_wh!",
                   traded.wh + closing.wh AS "all_local_wh!",
                   tariff.retail_micro_per_kwh AS "retail!", tariff.feed_in_micro_per_kwh AS "feed_in!",
                   tariff.network_fee_micro_per_kwh AS "network_fee!",
                   tariff.platform_fee_micro_per_kwh AS "platform_fee!"
               FROM slots s
               JOIN metered_sites m ON m.community_id = s.community_id AND m.slot_start = s.slot_start
                   AND m.revision = s.revision AND m.site_id = $2
               LEFT JOIN battery_steps b ON b.community_id = $1 AND b.site_id = $2 AND b.slot_start = s.slot_start
               LEFT JOIN LATERAL (
                   SELECT CASE side WHEN 'offer' THEN energy_wh ELSE -energy_wh END AS net_wh,
                       CASE side WHEN 'offer' THEN 1 ELSE -1 END * energy_wh * price_micro_per_kwh AS net_nano,
                       CASE side WHEN 'bid' THEN energy_wh ELSE 0 END AS bought_wh
                   FROM closing_fills WHERE community_id = $1 AND slot_start = s.slot_start
                     AND revision = s.revision AND site_id = $2) f ON true
               CROSS JOIN LATERAL (
                   SELECT COALESCE(sum(CASE WHEN seller_site_id = $2 THEN energy_wh ELSE -energy_wh END), 0)::bigint
                           AS net_wh,
                       COALESCE(sum(CASE WHEN seller_site_id = $2 THEN 1 ELSE -1 END
                           * energy_wh * price_micro_per_kwh), 0)::bigint AS net_nano,
                       COALESCE(sum(energy_wh) FILTER (WHERE buyer_site_id = $2), 0)::bigint AS bought_wh
                   FROM trades WHERE community_id = $1 AND slot_start = s.slot_start
                     AND $2 IN (seller_site_id, buyer_site_id)) own
               CROSS JOIN LATERAL (
                   SELECT COALESCE(sum(energy_wh), 0)::bigint AS wh,
                       COALESCE(sum(energy_wh * price_micro_per_kwh), 0)::bigint AS nano
                   FROM trades WHERE community_id = $1 AND slot_start = s.slot_start) traded
               CROSS JOIN LATERAL (
                   SELECT min(price_micro_per_kwh) AS price,
                       COALESCE(sum(energy_wh) FILTER (WHERE side = 'bid'), 0)::bigint AS wh
                   FROM closing_fills WHERE community_id = $1 AND slot_start = s.slot_start
                     AND revision = s.revision) closing
               CROSS JOIN LATERAL (
                   SELECT sum(import_wh)::bigint AS import_wh, sum(export_wh)::bigint AS export_wh FROM metered_sites
                   WHERE community_id = $1 AND slot_start = s.slot_start AND revision = s.revision) community
               CROSS JOIN LATERAL (
                   SELECT * FROM tariffs WHERE community_id = $1 AND valid_from <= s.slot_start
                   ORDER BY valid_from DESC LIMIT 1) tariff
               WHERE s.community_id = $1 AND s.slot_start >= $3 AND s.slot_start < $4
               ORDER BY s.slot_start DESC LIMIT $5) newest
           ORDER BY slot_start"#,
        community.as_str(),
        site.as_str(),
        from,
        to,
        MAX_SLOTS
    )
    .fetch_all(pool)
    .await?;
    let metered = super::metered(pool, community, std::slice::from_ref(site), from, to).await?;
    let own: HashSet<DateTime<Utc>> =
        metered.iter().filter(|slot| slot.observed.is_some()).map(|slot| slot.slot_start).collect();
    rows.into_iter().map(|row| row.past_slot(&mut fees, &own)).collect()
}

impl Row {
    fn past_slot(self, fees: &mut PastFees, own: &HashSet<DateTime<Utc>>) -> Result<PastSlot, StoreError> {
        let (row, price) = (self, Price::from_micro_per_kwh);
        let tariff = Tariff::new(
            price(row.retail),
            price(row.feed_in),
            price(row.network_fee),
            price(row.platform_fee),
        )
        .map_err(corrupt)?;
        let fees = fees.of_slot(row.slot_start, &tariff, Energy::from_wh(row.local_bought_wh))?;
        // Micro-currency per kWh is nano-currency per Wh.
        let mean = (row.traded_wh > 0).then(|| row.traded_nano.div_euclid(row.traded_wh.max(1)));
        Ok(PastSlot {
            slot_start: row.slot_start,
            tariff,
            import_wh: row.import_wh,
            export_wh: row.export_wh,
            production_wh: row.production_wh,
            is_own: own.contains(&row.slot_start),
            battery_wh: row.battery_wh,
            local_net_wh: row.local_net_wh,
            local_net_nano: row.local_net_nano,
            local_bought_wh: row.local_bought_wh,
            network_fee_nano: fees.paid.nano(),
            network_fee: fees.of_zone,
            bounds: fees.bounds,
            trade_price: mean.map(price),
            closing_price: row.closing_price.map(price),
            volumes: Volumes {
                import_wh: row.all_import_wh,
                export_wh: row.all_export_wh,
                local_wh: row.all_local_wh,
            },
        })
    }
}
