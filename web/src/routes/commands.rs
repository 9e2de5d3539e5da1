//! Commands to the market, and what it decided.

use std::time::Duration;

use actix_web::web::{self, Json};
use domain::ids::CommunityId;
use serde::Serialize;
use store::notify::{self, Event, Kind};
use store::views::commands::{self, CommandRow};
use tokio::sync::broadcast;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::error::{ApiError, Problem};
use crate::{problems, routes};

/// How often the decision is looked for when no hint comes.
const POLL_EVERY: Duration = Duration::from_millis(200);

/// A command and what the market decided.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Command {
    /// Its number; also the number of the order that it places.
    #[schema(example = 17)]
    command_id: i64,
    /// `submitted` (the market has not decided yet), `accepted` or `refused`.
    #[schema(example = "accepted")]
    status: String,
    /// Why it was refused; null unless it was.
    refusal: Option<Refusal>,
}

/// Why a command was refused. Nothing changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Refusal {
    /// A stable name.
    #[schema(example = "gate_closed")]
    code: String,
    /// The reason in words.
    #[schema(example = "gate closure of the slot has passed: choose a later slot")]
    detail: String,
}

impl From<CommandRow> for Command {
    fn from(row: CommandRow) -> Self {
        let refusal =
            row.refusal_code.map(|code| Refusal { code, detail: row.refusal_detail.unwrap_or_default() });
        Self { command_id: row.command_id, status: row.status, refusal }
    }
}

/// What became of a command.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/commands/{command_id}", operation_id = "showCommand", tag = "orders",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("command_id" = i64, Path, description = "The command's number.", example = 17),
    ),
    responses(
        (status = 200, description = "The command.", body = Command),
        (status = 400, description = "Not the number of a command.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community or command.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    state: web::Data<AppState>,
    path: web::Path<(String, i64)>,
) -> Result<Json<Command>, ApiError> {
    let community = routes::community(&state, &path.0).await?;
    let row = commands::find(&state.pool, &community.community_id, path.1).await?.ok_or_else(|| {
        ApiError::new(problems::UNKNOWN_COMMAND, format!("the community has no command {}", path.1))
    })?;
    Ok(Json(Command::from(row)))
}

/// Waits a moment for the market's decision; the command as it then is.
///
/// `hints` must have been subscribed to before the command was sent, or the decision's could be missed.
pub(crate) async fn decided(
    state: &AppState,
    community: &CommunityId,
    sent: CommandRow,
    mut hints: broadcast::Receiver<Event>,
) -> Result<CommandRow, ApiError> {
    let deadline = Instant::now() + state.decision_wait;
    let mut row = sent;
    while row.status == "submitted" {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        notify::wait(&mut hints, left.min(POLL_EVERY), |event| {
            event.community_id == community.as_str() && matches!(event.kind, Kind::Order | Kind::Trade)
        })
        .await;
        row = commands::find(&state.pool, community, row.command_id).await?.unwrap_or(row);
    }
    Ok(row)
}
