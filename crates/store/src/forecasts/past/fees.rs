//! What local energy paid to the network in past slots, and what bounded a site's limits.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::fees::NetworkFees;
use domain::ids::{CommunityId, SiteId, ZoneId};
use domain::tariff::Tariff;
use domain::units::{Energy, Money, Price};
use pilot::bounds::Bounds;
use sqlx::PgPool;

use crate::StoreError;
use crate::error::corrupt;
use crate::network_fees::{self, FeeRow};
use crate::zones::{self, SiteZone};

/// The network fees of a community's past, as one of its sites met them.
pub(super) struct PastFees {
    sites: Vec<SiteZone>,
    own: ZoneId,
    /// By pair and time.
    rows: Vec<FeeRow>,
    /// When any of them began to hold, ascending.
    times: Vec<DateTime<Utc>>,
    bought: HashMap<DateTime<Utc>, Vec<Bought>>,
    newest: Option<Newest>,
}

/// What held in the slot that was looked at last: most slots are like the one before.
struct Newest {
    tariff: Tariff,
    versions: usize,
    fees: NetworkFees,
    bounds: Bounds,
}

/// What a zone bought from one zone in a slot, in Wh, and what of it the site bought.
struct Bought {
    from: ZoneId,
    zone_wh: i64,
    own_wh: i64,
}

/// The fees of one slot.
pub(super) struct SlotFees {
    /// What the site paid to the network.
    pub(super) paid: Money,
    /// What a kWh that its zone bought paid on the whole, rounded down; the highest it may pay where it bought none.
    pub(super) of_zone: Price,
    /// Between what the site's limits could lie.
    pub(super) bounds: Bounds,
}

impl PastFees {
    /// Reads the fees and, where there are several zones, who bought from which.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub(super) async fn read(
        pool: &PgPool,
        community: &CommunityId,
        site: &SiteId,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        let sites = zones::of_sites(pool, community).await?;
        let own = sites.iter().find(|known| known.site_id == *site).map(|known| known.zone_id.clone());
        let own = own.unwrap_or_default();
        let rows = network_fees::list(pool, community).await?;
        let mut times: Vec<_> = rows.iter().map(|row| row.valid_from).collect();
        times.sort_unstable();
        times.dedup();
        let one_zone = sites.iter().all(|known| known.zone_id == own);
        let bought =
            if one_zone { HashMap::new() } else { bought(pool, community, site, &own, from, to).await? };
        Ok(Self { sites, own, rows, times, bought, newest: None })
    }

    /// The fees of the slot of `slot_start`, of which the site bought `own_bought` locally.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if a fee or its product is absurd.
    pub(super) fn of_slot(
        &mut self,
        slot_start: DateTime<Utc>,
        tariff: &Tariff,
        own_bought: Energy,
    ) -> Result<SlotFees, StoreError> {
        let versions = self.times.partition_point(|time| *time <= slot_start);
        let newest = match self.newest.take().filter(|n| n.versions == versions && n.tariff == *tariff) {
            Some(newest) => newest,
            None => self.held(slot_start, tariff, versions)?,
        };
        let fees = self.of_trades(slot_start, &newest, own_bought);
        self.newest = Some(newest);
        fees
    }

    fn held(
        &self,
        slot_start: DateTime<Utc>,
        tariff: &Tariff,
        versions: usize,
    ) -> Result<Newest, StoreError> {
        // By pair and time: of each pair the newest comes last, and holds.
        let held = self.rows.iter().filter(|row| row.valid_from <= slot_start);
        let pairs = held.map(|row| (row.from_zone.clone(), row.to_zone.clone(), row.fee));
        let zones = self.sites.iter().map(|site| site.zone_id.clone());
        let fees = NetworkFees::new(zones, tariff, pairs).map_err(corrupt)?;
        let bounds = Bounds::of_zone(tariff, &fees, &self.own).map_err(corrupt)?;
        Ok(Newest { tariff: *tariff, versions, fees, bounds })
    }

    fn of_trades(
        &self,
        slot_start: DateTime<Utc>,
        newest: &Newest,
        own_bought: Energy,
    ) -> Result<SlotFees, StoreError> {
        let (bounds, fees) = (newest.bounds, &newest.fees);
        let Some(to) = fees.number(&self.own) else {
            let of_zone = newest.tariff.network_fee();
            return Ok(SlotFees { paid: of_zone.checked_mul(own_bought).map_err(corrupt)?, of_zone, bounds });
        };
        if fees.count() == 1 {
            let of_zone = fees.fee(to, to);
            return Ok(SlotFees { paid: of_zone.checked_mul(own_bought).map_err(corrupt)?, of_zone, bounds });
        }
        let (mut paid, mut by_zone, mut zone_wh) = (Money::ZERO, Money::ZERO, 0_i64);
        for bought in self.bought.get(&slot_start).into_iter().flatten() {
            let Some(from) = fees.number(&bought.from) else { continue };
            let fee = |wh: i64| fees.fee(from, to).checked_mul(Energy::from_wh(wh)).map_err(corrupt);
            paid = paid.checked_add(fee(bought.own_wh)?).map_err(corrupt)?;
            by_zone = by_zone.checked_add(fee(bought.zone_wh)?).map_err(corrupt)?;
            zone_wh = zone_wh.saturating_add(bought.zone_wh);
        }
        // Nano-currency per Wh is micro-currency per kWh.
        let of_zone = match zone_wh {
            1.. => Price::from_micro_per_kwh(by_zone.nano().div_euclid(zone_wh)),
            _ => fees.highest(to),
        };
        Ok(SlotFees { paid, of_zone, bounds })
    }
}

/// What zone `own` bought from each zone, by slot: in the continuous auction and, at the slot's revision, in closing.
async fn bought(
    pool: &PgPool,
    community: &CommunityId,
    site: &SiteId,
    own: &ZoneId,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<HashMap<DateTime<Utc>, Vec<Bought>>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT bought.slot_start AS "slot_start!", seller.zone_id AS "from_zone!",
               sum(energy_wh)::bigint AS "zone_wh!",
               coalesce(sum(energy_wh) FILTER (WHERE buyer_site_id = $2), 0)::bigint AS "own_wh!"
           FROM (SELECT slot_start, buyer_site_id, seller_site_id, energy_wh FROM trades
                 WHERE community_id = $1 AND slot_start >= $4 AND slot_start < $5
                 UNION ALL
                 SELECT p.slot_start, p.buyer_site_id, p.seller_site_id, p.energy_wh
                 FROM slots s JOIN closing_pairs p USING (community_id, slot_start, revision)
                 WHERE s.community_id = $1 AND s.slot_start >= $4 AND s.slot_start < $5) bought
           JOIN sites buyer ON buyer.community_id = $1 AND buyer.site_id = buyer_site_id AND buyer.zone_id = $3
           JOIN sites seller ON seller.community_id = $1 AND seller.site_id = seller_site_id
           GROUP BY 1, 2"#,
        community.as_str(),
        site.as_str(),
        own.as_str(),
        from,
        to
    )
    .fetch_all(pool)
    .await?;
    let mut bought: HashMap<DateTime<Utc>, Vec<Bought>> = HashMap::new();
    for row in rows {
        let from = ZoneId::new(&row.from_zone)?;
        let of_slot = bought.entry(row.slot_start).or_default();
        of_slot.push(Bought { from, zone_wh: row.zone_wh, own_wh: row.own_wh });
    }
    Ok(bought)
}
