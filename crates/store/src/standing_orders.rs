//! Standing orders: what sites send to the closing auction. A version that a slot has begun with stays, so that a slot
//! which is cleared again finds what held when it began.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::ids::{CommunityId, MemberId, SiteId};
use domain::standing::{Preference, StandingOrder, Wish};
use domain::units::Price;
use sqlx::{PgExecutor, PgPool};

use crate::StoreError;
use crate::error::corrupt;
use crate::notify::{self, Event, Kind};

struct Row {
    site_id: String,
    valid_from: DateTime<Utc>,
    offer_limit_micro_per_kwh: Option<i64>,
    bid_limit_micro_per_kwh: Option<i64>,
    prefers: String,
    partners: Vec<String>,
    premium_micro_per_kwh: i64,
}

impl TryFrom<&Row> for StandingOrder {
    type Error = StoreError;

    fn try_from(row: &Row) -> Result<Self, StoreError> {
        let partners =
            row.partners.iter().map(|partner| MemberId::new(partner)).collect::<Result<Vec<_>, _>>()?;
        let preference = Preference::new(&row.prefers, partners).map_err(corrupt)?;
        let premium = Price::from_micro_per_kwh(row.premium_micro_per_kwh);
        Ok(Self {
            offer_limit: row.offer_limit_micro_per_kwh.map(Price::from_micro_per_kwh),
            bid_limit: row.bid_limit_micro_per_kwh.map(Price::from_micro_per_kwh),
            wish: Wish::new(preference, premium).map_err(corrupt)?,
        })
    }
}

/// The standing orders that hold for the slot that starts at `at`. A site that never set one is not among them.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn of_slot(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    at: DateTime<Utc>,
) -> Result<HashMap<SiteId, StandingOrder>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT DISTINCT ON (site_id) site_id, valid_from, offer_limit_micro_per_kwh, bid_limit_micro_per_kwh,
             prefers, partners, premium_micro_per_kwh
         FROM standing_orders WHERE community_id = $1 AND valid_from <= $2 ORDER BY site_id, valid_from DESC",
        community.as_str(),
        at
    )
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| Ok((SiteId::new(&row.site_id)?, StandingOrder::try_from(row)?))).collect()
}

/// A site's newest standing order, and since when it holds; `None` if it never set one.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn newest(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    site: &SiteId,
) -> Result<Option<(StandingOrder, DateTime<Utc>)>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "SELECT site_id, valid_from, offer_limit_micro_per_kwh, bid_limit_micro_per_kwh, prefers, partners,
             premium_micro_per_kwh
         FROM standing_orders WHERE community_id = $1 AND site_id = $2 ORDER BY valid_from DESC LIMIT 1",
        community.as_str(),
        site.as_str()
    )
    .fetch_optional(db)
    .await?;
    row.map(|row| Ok((StandingOrder::try_from(&row)?, row.valid_from))).transpose()
}

/// Sets a site's standing order for every slot that starts at `now` or later, in place of one that no slot has begun
/// with: so a site has at most one version a slot, however often it changes its mind.
///
/// # Errors
/// [`StoreError`] if the database refuses it.
pub async fn set(
    pool: &PgPool,
    community: &CommunityId,
    site: &SiteId,
    order: &StandingOrder,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut tx = pool.begin().await?;
    let preference = order.wish.preference();
    let partners: Vec<String> = preference.partners().iter().map(ToString::to_string).collect();
    sqlx::query!(
        "WITH unused AS (
             DELETE FROM standing_orders WHERE community_id = $1 AND site_id = $2 AND valid_from <> $3
               AND valid_from > COALESCE((SELECT max(slot_start) FROM slots
                   WHERE community_id = $1 AND slot_start <= $3), '-infinity'))
         INSERT INTO standing_orders (community_id, site_id, valid_from, offer_limit_micro_per_kwh,
             bid_limit_micro_per_kwh, prefers, partners, premium_micro_per_kwh)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (community_id, site_id, valid_from) DO UPDATE SET
             offer_limit_micro_per_kwh = excluded.offer_limit_micro_per_kwh,
             bid_limit_micro_per_kwh = excluded.bid_limit_micro_per_kwh, prefers = excluded.prefers,
             partners = excluded.partners, premium_micro_per_kwh = excluded.premium_micro_per_kwh",
        community.as_str(),
        site.as_str(),
        now,
        order.offer_limit.map(Price::micro_per_kwh),
        order.bid_limit.map(Price::micro_per_kwh),
        preference.as_str(),
        &partners,
        order.wish.premium().micro_per_kwh()
    )
    .execute(&mut *tx)
    .await?;
    notify::send(&mut *tx, &Event::new(Kind::Settings, community, None)).await?;
    tx.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::fixtures;

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_slot_keeps_what_held_when_it_began(pool: sqlx::PgPool) {
        fixtures::insert(&pool).await.unwrap();
        let (community, site) = (CommunityId::new("demo").unwrap(), SiteId::new("b1").unwrap());
        assert_eq!(newest(&pool, &community, &site).await.unwrap(), None);
        let price = Price::from_micro_per_kwh;
        let partners = ["anna", "cara"].map(|id| MemberId::new(id).unwrap()).to_vec();
        let first = StandingOrder {
            offer_limit: None,
            bid_limit: Some(price(200_000)),
            wish: Wish::new(Preference::Partners(partners), price(5_000)).unwrap(),
        };
        let second = StandingOrder { offer_limit: Some(price(90_000)), ..StandingOrder::default() };
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        set(&pool, &community, &site, &first, at("2026-03-01T12:00:00Z")).await.unwrap();
        set(&pool, &community, &site, &second, at("2026-03-01T12:20:00Z")).await.unwrap();
        for (slot, expected) in
            [("11:45", None), ("12:00", Some(&first)), ("12:15", Some(&first)), ("12:30", Some(&second))]
        {
            let held = of_slot(&pool, &community, at(&format!("2026-03-01T{slot}:00Z"))).await.unwrap();
            assert_eq!(held.get(&site), expected, "{slot}");
        }
        assert_eq!(
            newest(&pool, &community, &site).await.unwrap(),
            Some((second, at("2026-03-01T12:20:00Z")))
        );
        // No slot has begun with the second, so the third takes its place.
        set(&pool, &community, &site, &first, at("2026-03-01T12:25:00Z")).await.unwrap();
        let versions: i64 =
            sqlx::query_scalar("SELECT count(*) FROM standing_orders").fetch_one(&pool).await.unwrap();
        assert_eq!(versions, 2);
    }
}
