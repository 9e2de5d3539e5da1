//! Commands to the market, and what it decided.

pub(crate) mod decisions;

use actix_web::web::{self, Json};
use serde::Serialize;
use store::views::commands::{self, CommandRow};
use utoipa::ToSchema;

use crate::app::AppState;
use crate::error::{ApiError, Problem};
use crate::{problems, routes};

/// A command and what the market decided.
#[derive(Debug, Clone, Serialize, ToSchema)]
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
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Refusal {
    /// A stable name.
    #[schema(example = "gate_closed")]
    code: String,
    /// The reason in words.
    #[schema(example = "gate closure of the slot has passed: choose a later slot")]
    detail: String,
    /// The kind of problem; the address explains it.
    #[serde(rename = "type")]
    #[schema(example = "/problems/gate-closed")]
    type_: String,
}

impl Command {
    /// A command that the market has accepted, or not decided yet.
    ///
    /// # Errors
    /// The problem for which the market has refused it.
    pub(crate) fn undecided_or_accepted(row: CommandRow) -> Result<Self, ApiError> {
        match row.refusal_code {
            Some(code) => {
                Err(ApiError::refused(row.command_id, &code, row.refusal_detail.unwrap_or_default()))
            }
            None => Ok(Self::from(row)),
        }
    }
}

impl From<CommandRow> for Command {
    fn from(row: CommandRow) -> Self {
        let refusal = row.refusal_code.map(|code| Refusal {
            type_: format!("/problems/{}", problems::of_refusal(&code).code),
            code,
            detail: row.refusal_detail.unwrap_or_default(),
        });
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
