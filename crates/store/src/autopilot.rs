//! How each site's autopilot is set, in versions, and what its pausing cancels.

use chrono::{DateTime, Utc};
use domain::ids::{CommunityId, MemberId, SiteId};
use domain::units::{Energy, Power, Price};
use pilot::battery::Battery;
use pilot::settings::{Preset, Settings};
use sqlx::{PgConnection, PgExecutor};

use crate::StoreError;
use crate::error::corrupt;
use crate::notify::{self, Event, Kind};

/// A site, its battery and how it is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piloted {
    /// The site.
    pub site_id: SiteId,
    /// Whose it is.
    pub member_id: MemberId,
    /// How it is set: its newest version, or what its member's preset means.
    pub settings: Settings,
    /// The version of the settings; 0 where the member's preset holds.
    pub version: i32,
    /// Its battery, if it has one.
    pub battery: Option<Battery>,
}

/// One version of a site's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Counts from 1.
    pub version: i32,
    /// What was set.
    pub settings: Settings,
    /// Who set it.
    pub changed_by: String,
    /// When.
    pub changed_at: DateTime<Utc>,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It is a new version.
    New,
    /// The newest version says the same already.
    Same,
    /// Another version than the expected one holds: this one, 0 for none.
    Stale(i32),
}

/// How each site is set, by site: all of a community's, or only `site`.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn piloted(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    site: Option<&SiteId>,
) -> Result<Vec<Piloted>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT s.site_id, s.member_id, s.battery_wh, s.battery_w, m.preset AS member_preset,
               a.version AS "version?",
               a.preset AS "preset?", a.paused AS "paused?", a.bid_limit_micro_per_kwh AS "bid?",
               a.offer_limit_micro_per_kwh AS "offer?", a.battery_reserve_percent AS "reserve?",
               a.follows_battery_plan AS "follows?"
           FROM sites s JOIN members m USING (community_id, member_id)
           LEFT JOIN LATERAL (SELECT * FROM autopilot_settings v
               WHERE v.community_id = s.community_id AND v.site_id = s.site_id
               ORDER BY v.version DESC LIMIT 1) a ON true
           WHERE s.community_id = $1 AND ($2::text IS NULL OR s.site_id = $2) ORDER BY s.site_id"#,
        community.as_str(),
        site.map(SiteId::as_str)
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            let settings = match (row.preset, row.paused, row.reserve, row.follows) {
                (Some(preset), Some(paused), Some(reserve), Some(follows)) => {
                    settings(&preset, paused, (row.bid, row.offer), reserve, follows)?
                }
                _ => Settings::of_preset(Preset::parse(&row.member_preset)),
            };
            Ok(Piloted {
                site_id: SiteId::new(&row.site_id)?,
                member_id: MemberId::new(&row.member_id)?,
                settings,
                version: row.version.unwrap_or_default(),
                battery: Battery::usual(Energy::from_wh(row.battery_wh), Power::from_w(row.battery_w)),
            })
        })
        .collect()
}

fn settings(
    preset: &str,
    paused: bool,
    (bid, offer): (Option<i64>, Option<i64>),
    reserve: i16,
    follows_battery_plan: bool,
) -> Result<Settings, StoreError> {
    Ok(Settings {
        preset: Preset::parse(preset).ok_or_else(|| corrupt(format!("the preset {preset:?}")))?,
        paused,
        bid_limit: bid.map(Price::from_micro_per_kwh),
        offer_limit: offer.map(Price::from_micro_per_kwh),
        battery_reserve_percent: u8::try_from(reserve).map_err(corrupt)?,
        follows_battery_plan,
    })
}

/// A site's versions, newest first, at most `limit`.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn versions(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    site: &SiteId,
    limit: i64,
) -> Result<Vec<Version>, StoreError> {
    sqlx::query!(
        "SELECT version, preset, paused, bid_limit_micro_per_kwh, offer_limit_micro_per_kwh,
             battery_reserve_percent, follows_battery_plan, changed_by, changed_at
         FROM autopilot_settings WHERE community_id = $1 AND site_id = $2 ORDER BY version DESC LIMIT $3",
        community.as_str(),
        site.as_str(),
        limit
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| {
        let limits = (row.bid_limit_micro_per_kwh, row.offer_limit_micro_per_kwh);
        let reserve = row.battery_reserve_percent;
        Ok(Version {
            version: row.version,
            settings: settings(&row.preset, row.paused, limits, reserve, row.follows_battery_plan)?,
            changed_by: row.changed_by,
            changed_at: row.changed_at,
        })
    })
    .collect()
}

/// When the community's settings changed last; `None` if never.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn last_change(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let id = community.as_str();
    Ok(sqlx::query_scalar!("SELECT max(changed_at) FROM autopilot_settings WHERE community_id = $1", id)
        .fetch_one(db)
        .await?)
}

/// Sets a site, in the transaction that the caller began. The member's preset follows where the member
/// has no other site, since it is what member pages show.
///
/// # Errors
/// [`StoreError::NotFound`] if there is no such site.
pub async fn change(
    tx: &mut PgConnection,
    community: &CommunityId,
    site: &SiteId,
    settings: &Settings,
    expected_version: Option<i32>,
    changed_by: &str,
    now: DateTime<Utc>,
) -> Result<Changed, StoreError> {
    // Changes of one site follow each other.
    let held = sqlx::query_scalar!(
        "SELECT member_id FROM sites WHERE community_id = $1 AND site_id = $2 FOR UPDATE",
        community.as_str(),
        site.as_str()
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(member) = held else {
        return Err(StoreError::NotFound { what: "site", id: format!("{site} of {community}") });
    };
    let newest = versions(&mut *tx, community, site, 1).await?.pop();
    let version = newest.as_ref().map_or(0, |newest| newest.version);
    if expected_version.is_some_and(|expected| expected != version) {
        return Ok(Changed::Stale(version));
    }
    if newest.is_some_and(|newest| newest.settings == *settings) {
        return Ok(Changed::Same);
    }
    insert_version(&mut *tx, community, site, version + 1, settings, changed_by, now).await?;
    let preset = if settings.paused { "paused" } else { settings.preset.as_str() };
    sqlx::query!(
        "UPDATE members SET preset = $3 WHERE community_id = $1 AND member_id = $2
             AND (SELECT count(*) FROM sites WHERE community_id = $1 AND member_id = $2) = 1",
        community.as_str(),
        member,
        preset
    )
    .execute(&mut *tx)
    .await?;
    notify::send(&mut *tx, &Event::new(Kind::Settings, community, None)).await?;
    Ok(Changed::New)
}

async fn insert_version(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    site: &SiteId,
    version: i32,
    settings: &Settings,
    changed_by: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO autopilot_settings (community_id, site_id, version, preset, paused, bid_limit_micro_per_kwh,
             offer_limit_micro_per_kwh, battery_reserve_percent, follows_battery_plan, changed_by, changed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        community.as_str(),
        site.as_str(),
        version,
        settings.preset.as_str(),
        settings.paused,
        settings.bid_limit.map(Price::micro_per_kwh),
        settings.offer_limit.map(Price::micro_per_kwh),
        i16::from(settings.battery_reserve_percent),
        settings.follows_battery_plan,
        changed_by,
        now
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Asks the market to cancel the autopilot's open orders of sites that are paused, of slots from `from` on. An
/// order is asked for once; the market decides. Returns how many are new.
///
/// # Errors
/// [`StoreError`] if the database refuses it.
pub async fn cancel_paused(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    from: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "INSERT INTO commands (community_id, kind, member_id, client_id, slot_start, order_id, placed_by, reason,
             submitted_at)
         SELECT o.community_id, 'cancel', o.member_id, 'auto-pause-' || o.order_id, o.slot_start, o.order_id,
             'autopilot', 'The autopilot was paused.', $3
         FROM orders o JOIN LATERAL (SELECT v.paused FROM autopilot_settings v
             WHERE v.community_id = o.community_id AND v.site_id = o.site_id
             ORDER BY v.version DESC LIMIT 1) a ON a.paused
         WHERE o.community_id = $1 AND o.slot_start >= $2 AND o.status = 'open' AND o.placed_by = 'autopilot'
         ON CONFLICT (community_id, member_id, client_id) DO NOTHING",
        community.as_str(),
        from,
        now
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::views::fixtures;

    async fn set(pool: &PgPool, settings: Settings, expected: Option<i32>) -> Changed {
        let (community, site) = (CommunityId::new("demo").unwrap(), SiteId::new("a1").unwrap());
        let mut tx = pool.begin().await.unwrap();
        let done =
            change(&mut tx, &community, &site, &settings, expected, "test", fixtures::now()).await.unwrap();
        tx.commit().await.unwrap();
        done
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn each_change_is_a_version_and_the_same_again_is_none(pool: PgPool) {
        fixtures::insert(&pool).await.unwrap();
        let (community, site) = (CommunityId::new("demo").unwrap(), SiteId::new("a1").unwrap());
        let own = Settings {
            bid_limit: Some(Price::from_micro_per_kwh(200_000)),
            battery_reserve_percent: 20,
            follows_battery_plan: true,
            ..Settings::of_preset(Some(Preset::Cheapest))
        };
        assert_eq!(last_change(&pool, &community).await.unwrap(), None);
        assert_eq!(set(&pool, own, Some(0)).await, Changed::New);
        assert_eq!(set(&pool, own, None).await, Changed::Same);
        let paused = Settings { paused: true, ..own };
        assert_eq!(set(&pool, paused, Some(0)).await, Changed::Stale(1));
        assert_eq!(set(&pool, paused, Some(1)).await, Changed::New);
        let history = versions(&pool, &community, &site, 20).await.unwrap();
        let seen: Vec<_> = history.iter().map(|row| (row.version, row.settings)).collect();
        assert_eq!(seen, [(2, paused), (1, own)]);
        assert_eq!(last_change(&pool, &community).await.unwrap(), Some(fixtures::now()));
        let sites = piloted(&pool, &community, None).await.unwrap();
        assert_eq!((sites.len(), sites[0].settings, sites[0].version), (3, paused, 2));
        assert_eq!(sites[0].battery.map(|battery| battery.capacity_wh()), Some(8_000));
        assert_eq!((sites[1].battery, sites[1].settings.paused), (None, false), "the member's preset holds");
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn an_unknown_site_is_not_set(pool: PgPool) {
        fixtures::insert(&pool).await.unwrap();
        let (community, site) = (CommunityId::new("demo").unwrap(), SiteId::new("zz").unwrap());
        let mut db = pool.acquire().await.unwrap();
        let usual = Settings::of_preset(None);
        let refused = change(&mut db, &community, &site, &usual, None, "test", fixtures::now()).await;
        assert!(matches!(refused, Err(StoreError::NotFound { what: "site", .. })));
    }
}
