//! Communities and their tariffs.

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::CommunityId;
use domain::slot::SlotLength;
use domain::tariff::Tariff;
use domain::units::{Energy, Price};
use sqlx::PgExecutor;

use crate::StoreError;
use crate::error::corrupt;

/// A community and the rules its market runs by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Community {
    /// Its id.
    pub community_id: CommunityId,
    /// Its name, as shown.
    pub name: String,
    /// The currency's code, such as `EUR`.
    pub currency: String,
    /// The length of every slot.
    pub slot_length: SlotLength,
    /// The start of the first slot.
    pub market_opens_at: DateTime<Utc>,
    /// How long before its start a slot opens for orders.
    pub open_lead: TimeDelta,
    /// How long before its start a slot closes for orders.
    pub gate_closure_lead: TimeDelta,
    /// How long after its end a slot waits for readings.
    pub metering_deadline: TimeDelta,
    /// The largest order accepted.
    pub max_order: Energy,
    /// Where it settles, once the contract is deployed.
    pub contract: Option<Contract>,
}

/// The credit contract of a community.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// The EIP-155 chain id.
    pub chain_id: i64,
    /// The contract's address, `0x` and 40 lower-case hex digits.
    pub credit_address: String,
}

/// Inserts a community unless it exists; an existing one is left as it is. Returns whether it is new.
///
/// # Errors
/// [`StoreError`] if the database refuses it.
pub async fn insert(db: impl PgExecutor<'_>, community: &Community) -> Result<bool, StoreError> {
    let seconds = |delta: TimeDelta| i32::try_from(delta.num_seconds()).map_err(corrupt);
    let slot_length_s = i32::try_from(community.slot_length.seconds()).map_err(corrupt)?;
    let done = sqlx::query!(
        "INSERT INTO communities (community_id, name, currency, slot_length_s, market_opens_at, open_lead_s,
             gate_closure_lead_s, metering_deadline_s, max_order_wh)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
        community.community_id.as_str(),
        community.name,
        community.currency,
        slot_length_s,
        community.market_opens_at,
        seconds(community.open_lead)?,
        seconds(community.gate_closure_lead)?,
        seconds(community.metering_deadline)?,
        community.max_order.wh(),
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

struct Row {
    community_id: String,
    name: String,
    currency: String,
    slot_length_s: i32,
    market_opens_at: DateTime<Utc>,
    open_lead_s: i32,
    gate_closure_lead_s: i32,
    metering_deadline_s: i32,
    max_order_wh: i64,
    chain_id: Option<i64>,
    credit_address: Option<String>,
}

impl TryFrom<Row> for Community {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let seconds = |s: i32| TimeDelta::seconds(i64::from(s));
        Ok(Self {
            community_id: CommunityId::new(&row.community_id)?,
            name: row.name,
            currency: row.currency,
            slot_length: SlotLength::from_seconds(row.slot_length_s.unsigned_abs()).map_err(corrupt)?,
            market_opens_at: row.market_opens_at,
            open_lead: seconds(row.open_lead_s),
            gate_closure_lead: seconds(row.gate_closure_lead_s),
            metering_deadline: seconds(row.metering_deadline_s),
            max_order: Energy::from_wh(row.max_order_wh),
            contract: row
                .chain_id
                .zip(row.credit_address)
                .map(|(chain_id, credit_address)| Contract { chain_id, credit_address }),
        })
    }
}

/// All communities, by id; at most 1 000.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn all(db: impl PgExecutor<'_>) -> Result<Vec<Community>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT community_id, name, currency, slot_length_s, market_opens_at, open_lead_s, gate_closure_lead_s,
             metering_deadline_s, max_order_wh, chain_id, credit_address
         FROM communities ORDER BY community_id LIMIT 1000"
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Community::try_from).collect()
}

/// One community, if it exists.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn find(db: impl PgExecutor<'_>, id: &CommunityId) -> Result<Option<Community>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "SELECT community_id, name, currency, slot_length_s, market_opens_at, open_lead_s, gate_closure_lead_s,
             metering_deadline_s, max_order_wh, chain_id, credit_address
         FROM communities WHERE community_id = $1",
        id.as_str()
    )
    .fetch_optional(db)
    .await?;
    row.map(Community::try_from).transpose()
}

/// Records the deployed contract; once set it stays.
///
/// # Errors
/// [`StoreError::Corrupt`] if another contract is recorded already.
pub async fn set_contract(
    db: impl PgExecutor<'_>,
    id: &CommunityId,
    contract: &Contract,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "UPDATE communities SET chain_id = $2, credit_address = $3
         WHERE community_id = $1 AND (credit_address IS NULL OR (chain_id = $2 AND credit_address = $3))",
        id.as_str(),
        contract.chain_id,
        contract.credit_address,
    )
    .execute(db)
    .await?;
    if done.rows_affected() == 1 {
        return Ok(());
    }
    Err(StoreError::Corrupt(format!(
        "community {id} settles on another contract already; use a new community for {}",
        contract.credit_address
    )))
}

/// Adds a tariff that holds from `valid_from`; an equal time is left as it is.
///
/// # Errors
/// [`StoreError`] if the database refuses it.
pub async fn insert_tariff(
    db: impl PgExecutor<'_>,
    id: &CommunityId,
    valid_from: DateTime<Utc>,
    tariff: &Tariff,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO tariffs (community_id, valid_from, retail_micro_per_kwh, feed_in_micro_per_kwh,
             network_fee_micro_per_kwh, platform_fee_micro_per_kwh)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        id.as_str(),
        valid_from,
        tariff.retail().micro_per_kwh(),
        tariff.feed_in().micro_per_kwh(),
        tariff.network_fee().micro_per_kwh(),
        tariff.platform_fee().micro_per_kwh(),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The tariff that holds at `time`: the latest that is valid from then or before.
///
/// # Errors
/// [`StoreError::NotFound`] if none is valid yet.
pub async fn tariff_at(
    db: impl PgExecutor<'_>,
    id: &CommunityId,
    time: DateTime<Utc>,
) -> Result<Tariff, StoreError> {
    let row = sqlx::query!(
        "SELECT retail_micro_per_kwh, feed_in_micro_per_kwh, network_fee_micro_per_kwh, platform_fee_micro_per_kwh
         FROM tariffs WHERE community_id = $1 AND valid_from <= $2 ORDER BY valid_from DESC LIMIT 1",
        id.as_str(),
        time
    )
    .fetch_optional(db)
    .await?
    .ok_or_else(|| StoreError::NotFound { what: "tariff", id: format!("{id} at {time}") })?;
    let price = Price::from_micro_per_kwh;
    Tariff::new(
        price(row.retail_micro_per_kwh),
        price(row.feed_in_micro_per_kwh),
        price(row.network_fee_micro_per_kwh),
        price(row.platform_fee_micro_per_kwh),
    )
    .map_err(corrupt)
}

/// Moves the start of the first slot, as long as no slot exists.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn postpone_opening(
    db: impl PgExecutor<'_>,
    id: &CommunityId,
    market_opens_at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE communities SET market_opens_at = $2
         WHERE community_id = $1 AND NOT EXISTS (SELECT 1 FROM slots WHERE community_id = $1)",
        id.as_str(),
        market_opens_at
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

#[cfg(test)]
mod tests {
    use crate::views::fixtures;

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn what_slots_are_cut_by_stays_once_there_are_some(pool: sqlx::PgPool) {
        fixtures::insert(&pool).await.unwrap();
        for (set, works) in [
            ("slot_length_s = 300", false),
            ("market_opens_at = market_opens_at + interval '1 hour'", false),
            ("currency = 'CHF'", false),
            ("open_lead_s = 7200, max_order_wh = 5, metering_deadline_s = 60, name = 'New'", true),
        ] {
            let change =
                |community: &str| format!("UPDATE communities SET {set} WHERE community_id = '{community}'");
            let done = sqlx::query(sqlx::AssertSqlSafe(change("demo"))).execute(&pool).await;
            assert_eq!(done.is_ok(), works, "{set}");
            if let Err(error) = done {
                assert!(error.to_string().contains("enrol a new community"), "{error}");
            }
            sqlx::query(sqlx::AssertSqlSafe(change("empty"))).execute(&pool).await.unwrap();
        }
    }
}
