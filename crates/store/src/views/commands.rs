//! Commands to the market as the API sends and shows them: a row is the message, and its client id
//! makes sending it again harmless.

mod send;

use chrono::{DateTime, Utc};
use domain::ids::{ClientId, CommunityId, MemberId, OrderId, SiteId};
use domain::order::{Side, TimeInForce};
use domain::units::{Energy, Price};
use sqlx::PgExecutor;

use crate::StoreError;

pub use send::{RequestKey, send, send_all, send_request};

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

/// An order to place, to replace or to cancel.
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
    /// Change an order.
    Replace {
        /// Which.
        order_id: OrderId,
        /// The whole order's energy, what has traded included; `None` leaves it.
        energy: Option<Energy>,
        /// The worst price accepted; `None` leaves it.
        limit: Option<Price>,
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
    /// The community has no such member.
    UnknownMember,
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

/// Those of `command_ids` that the market has decided.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn decided(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    command_ids: &[i64],
) -> Result<Vec<CommandRow>, StoreError> {
    Ok(sqlx::query_as!(
        CommandRow,
        "SELECT command_id, status, refusal_code, refusal_detail FROM commands
         WHERE community_id = $1 AND command_id = ANY($2) AND status <> 'submitted'",
        community.as_str(),
        command_ids
    )
    .fetch_all(db)
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
            Request::Replace { order_id, energy, limit } => Self {
                kind: "replace",
                order_id: Some(order_id.0),
                site_id: None,
                side: None,
                energy_wh: energy.map(Energy::wh),
                limit_micro_per_kwh: limit.map(Price::micro_per_kwh),
                time_in_force: None,
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
