//! Statements: what an account paid and earned in a slot.

use std::collections::HashMap;

use actix_web::web::{self, Json};
use chrono::{DateTime, Utc};
use serde::Serialize;
use store::views::statements::{self, StatementRow};
use store::views::{member, slots};
use utoipa::ToSchema;

use crate::app::AppState;
use crate::error::{ApiError, Problem};
use crate::routes;
use crate::wire::{Batch, MoneyNano, Page, next_before};

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
    /// Left to the retail tariff.
    residual_import_wh: i64,
    /// Left to the feed-in tariff.
    residual_export_wh: i64,
    /// Paid or earned at the tariffs.
    residual_nano: MoneyNano,
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
    /// The batch that settles it.
    batch: Option<Batch>,
}

/// A page of a member's statements.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Statements {
    /// Newest first, each at its latest revision.
    statements: Vec<SlotStatement>,
    /// Give this as `before` to get the next page; null on the last one.
    next_before: Option<DateTime<Utc>>,
}

/// A member's statements, newest first.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/members/{member_id}/statements", operation_id = "listStatements", tag = "members",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("member_id" = String, Path, description = "The member.", example = "anna"),
        Page,
    ),
    responses(
        (status = 200, description = "A page of statements.", body = Statements),
        (status = 400, description = "The query is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community or member.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
    page: web::Query<Page>,
) -> Result<Json<Statements>, ApiError> {
    let (limit, before) = page.bounds(DEFAULT_LIMIT)?;
    let community = routes::community(&state, &path.0).await?;
    let id = routes::member_id(&path.1)?;
    if member::find(&state.pool, &community.community_id, &id).await?.is_none() {
        return Err(routes::unknown_member(&path.1));
    }
    let rows = statements::of_member(&state.pool, &community.community_id, &id, before, limit).await?;
    let starts: Vec<_> = rows.iter().map(|row| row.slot_start).collect();
    let mut batches: HashMap<_, _> = slots::batches(&state.pool, &community.community_id, &starts)
        .await?
        .into_iter()
        .map(|(slot_start, revision, batch)| ((slot_start, revision), Batch::from(batch)))
        .collect();
    let statements = rows
        .iter()
        .map(|row| SlotStatement {
            slot_start: row.slot_start,
            revision: row.revision,
            statement: Statement::from(row),
            batch: batches.remove(&(row.slot_start, row.revision)),
        })
        .collect();
    Ok(Json(Statements { statements, next_before: next_before(starts.len(), limit, starts.last().copied()) }))
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
            residual_import_wh: row.residual_import_wh,
            residual_export_wh: row.residual_export_wh,
            residual_nano: MoneyNano(row.residual_nano),
            network_fee_nano: MoneyNano(row.network_fee_nano),
            platform_fee_nano: MoneyNano(row.platform_fee_nano),
            net_nano: MoneyNano(row.net_nano),
            base_nano: MoneyNano(row.base_nano),
        }
    }
}
