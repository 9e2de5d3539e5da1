//! Commands to the market: the queue (`submitted`) and the log (`accepted` in sequence, `refused`).

use chrono::{DateTime, Utc};
use domain::ids::{ClientId, CommunityId, MemberId, OrderId, SiteId};
use domain::order::{Side, TimeInForce};
use domain::units::{Energy, Price};
use sqlx::PgExecutor;

use crate::StoreError;

/// A command as it stands in its row: not yet checked, so that whatever was written can be refused
/// with a reason instead of stopping the market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRow {
    /// Its number, which is also that of the order it submits.
    pub command_id: i64,
    /// `submit`, `replace` or `cancel`.
    pub kind: String,
    /// Who asks.
    pub member_id: String,
    /// The id the client gave it.
    pub client_id: String,
    /// The slot it is about.
    pub slot_start: DateTime<Utc>,
    /// The order to replace or cancel.
    pub order_id: Option<i64>,
    /// The site whose energy is traded.
    pub site_id: Option<String>,
    /// `bid` or `offer`.
    pub side: Option<String>,
    /// The order's whole energy, in Wh.
    pub energy_wh: Option<i64>,
    /// The limit price, in micro-currency per kWh.
    pub limit_micro_per_kwh: Option<i64>,
    /// How long it may wait.
    pub time_in_force: Option<String>,
    /// `member` or `autopilot`.
    pub placed_by: String,
    /// Why the autopilot sends it, in plain words.
    pub reason: String,
    /// Its place in the log, once accepted.
    pub accepted_seq: Option<i64>,
}

/// The oldest commands that wait for a decision, at most `limit`.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn submitted(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    limit: i64,
) -> Result<Vec<CommandRow>, StoreError> {
    Ok(sqlx::query_as!(
        CommandRow,
        "SELECT command_id, kind, member_id, client_id, slot_start, order_id, site_id, side, energy_wh,
             limit_micro_per_kwh, time_in_force, placed_by, reason, accepted_seq
         FROM commands WHERE community_id = $1 AND status = 'submitted' ORDER BY command_id LIMIT $2",
        community.as_str(),
        limit
    )
    .fetch_all(db)
    .await?)
}

/// The slot's accepted commands after `after_seq` in sequence, at most `limit`.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn accepted_of_slot(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
    after_seq: i64,
    limit: i64,
) -> Result<Vec<CommandRow>, StoreError> {
    Ok(sqlx::query_as!(
        CommandRow,
        "SELECT command_id, kind, member_id, client_id, slot_start, order_id, site_id, side, energy_wh,
             limit_micro_per_kwh, time_in_force, placed_by, reason, accepted_seq
         FROM commands
         WHERE community_id = $1 AND slot_start = $2 AND status = 'accepted' AND accepted_seq > $3
         ORDER BY accepted_seq LIMIT $4",
        community.as_str(),
        slot_start,
        after_seq,
        limit
    )
    .fetch_all(db)
    .await?)
}

/// The sequence of the community's last accepted command; 0 if there is none.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn last_accepted_seq(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT COALESCE(max(accepted_seq), 0) AS "seq!" FROM commands WHERE community_id = $1"#,
        community.as_str()
    )
    .fetch_one(db)
    .await?)
}

/// What the market decided about a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Which command.
    pub command_id: i64,
    /// Its place in the log; or the reason's code and its words, if it was refused.
    pub outcome: Result<i64, (&'static str, String)>,
}

/// Records decisions; all of the commands must still wait for one. Returns how many did: fewer than
/// were given means that another process decided, and the caller rolls back.
///
/// # Errors
/// [`StoreError`] if the database refuses it, such as for a sequence that is taken.
pub async fn record_decisions(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    decisions: &[Decision],
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let ids: Vec<i64> = decisions.iter().map(|d| d.command_id).collect();
    let sequences: Vec<Option<i64>> = decisions.iter().map(|d| d.outcome.as_ref().ok().copied()).collect();
    let refusal = |d: &Decision| d.outcome.clone().err();
    let codes: Vec<Option<String>> =
        decisions.iter().map(|d| refusal(d).map(|(code, _)| code.to_owned())).collect();
    let details: Vec<Option<String>> =
        decisions.iter().map(|d| refusal(d).map(|(_, detail)| detail)).collect();
    let done = sqlx::query!(
        "UPDATE commands c SET
             status = CASE WHEN t.seq IS NULL THEN 'refused' ELSE 'accepted' END,
             accepted_seq = t.seq, refusal_code = t.code, refusal_detail = t.detail, decided_at = $6
         FROM UNNEST($2::bigint[], $3::bigint[], $4::text[], $5::text[]) AS t(id, seq, code, detail)
         WHERE c.community_id = $1 AND c.command_id = t.id AND c.status = 'submitted'",
        community.as_str(),
        &ids,
        &sequences as &[Option<i64>],
        &codes as &[Option<String>],
        &details as &[Option<String>],
        now
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// A command that the autopilot sends for a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommand {
    /// The site's member.
    pub member_id: MemberId,
    /// Derived from site, slot and step, so that sending it again changes nothing.
    pub client_id: ClientId,
    /// The slot.
    pub slot_start: DateTime<Utc>,
    /// The order to replace; `None` submits a new one.
    pub replaces: Option<OrderId>,
    /// The site whose energy is traded.
    pub site_id: SiteId,
    /// Buys or sells.
    pub side: Side,
    /// The order's whole energy.
    pub energy: Energy,
    /// The limit price.
    pub limit: Price,
    /// Why, in plain words.
    pub reason: String,
}

/// Adds the autopilot's commands to the queue, except those whose client id was used before.
/// Returns how many are new.
///
/// # Errors
/// [`StoreError`] if the database refuses them.
pub async fn insert_commands(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    commands: &[NewCommand],
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    fn column<T>(commands: &[NewCommand], value: impl Fn(&NewCommand) -> T) -> Vec<T> {
        commands.iter().map(value).collect()
    }
    let replaces = column(commands, |c| c.replaces.map(|order| order.0));
    let done = sqlx::query!(
        "INSERT INTO commands (community_id, kind, member_id, client_id, slot_start, order_id, site_id, side,
             energy_wh, limit_micro_per_kwh, time_in_force, placed_by, reason, submitted_at)
         SELECT $1, CASE WHEN t.order_id IS NULL THEN 'submit' ELSE 'replace' END, t.member_id, t.client_id,
             t.slot_start, t.order_id, t.site_id, t.side, t.energy_wh, t.limit_micro_per_kwh, $2, 'autopilot',
             t.reason, $3
         FROM UNNEST($4::text[], $5::text[], $6::timestamptz[], $7::bigint[], $8::text[], $9::text[],
             $10::bigint[], $11::bigint[], $12::text[])
             AS t(member_id, client_id, slot_start, order_id, site_id, side, energy_wh, limit_micro_per_kwh, reason)
         ON CONFLICT (community_id, member_id, client_id) DO NOTHING",
        community.as_str(),
        TimeInForce::GoodTillGate.as_str(),
        now,
        &column(commands, |c| c.member_id.to_string()),
        &column(commands, |c| c.client_id.to_string()),
        &column(commands, |c| c.slot_start),
        &replaces as &[Option<i64>],
        &column(commands, |c| c.site_id.to_string()),
        &column(commands, |c| c.side.as_str().to_owned()),
        &column(commands, |c| c.energy.wh()),
        &column(commands, |c| c.limit.micro_per_kwh()),
        &column(commands, |c| c.reason.clone()),
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// The sites for which a command of the autopilot for this slot still waits for a decision.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn autopilot_waiting(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
) -> Result<Vec<SiteId>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"SELECT DISTINCT site_id AS "site_id!" FROM commands
           WHERE community_id = $1 AND slot_start = $2 AND status = 'submitted' AND placed_by = 'autopilot'
             AND site_id IS NOT NULL"#,
        community.as_str(),
        slot_start
    )
    .fetch_all(db)
    .await?;
    rows.iter().map(|site| SiteId::new(site).map_err(StoreError::from)).collect()
}
