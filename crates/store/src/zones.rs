//! The zone of each site, and whether it has a generator of its own.

use chrono::{DateTime, Utc};
use domain::ids::{CommunityId, SiteId, ZoneId};
use sqlx::PgExecutor;

use crate::StoreError;

/// Where a site stands in the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteZone {
    /// The site.
    pub site_id: SiteId,
    /// Its zone.
    pub zone_id: ZoneId,
    /// Whether it has a generator.
    pub has_generator: bool,
}

/// The zone of every site of a community, by site.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn of_sites(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<Vec<SiteZone>, StoreError> {
    sqlx::query!(
        r#"SELECT site_id, zone_id, pv_peak_w > 0 AS "has_generator!" FROM sites
           WHERE community_id = $1 ORDER BY site_id"#,
        community.as_str()
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| {
        Ok(SiteZone {
            site_id: SiteId::new(&row.site_id)?,
            zone_id: ZoneId::new(&row.zone_id)?,
            has_generator: row.has_generator,
        })
    })
    .collect()
}

/// Puts a site into a zone. Returns whether it is in it now: once the site has sent an order or was metered its zone
/// stays, so that a correction pays the fees that the slot was traded at, and bids keep the bounds they were taken
/// with. A running market finds the change by [`newest_change`].
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn assign(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    site: &SiteId,
    zone: &ZoneId,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT assign_zone($1, $2, $3) AS "done!""#,
        community.as_str(),
        site.as_str(),
        zone.as_str()
    )
    .fetch_one(db)
    .await?)
}

/// The number of the community's newest change of a site's zone; 0 if there was none.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn newest_change(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<i64, StoreError> {
    let id = community.as_str();
    Ok(sqlx::query_scalar!(
        r#"SELECT coalesce(max(change_id), 0) AS "newest!" FROM zone_changes WHERE community_id = $1"#,
        id
    )
    .fetch_one(db)
    .await?)
}

/// The zones that the community got while the slot of `slot_start` took orders already. They take no part in its
/// continuous auction: its bids were bounded by the fees among the others.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn late(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
) -> Result<Vec<ZoneId>, StoreError> {
    sqlx::query_scalar!(
        "SELECT DISTINCT zone_id FROM zone_changes WHERE community_id = $1 AND joined_after >= $2",
        community.as_str(),
        slot_start
    )
    .fetch_all(db)
    .await?
    .iter()
    .map(|zone| Ok(ZoneId::new(zone)?))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::fixtures;

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_site_changes_its_zone_until_it_is_metered(pool: sqlx::PgPool) {
        fixtures::insert(&pool).await.unwrap();
        let community = CommunityId::new("demo").unwrap();
        sqlx::query("INSERT INTO sites (community_id, site_id, member_id) VALUES ('demo', 'd1', 'dora')")
            .execute(&pool)
            .await
            .unwrap();
        let north = ZoneId::new("north").unwrap();
        let main = ZoneId::default();
        for (site, changes, now) in [("d1", true, &north), ("a1", false, &main)] {
            let site = SiteId::new(site).unwrap();
            assert_eq!(assign(&pool, &community, &site, &north).await.unwrap(), changes);
            assert!(assign(&pool, &community, &site, now).await.unwrap());
        }
        let seen: Vec<_> = of_sites(&pool, &community)
            .await
            .unwrap()
            .into_iter()
            .map(|site| (site.site_id.to_string(), site.zone_id.to_string(), site.has_generator))
            .collect();
        let of = |site: &str, zone: &str, generator| (site.to_owned(), zone.to_owned(), generator);
        assert_eq!(
            seen,
            [
                of("a1", "main", true),
                of("b1", "main", false),
                of("c1", "main", false),
                of("d1", "north", false)
            ]
        );
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_zone_that_joins_a_running_market_is_late_for_the_slots_that_take_orders(pool: sqlx::PgPool) {
        fixtures::insert(&pool).await.unwrap();
        let community = CommunityId::new("demo").unwrap();
        for site in ["d1", "d2"] {
            sqlx::query("INSERT INTO sites (community_id, site_id, member_id) VALUES ('demo', $1, 'dora')")
                .bind(site)
                .execute(&pool)
                .await
                .unwrap();
        }
        let (d1, d2) = (SiteId::new("d1").unwrap(), SiteId::new("d2").unwrap());
        let north = ZoneId::new("north").unwrap();
        assert_eq!(newest_change(&pool, &community).await.unwrap(), 0);
        for (site, newest) in [(&d1, 1), (&d1, 1), (&d2, 2)] {
            assert!(assign(&pool, &community, site, &north).await.unwrap());
            assert_eq!(newest_change(&pool, &community).await.unwrap(), newest);
        }
        // The slot of 12:30 is open, the one of 12:45 is not.
        for (slot, expected) in [("12:30", vec![north.clone()]), ("12:45", vec![])] {
            let start = format!("2026-03-01T{slot}:00Z").parse().unwrap();
            assert_eq!(late(&pool, &community, start).await.unwrap(), expected, "{slot}");
        }
        // Once it has sent an order, a site stays where it is.
        sqlx::query(
            "INSERT INTO commands (community_id, kind, member_id, client_id, slot_start, site_id, side, energy_wh,
                 limit_micro_per_kwh, time_in_force, placed_by, submitted_at)
             SELECT community_id, kind, 'dora', 'mine', slot_start, 'd2', 'bid', 1, 100000, 'good-till-gate', 'member',
                 submitted_at FROM commands WHERE kind = 'submit' LIMIT 1",
        )
        .execute(&pool)
        .await
        .unwrap();
        assert!(!assign(&pool, &community, &d2, &ZoneId::default()).await.unwrap());
        assert!(!assign(&pool, &community, &SiteId::new("zz").unwrap(), &north).await.unwrap());
        assert_eq!(newest_change(&pool, &community).await.unwrap(), 2);
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn the_zone_that_a_new_site_begins_in_may_be_new_too(pool: sqlx::PgPool) {
        fixtures::insert(&pool).await.unwrap();
        sqlx::query("UPDATE sites SET zone_id = 'north'").execute(&pool).await.unwrap();
        let (community, d1) = (CommunityId::new("demo").unwrap(), SiteId::new("d1").unwrap());
        let open = "2026-03-01T12:30:00Z".parse().unwrap();
        for _ in 0..2 {
            let mut tx = pool.begin().await.unwrap();
            sqlx::query(
                "INSERT INTO sites (community_id, site_id, member_id) VALUES ('demo', 'd1', 'dora')
                 ON CONFLICT DO NOTHING",
            )
            .execute(&mut *tx)
            .await
            .unwrap();
            assert!(assign(&mut *tx, &community, &d1, &ZoneId::default()).await.unwrap());
            tx.commit().await.unwrap();
            assert_eq!(newest_change(&pool, &community).await.unwrap(), 1);
            assert_eq!(late(&pool, &community, open).await.unwrap(), [ZoneId::default()]);
        }
    }
}
