//! Commands to the market as the API sends and shows them: a row is the message, and its client id
//! makes sending it again harmless.

use chrono::{DateTime, Utc};
use domain::ids::{ClientId, CommunityId, MemberId, OrderId, SiteId};
use domain::order::{Side, TimeInForce};
use domain::units::{Energy, Price};
use sqlx::{PgConnection, PgExecutor, PgPool};

use crate::notify::{self, Event, Kind};
use crate::{StoreError, error::corrupt};

/// What a member asks of the market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommand {
    /// Who asks.
    pub member_id: MemberId,
    /// The id the client made before its first try, unique a member.
    pub client_id: ClientId,
    /// The slot.
    pub slot_start: DateTime<Utc>,
    /// What is asked.
    pub request: Request,
}

/// An order to place, or one to cancel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Place an order.
    Submit {
        /// The connection point whose energy it trades.
        site_id: SiteId,
        /// Buys or sells.
        side: Side,
        /// How much.
        energy: Energy,
        /// The worst price accepted.
        limit: Price,
        /// How long it may wait.
        time_in_force: TimeInForce,
    },
    /// Cancel an order.
    Cancel {
        /// Which.
        order_id: OrderId,
    },
}

/// A command and what the market decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRow {
    /// Its number; also the number of the order it places.
    pub command_id: i64,
    /// `submitted`, `accepted` or `refused`.
    pub status: String,
    /// Why it was refused, as a stable name.
    pub refusal_code: Option<String>,
    /// Why it was refused, in words.
    pub refusal_detail: Option<String>,
}

/// What became of sending a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// It waits for the market.
    New(CommandRow),
    /// It was sent before; this is the first one.
    Repeated(CommandRow),
    /// The member used the client id before, for something else.
    Reused,
}

/// Sends a command to the market, in a transaction of its own: once, however often it is called with
/// the same content. The market is told with the commit.
///
/// # Errors
/// [`StoreError`] if the database refuses it, or the member does not exist.
pub async fn send(pool: &PgPool, community: &CommunityId, command: &NewCommand) -> Result<Sent, StoreError> {
    let mut tx = pool.begin().await?;
    let sent = send_in(&mut tx, community, command).await?;
    tx.commit().await?;
    Ok(sent)
}

async fn send_in(
    tx: &mut PgConnection,
    community: &CommunityId,
    command: &NewCommand,
) -> Result<Sent, StoreError> {
    let columns = Columns::from(&command.request);
    let inserted = sqlx::query_as!(
        CommandRow,
        "INSERT INTO commands (community_id, kind, member_id, client_id, slot_start, order_id, site_id, side,
             energy_wh, limit_micro_per_kwh, time_in_force, placed_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'member')
         ON CONFLICT (community_id, member_id, client_id) DO NOTHING
         RETURNING command_id, status, refusal_code, refusal_detail",
        community.as_str(),
        columns.kind,
        command.member_id.as_str(),
        command.client_id.as_str(),
        command.slot_start,
        columns.order_id,
        columns.site_id,
        columns.side,
        columns.energy_wh,
        columns.limit_micro_per_kwh,
        columns.time_in_force,
    )
    .fetch_optional(&mut *tx)
    .await?;
    match inserted {
        Some(row) => {
            notify::send(tx, &Event::new(Kind::Command, community, Some(command.slot_start))).await?;
            Ok(Sent::New(row))
        }
        None => earlier(tx, community, command, &columns).await,
    }
}

async fn earlier(
    tx: &mut PgConnection,
    community: &CommunityId,
    command: &NewCommand,
    columns: &Columns<'_>,
) -> Result<Sent, StoreError> {
    let first = sqlx::query!(
        r#"SELECT command_id, status, refusal_code, refusal_detail,
                  (kind = $4 AND slot_start = $5 AND order_id IS NOT DISTINCT FROM $6
                   AND site_id IS NOT DISTINCT FROM $7 AND side IS NOT DISTINCT FROM $8
                   AND energy_wh IS NOT DISTINCT FROM $9 AND limit_micro_per_kwh IS NOT DISTINCT FROM $10
                   AND time_in_force IS NOT DISTINCT FROM $11) AS "same!"
           FROM commands WHERE community_id = $1 AND member_id = $2 AND client_id = $3"#,
        community.as_str(),
        command.member_id.as_str(),
        command.client_id.as_str(),
        columns.kind,
        command.slot_start,
        columns.order_id,
        columns.site_id,
        columns.side,
        columns.energy_wh,
        columns.limit_micro_per_kwh,
        columns.time_in_force,
    )
    .fetch_optional(tx)
    .await?
    .ok_or_else(|| corrupt("a command that is there already cannot be read"))?;
    if !first.same {
        return Ok(Sent::Reused);
    }
    Ok(Sent::Repeated(CommandRow {
        command_id: first.command_id,
        status: first.status,
        refusal_code: first.refusal_code,
        refusal_detail: first.refusal_detail,
    }))
}

/// A command by its number, if there is one.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn find(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    command_id: i64,
) -> Result<Option<CommandRow>, StoreError> {
    Ok(sqlx::query_as!(
        CommandRow,
        "SELECT command_id, status, refusal_code, refusal_detail FROM commands
         WHERE community_id = $1 AND command_id = $2",
        community.as_str(),
        command_id
    )
    .fetch_optional(db)
    .await?)
}

/// The slot of an order that the member placed, whether or not the market has accepted it yet.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn slot_of_order(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    member: &MemberId,
    order: OrderId,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT slot_start FROM commands
         WHERE community_id = $1 AND command_id = $2 AND member_id = $3 AND kind = 'submit'",
        community.as_str(),
        order.0,
        member.as_str()
    )
    .fetch_optional(db)
    .await?)
}

/// A request as the columns of its row.
struct Columns<'a> {
    kind: &'static str,
    order_id: Option<i64>,
    site_id: Option<&'a str>,
    side: Option<&'static str>,
    energy_wh: Option<i64>,
    limit_micro_per_kwh: Option<i64>,
    time_in_force: Option<&'static str>,
}

impl<'a> From<&'a Request> for Columns<'a> {
    fn from(request: &'a Request) -> Self {
        match request {
            Request::Submit { site_id, side, energy, limit, time_in_force } => Self {
                kind: "submit",
                order_id: None,
                site_id: Some(site_id.as_str()),
                side: Some(side.as_str()),
                energy_wh: Some(energy.wh()),
                limit_micro_per_kwh: Some(limit.micro_per_kwh()),
                time_in_force: Some(time_in_force.as_str()),
            },
            Request::Cancel { order_id } => Self {
                kind: "cancel",
                order_id: Some(order_id.0),
                site_id: None,
                side: None,
                energy_wh: None,
                limit_micro_per_kwh: None,
                time_in_force: None,
            },
        }
    }
}
