//! The server itself: does it live, is it ready, and what surrounds it.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::Serialize;
use store::views::operations;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::error::{ApiError, Problem};
use crate::problems;
use crate::server::Mode;

/// What is known about the stack around the server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Stack<'a> {
    /// `demonstration` (simulated devices) or `production`.
    #[schema(example = "demonstration")]
    mode: &'static str,
    /// What whoever started the stack wants to be read.
    #[schema(example = json!(["port 8080 was taken, the dashboard is on 8081"]))]
    notes: &'a [String],
    /// When the stack was started.
    started_at: DateTime<Utc>,
    /// A node of the chain that browsers may ask, if the operator names one.
    #[schema(example = "https://rpc.example")]
    rpc_url: Option<&'a str>,
}

/// What surrounds the server: demonstration or production, and notes of its start.
#[utoipa::path(
    get, path = "/api/v1/stack", operation_id = "showStack", tag = "operations",
    responses((status = 200, description = "The stack.", body = Stack))
)]
pub(crate) async fn stack(state: web::Data<AppState>) -> HttpResponse {
    let mode = match state.stack.mode {
        Mode::Demonstration => "demonstration",
        Mode::Production => "production",
    };
    let started_at = state.stack.started_at;
    HttpResponse::Ok().json(Stack {
        mode,
        notes: &state.stack.notes,
        started_at,
        rpc_url: state.public_rpc_url.as_deref(),
    })
}

/// Whether the process is up.
#[utoipa::path(
    get, path = "/healthz", operation_id = "showLiveness", tag = "operations",
    responses((status = 200, description = "It is.", body = String, content_type = "text/plain", example = "ok"))
)]
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// Whether the server can answer: its database does, and has every migration.
#[utoipa::path(
    get, path = "/readyz", operation_id = "showReadiness", tag = "operations",
    responses(
        (status = 200, description = "It can.", body = String, content_type = "text/plain", example = "ready"),
        (status = 503, description = "It cannot.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn ready(state: web::Data<AppState>) -> Result<&'static str, ApiError> {
    let missing = operations::missing_migrations(&state.pool).await.map_err(|error| {
        tracing::warn!(%error, "not ready");
        ApiError::new(
            problems::UNAVAILABLE,
            "the database does not answer, or was never migrated: run web migrate",
        )
    })?;
    if missing > 0 {
        let detail = format!("the database lacks {missing} migrations: run web migrate");
        return Err(ApiError::new(problems::UNAVAILABLE, detail));
    }
    Ok("ready\n")
}
