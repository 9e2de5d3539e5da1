//! Statements: what an account paid and earned in a slot.

mod csv;
mod query;
pub(crate) mod trace;

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web;
use chrono::{DateTime, Utc};
use domain::ids::{CommunityId, MemberId};
use serde::Serialize;
use store::PgPool;
use store::statements::periods::{self, Period, PeriodRow, Trace};
use store::views::slots;
use store::views::statements::{self, StatementRow};
use utoipa::ToSchema;

use crate::app::AppState;
use crate::error::{ApiError, Problem};
use crate::routes;
use crate::wire::{Batch, MoneyNano, next_before};
use query::{Format, StatementQuery};

const DEFAULT_LIMIT: i64 = 96;

/// The lines of a statement. Money is signed: positive is a credit to the account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Statement {
    /// Metered import.
    import_wh: i64,
    /// Metered export.
    export_wh: i64,
    /// Metered production; null where it is not known.
    production_wh: Option<i64>,
    /// Whether a missing reading was substituted by the traded position.
    substituted: bool,
    /// Bought in the continuous auction.
    traded_bought_wh: i64,
    /// Paid for it.
    traded_bought_nano: MoneyNano,
    /// Sold in the continuous auction.
    traded_sold_wh: i64,
    /// Earned by it.
    traded_sold_nano: MoneyNano,
    /// Bought in the closing auction.
    closing_bought_wh: i64,
    /// Paid for it.
    closing_bought_nano: MoneyNano,
    /// Sold in the closing auction.
    closing_sold_wh: i64,
    /// Earned by it.
    closing_sold_nano: MoneyNano,
    /// The part of what was bought in the closing auction that met its preference.
    preferred_bought_wh: i64,
    /// The premium paid for it.
    preferred_bought_nano: MoneyNano,
    /// The part of what was sold in the closing auction that met its buyer's preference.
    preferred_sold_wh: i64,
    /// The premium earned by it.
    preferred_sold_nano: MoneyNano,
    /// Left to the retail tariff.
    residual_import_wh: i64,
    /// Left to the feed-in tariff.
    residual_export_wh: i64,
    /// Paid or earned at the tariffs.
    residual_nano: MoneyNano,
    /// Exported beyond the grid limit: earns nothing, and is no part of `residual_export_wh`.
    curtailed_wh: i64,
    /// The share of `residual_import_wh` beyond the grid limit; paid like the rest of it.
    over_limit_wh: i64,
    /// The network fee.
    network_fee_nano: MoneyNano,
    /// The platform fee.
    platform_fee_nano: MoneyNano,
    /// The sum of it all.
    net_nano: MoneyNano,
    /// What the same registers would have cost without the market.
    base_nano: MoneyNano,
}

/// An account's statement of a slot.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountStatement {
    /// The member's pseudonym, or the community's account.
    #[schema(example = "Amber Kite")]
    account: String,
    /// `member`, `grid`, `network`, `platform` or `reserve`.
    #[schema(example = "member")]
    kind: String,
    #[serde(flatten)]
    statement: Statement,
}

/// A member's statement of a slot.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SlotStatement {
    /// The slot.
    slot_start: DateTime<Utc>,
    /// The slot's revision.
    revision: i32,
    #[serde(flatten)]
    statement: Statement,
    /// Its trades of the continuous auction; `showSlot` has them in full.
    trade_ids: Vec<i64>,
    /// The signed readings of its meters at the slot's start and end, as `meter/epoch/sequence`.
    #[schema(example = json!(["m-a1/1/1", "m-a1/1/2"]))]
    readings: Vec<String>,
    /// The batch that settles it.
    batch: Option<Batch>,
}

/// A member's statements of a day or a month (UTC), summed; each slot at its latest revision.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PeriodStatement {
    /// The period's start.
    period_start: DateTime<Utc>,
    /// How many slots are priced.
    slots: i64,
    /// How many of them are settled for good.
    settled_slots: i64,
    #[serde(flatten)]
    statement: Statement,
}

/// A page of a member's statements.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Statements {
    /// Newest first, each at its latest revision; empty if a period is asked for.
    statements: Vec<SlotStatement>,
    /// Newest first; empty unless a period is asked for.
    periods: Vec<PeriodStatement>,
    /// Give this as `before` to get the next page; null on the last one.
    next_before: Option<DateTime<Utc>>,
}

/// A member's statements by slot, day or month, newest first, as JSON or CSV.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/members/{member_id}/statements", operation_id = "listStatements", tag = "members",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("member_id" = String, Path, description = "The member.", example = "anna"),
        StatementQuery,
    ),
    responses(
        (status = 200, description = "A page of statements.", content(
            (Statements = "application/json"),
            (String = "text/csv"),
        ), headers(
            ("x-next-before" = Option<DateTime<Utc>>, description = "Of a CSV page: give it as `before` to get the next one. Absent on the last."),
        )),
        (status = 400, description = "The query is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community or member.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
    query: web::Query<StatementQuery>,
) -> Result<HttpResponse, ApiError> {
    let (limit, before) = query.page().bounds(DEFAULT_LIMIT)?;
    let (period, format) = (query.period()?, query.format()?);
    let community = routes::community(&state, &path.0).await?.community_id;
    let id = routes::existing_member(&state, &community, &path.1).await?;
    let pool = &state.pool;
    let page = match period {
        None => of_slots(pool, &community, &id, before, limit).await?,
        Some(period) => of_periods(pool, &community, &id, period, before, limit).await?,
    };
    Ok(match format {
        Format::Json => HttpResponse::Ok().json(page),
        Format::Csv => {
            let by = period.map_or("slot", |period| if period == Period::Day { "day" } else { "month" });
            let name = format!("attachment; filename=\"statements-{}-by-{by}.csv\"", path.1);
            let mut answer = HttpResponse::Ok();
            answer.insert_header((header::CONTENT_DISPOSITION, name));
            if let Some(next) = page.next_before {
                answer.insert_header(("x-next-before", csv::time(next)));
            }
            answer.content_type("text/csv; charset=utf-8").body(csv::write(&page, period.is_some()))
        }
    })
}

async fn of_slots(
    pool: &PgPool,
    community: &CommunityId,
    id: &MemberId,
    before: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Statements, ApiError> {
    let rows = statements::of_member(pool, community, id, before, limit).await?;
    let starts: Vec<_> = rows.iter().map(|row| row.slot_start).collect();
    let mut batches: HashMap<_, _> = slots::batches(pool, community, &starts)
        .await?
        .into_iter()
        .map(|(slot_start, revision, batch)| ((slot_start, revision), Batch::from(batch)))
        .collect();
    let traces = periods::traces(pool, community, id, &starts).await?;
    let statements = rows.iter().zip(traces).map(|(row, Trace { trade_ids, readings, .. })| SlotStatement {
        slot_start: row.slot_start,
        revision: row.revision,
        statement: Statement::from(row),
        trade_ids,
        readings,
        batch: batches.remove(&(row.slot_start, row.revision)),
    });
    let next_before = next_before(starts.len(), limit, starts.last().copied());
    Ok(Statements { statements: statements.collect(), periods: Vec::new(), next_before })
}

async fn of_periods(
    pool: &PgPool,
    community: &CommunityId,
    id: &MemberId,
    period: Period,
    before: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Statements, ApiError> {
    let rows = periods::of_member(pool, community, id, period, before, limit).await?;
    let last = rows.last().map(|row| row.sums.slot_start);
    let next_before = next_before(rows.len(), limit, last);
    let summed = |row: &PeriodRow| PeriodStatement {
        period_start: row.sums.slot_start,
        slots: row.slots,
        settled_slots: row.settled_slots,
        statement: Statement::from(&row.sums),
    };
    Ok(Statements { statements: Vec::new(), periods: rows.iter().map(summed).collect(), next_before })
}

impl From<StatementRow> for AccountStatement {
    fn from(row: StatementRow) -> Self {
        let statement = Statement::from(&row);
        Self { account: row.pseudonym.unwrap_or(row.account_id), kind: row.kind, statement }
    }
}

impl From<&StatementRow> for Statement {
    fn from(row: &StatementRow) -> Self {
        Self {
            import_wh: row.import_wh,
            export_wh: row.export_wh,
            production_wh: row.production_wh,
            substituted: row.substituted,
            traded_bought_wh: row.traded_bought_wh,
            traded_bought_nano: MoneyNano(row.traded_bought_nano),
            traded_sold_wh: row.traded_sold_wh,
            traded_sold_nano: MoneyNano(row.traded_sold_nano),
            closing_bought_wh: row.closing_bought_wh,
            closing_bought_nano: MoneyNano(row.closing_bought_nano),
            closing_sold_wh: row.closing_sold_wh,
            closing_sold_nano: MoneyNano(row.closing_sold_nano),
            preferred_bought_wh: row.preferred_bought_wh,
            preferred_bought_nano: MoneyNano(row.preferred_bought_nano),
            preferred_sold_wh: row.preferred_sold_wh,
            preferred_sold_nano: MoneyNano(row.preferred_sold_nano),
            residual_import_wh: row.residual_import_wh,
            residual_export_wh: row.residual_export_wh,
            residual_nano: MoneyNano(row.residual_nano),
            curtailed_wh: row.curtailed_wh,
            over_limit_wh: row.over_limit_wh,
            network_fee_nano: MoneyNano(row.network_fee_nano),
            platform_fee_nano: MoneyNano(row.platform_fee_nano),
            net_nano: MoneyNano(row.net_nano),
            base_nano: MoneyNano(row.base_nano),
        }
    }
}
