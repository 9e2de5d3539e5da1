//! Members, their accounts and their sites.

pub mod tokens;

use domain::ids::{AccountId, CommunityId, MemberId, SiteId};
use domain::units::{Energy, Power};
use sqlx::PgExecutor;

use crate::StoreError;

/// A member, as enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The member's id; also the id of its account.
    pub member_id: MemberId,
    /// The name the member and the operator see.
    pub display_name: String,
    /// The name other members see.
    pub pseudonym: String,
    /// The autopilot's preset: `greenest`, `cheapest`, `hands-off` or `paused`.
    pub preset: String,
}

/// A site, as enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The site's id.
    pub site_id: SiteId,
    /// Whose it is.
    pub member_id: MemberId,
    /// The generator's peak power; zero for none.
    pub pv_peak: Power,
    /// What the battery holds; zero for none.
    pub battery_capacity: Energy,
    /// The battery's largest power.
    pub battery_power: Power,
}

/// An account and where it lives on the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The account's id.
    pub account_id: AccountId,
    /// `member`, `grid`, `network`, `platform` or `reserve`.
    pub kind: String,
    /// `0x` and 40 lower-case hex digits.
    pub chain_address: String,
}

/// Adds a member; an existing one is left as it is.
///
/// # Errors
/// [`StoreError`] if the database refuses it.
pub async fn insert(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    member: &Member,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO members (community_id, member_id, display_name, pseudonym, preset)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (community_id, member_id) DO NOTHING",
        community.as_str(),
        member.member_id.as_str(),
        member.display_name,
        member.pseudonym,
        member.preset,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Adds a site; an existing one is left as it is.
///
/// # Errors
/// [`StoreError`] if the database refuses it.
pub async fn insert_site(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    site: &Site,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO sites (community_id, site_id, member_id, pv_peak_w, battery_wh, battery_w)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        community.as_str(),
        site.site_id.as_str(),
        site.member_id.as_str(),
        site.pv_peak.w(),
        site.battery_capacity.wh(),
        site.battery_power.w(),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Adds an account; an existing one is left as it is.
///
/// # Errors
/// [`StoreError`] if the database refuses it.
pub async fn insert_account(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    account: &Account,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO accounts (community_id, account_id, kind, chain_address)
         VALUES ($1, $2, $3, $4) ON CONFLICT (community_id, account_id) DO NOTHING",
        community.as_str(),
        account.account_id.as_str(),
        account.kind,
        account.chain_address,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Whether a community has a member.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn exists(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    member: &MemberId,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM members WHERE community_id = $1 AND member_id = $2) AS "exists!""#,
        community.as_str(),
        member.as_str()
    )
    .fetch_one(db)
    .await?)
}

/// All members of a community, by id.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn all(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<Vec<Member>, StoreError> {
    sqlx::query!(
        "SELECT member_id, display_name, pseudonym, preset FROM members WHERE community_id = $1 ORDER BY member_id",
        community.as_str()
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| {
        Ok(Member {
            member_id: MemberId::new(&row.member_id)?,
            display_name: row.display_name,
            pseudonym: row.pseudonym,
            preset: row.preset,
        })
    })
    .collect()
}

/// All sites of a community, by id.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn sites(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<Vec<Site>, StoreError> {
    sqlx::query!(
        "SELECT site_id, member_id, pv_peak_w, battery_wh, battery_w FROM sites
         WHERE community_id = $1 ORDER BY site_id",
        community.as_str()
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| {
        Ok(Site {
            site_id: SiteId::new(&row.site_id)?,
            member_id: MemberId::new(&row.member_id)?,
            pv_peak: Power::from_w(row.pv_peak_w),
            battery_capacity: Energy::from_wh(row.battery_wh),
            battery_power: Power::from_w(row.battery_w),
        })
    })
    .collect()
}

/// All accounts of a community, by id.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn accounts(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<Vec<Account>, StoreError> {
    sqlx::query!(
        "SELECT account_id, kind, chain_address FROM accounts WHERE community_id = $1 ORDER BY account_id",
        community.as_str()
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| {
        Ok(Account {
            account_id: AccountId::new(&row.account_id)?,
            kind: row.kind,
            chain_address: row.chain_address,
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_member_exists_in_its_own_community_alone(pool: sqlx::PgPool) {
        crate::views::fixtures::insert(&pool).await.unwrap();
        for (community, member, there) in
            [("demo", "anna", true), ("demo", "nobody", false), ("empty", "anna", false)]
        {
            let (community, id) = (CommunityId::new(community).unwrap(), MemberId::new(member).unwrap());
            assert_eq!(exists(&pool, &community, &id).await.unwrap(), there, "{member} of {community}");
        }
    }
}
