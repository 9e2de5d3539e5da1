//! Statements: what each account bought, sold, paid and received in a slot, at each revision.

pub mod periods;
pub mod trace;

use chrono::{DateTime, Utc};
use domain::ids::{AccountId, CommunityId};
use domain::reading::Metered;
use domain::units::{Energy, Money};
use receipt::Address;
use sqlx::PgExecutor;

use crate::StoreError;
use crate::error::corrupt;

/// How many bytes the salt of a statement's leaf has.
pub const SALT_BYTES: usize = 32;

/// One account's statement of one slot, as stored. Money is signed: positive is a credit to the
/// account, and over all accounts of a slot and revision `net` sums to zero exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementRow {
    /// Whose statement.
    pub account_id: AccountId,
    /// Where the account lived on the chain when the slot was priced.
    pub chain_address: Address,
    /// What the account's sites metered.
    pub metered: Metered,
    /// Whether a traded position stands for a missing reading.
    pub substituted: bool,
    /// Energy bought in the continuous auction.
    pub traded_bought: Energy,
    /// Money for it; never positive.
    pub traded_bought_money: Money,
    /// Energy sold in the continuous auction.
    pub traded_sold: Energy,
    /// Money for it; never negative.
    pub traded_sold_money: Money,
    /// Energy bought in the closing auction.
    pub closing_bought: Energy,
    /// Money for it; never positive.
    pub closing_bought_money: Money,
    /// Energy sold in the closing auction.
    pub closing_sold: Energy,
    /// Money for it; never negative.
    pub closing_sold_money: Money,
    /// The part of the energy bought in the closing auction that met its preference.
    pub preferred_bought: Energy,
    /// The premium for it; never positive.
    pub preferred_bought_money: Money,
    /// The part of the energy sold in the closing auction that met its buyer's preference.
    pub preferred_sold: Energy,
    /// The premium for it; never negative.
    pub preferred_sold_money: Money,
    /// Energy imported at the retail tariff.
    pub residual_import: Energy,
    /// Energy exported at the feed-in tariff.
    pub residual_export: Energy,
    /// Money for both.
    pub residual_money: Money,
    /// Energy exported beyond the grid limit; earns nothing.
    pub curtailed: Energy,
    /// The share of the imported energy beyond the grid limit.
    pub over_limit: Energy,
    /// The network fee, paid (negative) or received.
    pub network_fee: Money,
    /// The platform fee, paid (negative) or received.
    pub platform_fee: Money,
    /// The sum of all money above.
    pub net: Money,
    /// What the same registers would have cost at the tariffs alone.
    pub base: Money,
    /// Keeps the statement's leaf in the batch's Merkle tree from being guessed.
    pub salt: [u8; SALT_BYTES],
}

/// Stores the statements of a slot at `revision`.
///
/// # Errors
/// [`StoreError`] if the database refuses them, such as for a revision that exists already or an
/// account that does not.
pub async fn insert_all(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
    revision: i32,
    statements: &[StatementRow],
) -> Result<(), StoreError> {
    let wh = |of: fn(&StatementRow) -> Energy| statements.iter().map(|s| of(s).wh()).collect::<Vec<_>>();
    let nano = |of: fn(&StatementRow) -> Money| statements.iter().map(|s| of(s).nano()).collect::<Vec<_>>();
    let accounts: Vec<String> = statements.iter().map(|s| s.account_id.to_string()).collect();
    let production: Vec<Option<i64>> =
        statements.iter().map(|s| s.metered.production.map(Energy::wh)).collect();
    let substituted: Vec<bool> = statements.iter().map(|s| s.substituted).collect();
    let salts: Vec<Vec<u8>> = statements.iter().map(|s| s.salt.to_vec()).collect();
    let addresses: Vec<String> = statements.iter().map(|s| s.chain_address.to_string()).collect();
    sqlx::query!(
        "INSERT INTO statements (community_id, slot_start, revision, account_id, import_wh, export_wh,
             production_wh, substituted, traded_bought_wh, traded_bought_nano, traded_sold_wh, traded_sold_nano,
             closing_bought_wh, closing_bought_nano, closing_sold_wh, closing_sold_nano, residual_import_wh,
             residual_export_wh, residual_nano, network_fee_nano, platform_fee_nano, net_nano, base_nano, salt, chain_address,
             preferred_bought_wh, preferred_bought_nano, preferred_sold_wh, preferred_sold_nano, curtailed_wh,
             over_limit_wh)
         SELECT $1, $2, $3, t.* FROM UNNEST($4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::boolean[],
             $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[],
             $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[], $22::bigint[],
             $23::bigint[], $24::bytea[], $25::text[], $26::bigint[], $27::bigint[], $28::bigint[], $29::bigint[],
             $30::bigint[], $31::bigint[]) AS t",
        community.as_str(),
        slot_start,
        revision,
        &accounts,
        &wh(|s| s.metered.import),
        &wh(|s| s.metered.export),
        &production as &[Option<i64>],
        &substituted,
        &wh(|s| s.traded_bought),
        &nano(|s| s.traded_bought_money),
        &wh(|s| s.traded_sold),
        &nano(|s| s.traded_sold_money),
        &wh(|s| s.closing_bought),
        &nano(|s| s.closing_bought_money),
        &wh(|s| s.closing_sold),
        &nano(|s| s.closing_sold_money),
        &wh(|s| s.residual_import),
        &wh(|s| s.residual_export),
        &nano(|s| s.residual_money),
        &nano(|s| s.network_fee),
        &nano(|s| s.platform_fee),
        &nano(|s| s.net),
        &nano(|s| s.base),
        &salts,
        &addresses,
        &wh(|s| s.preferred_bought),
        &nano(|s| s.preferred_bought_money),
        &wh(|s| s.preferred_sold),
        &nano(|s| s.preferred_sold_money),
        &wh(|s| s.curtailed),
        &wh(|s| s.over_limit),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The net money of each account in a slot at `revision`, by account.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn nets(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
    revision: i32,
) -> Result<Vec<(AccountId, Money)>, StoreError> {
    sqlx::query!(
        "SELECT account_id, net_nano FROM statements
         WHERE community_id = $1 AND slot_start = $2 AND revision = $3 ORDER BY account_id",
        community.as_str(),
        slot_start,
        revision
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| Ok((AccountId::new(&row.account_id)?, Money::from_nano(row.net_nano))))
    .collect()
}

/// The statements of a slot at `revision`, by account.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn of_slot(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
    revision: i32,
) -> Result<Vec<StatementRow>, StoreError> {
    select(db, community, slot_start, revision, None).await
}

/// The statement of one account, if it has one in the slot at `revision`.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn of_account(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
    revision: i32,
    account: &AccountId,
) -> Result<Option<StatementRow>, StoreError> {
    Ok(select(db, community, slot_start, revision, Some(account)).await?.pop())
}

async fn select(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
    revision: i32,
    account: Option<&AccountId>,
) -> Result<Vec<StatementRow>, StoreError> {
    let (wh, nano) = (Energy::from_wh, Money::from_nano);
    sqlx::query!(
        r#"SELECT account_id, import_wh, export_wh, production_wh, substituted, traded_bought_wh, traded_bought_nano,
             traded_sold_wh, traded_sold_nano, closing_bought_wh, closing_bought_nano, closing_sold_wh,
             closing_sold_nano, residual_import_wh, residual_export_wh, residual_nano, network_fee_nano,
             platform_fee_nano, net_nano, base_nano, salt, preferred_bought_wh, preferred_bought_nano,
             preferred_sold_wh, preferred_sold_nano, curtailed_wh, over_limit_wh,
             coalesce(s.chain_address, a.chain_address) AS "chain_address!"
         FROM statements s JOIN accounts a USING (community_id, account_id)
         WHERE community_id = $1 AND slot_start = $2 AND revision = $3 AND ($4::text IS NULL OR account_id = $4)
         ORDER BY account_id"#,
        community.as_str(),
        slot_start,
        revision,
        account.map(AccountId::as_str)
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| {
        Ok(StatementRow {
            account_id: AccountId::new(&row.account_id)?,
            chain_address: row.chain_address.parse().map_err(corrupt)?,
            metered: Metered {
                import: wh(row.import_wh),
                export: wh(row.export_wh),
                production: row.production_wh.map(wh),
            },
            substituted: row.substituted,
            traded_bought: wh(row.traded_bought_wh),
            traded_bought_money: nano(row.traded_bought_nano),
            traded_sold: wh(row.traded_sold_wh),
            traded_sold_money: nano(row.traded_sold_nano),
            closing_bought: wh(row.closing_bought_wh),
            closing_bought_money: nano(row.closing_bought_nano),
            closing_sold: wh(row.closing_sold_wh),
            closing_sold_money: nano(row.closing_sold_nano),
            preferred_bought: wh(row.preferred_bought_wh),
            preferred_bought_money: nano(row.preferred_bought_nano),
            preferred_sold: wh(row.preferred_sold_wh),
            preferred_sold_money: nano(row.preferred_sold_nano),
            residual_import: wh(row.residual_import_wh),
            residual_export: wh(row.residual_export_wh),
            residual_money: nano(row.residual_nano),
            curtailed: wh(row.curtailed_wh),
            over_limit: wh(row.over_limit_wh),
            network_fee: nano(row.network_fee_nano),
            platform_fee: nano(row.platform_fee_nano),
            net: nano(row.net_nano),
            base: nano(row.base_nano),
            salt: row.salt.as_slice().try_into().map_err(|_| corrupt("a salt is not 32 bytes long"))?,
        })
    })
    .collect()
}

impl From<&StatementRow> for receipt::Statement {
    fn from(row: &StatementRow) -> Self {
        Self {
            import_wh: row.metered.import.wh(),
            export_wh: row.metered.export.wh(),
            production_wh: row.metered.production.map(Energy::wh),
            substituted: row.substituted,
            traded_bought_wh: row.traded_bought.wh(),
            traded_bought_nano: row.traded_bought_money.into(),
            traded_sold_wh: row.traded_sold.wh(),
            traded_sold_nano: row.traded_sold_money.into(),
            closing_bought_wh: row.closing_bought.wh(),
            closing_bought_nano: row.closing_bought_money.into(),
            closing_sold_wh: row.closing_sold.wh(),
            closing_sold_nano: row.closing_sold_money.into(),
            preferred_bought_wh: row.preferred_bought.wh(),
            preferred_bought_nano: row.preferred_bought_money.into(),
            preferred_sold_wh: row.preferred_sold.wh(),
            preferred_sold_nano: row.preferred_sold_money.into(),
            residual_import_wh: row.residual_import.wh(),
            residual_export_wh: row.residual_export.wh(),
            residual_nano: row.residual_money.into(),
            curtailed_wh: row.curtailed.wh(),
            over_limit_wh: row.over_limit.wh(),
            network_fee_nano: row.network_fee.into(),
            platform_fee_nano: row.platform_fee.into(),
            net_nano: row.net.into(),
            base_nano: row.base.into(),
        }
    }
}
