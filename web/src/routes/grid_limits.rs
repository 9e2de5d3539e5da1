//! Grid limits of slots, in bulk, as a utility or the operator sets them.

use std::collections::{BTreeMap, HashSet};

use actix_web::web::{self, Json};
use chrono::{DateTime, Utc};
use domain::grid::{GridLimits, LimitSource};
use domain::slot::{Slot, SlotLength};
use domain::units::Energy;
use serde::{Deserialize, Serialize};
use store::communities::Community;
use store::grid_limits::{self, LimitRow};
use utoipa::{IntoParams, ToSchema};

use super::slot::parse_start;
use crate::app::AppState;
use crate::auth::Authorized;
use crate::error::{ApiError, Problem};
use crate::wire::{YEARS_ONLY, is_keepable};
use crate::{problems, routes};

/// The most slots of one request.
const MAX_SLOTS: usize = 384;
/// How many slots are shown unless `to` is given.
const DEFAULT_SLOTS: i32 = 96;

/// The limits of slots.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SlotLimits {
    /// By slot; slots without a limit are left out.
    limits: Vec<SlotLimit>,
}

/// What holds in a slot: of each direction the lowest limit.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SlotLimit {
    /// The slot.
    slot_start: DateTime<Utc>,
    /// The most that may be drawn from the grid; null is not limited.
    import_limit_wh: Option<i64>,
    /// The most that may be fed into it; null is not limited.
    export_limit_wh: Option<i64>,
    /// Who set which limit.
    sources: Vec<SourceLimit>,
}

/// What one source has set for a slot.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SourceLimit {
    /// `connection` or `utility`.
    #[schema(example = "utility")]
    source: &'static str,
    /// The most imported.
    import_limit_wh: Option<i64>,
    /// The most exported.
    export_limit_wh: Option<i64>,
    /// When it was set.
    set_at: DateTime<Utc>,
}

/// Limits to set, all or none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewLimits {
    /// `connection` for the connection point's own limits, `utility` for the utility's.
    #[schema(example = "utility")]
    source: String,
    /// At most 384 slots, each once.
    #[schema(max_items = 384)]
    limits: Vec<NewLimit>,
}

/// A limit of one slot, in place of the one that the source had set. Null in both directions takes it back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewLimit {
    /// The slot, which has not begun.
    slot_start: DateTime<Utc>,
    /// The most that may be drawn from the grid.
    #[schema(minimum = 0)]
    import_limit_wh: Option<i64>,
    /// The most that may be fed into it.
    #[schema(minimum = 0)]
    export_limit_wh: Option<i64>,
}

/// Which slots.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LimitQuery {
    /// The first slot; the current one if left out.
    #[param(value_type = Option<DateTime<Utc>>)]
    from: Option<String>,
    /// The last slot, at most 383 later; 95 later if left out.
    #[param(value_type = Option<DateTime<Utc>>)]
    to: Option<String>,
}

/// The grid limits of a span of slots.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/grid-limits", operation_id = "listGridLimits", tag = "grid",
    params(("community_id" = String, Path, description = "The community.", example = "demo"), LimitQuery),
    responses(
        (status = 200, description = "The limits.", body = SlotLimits),
        (status = 400, description = "The query is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    state: web::Data<AppState>,
    id: web::Path<String>,
    query: web::Query<LimitQuery>,
) -> Result<Json<SlotLimits>, ApiError> {
    let community = routes::community(&state, &id).await?;
    let length = community.slot_length;
    let from = match &query.from {
        Some(from) => parse_start(&community, from)?,
        None => Slot::containing(state.clock.now(), length).start(),
    };
    let to = match &query.to {
        Some(to) => parse_start(&community, to)?,
        None => from + length.delta() * (DEFAULT_SLOTS - 1),
    };
    if slots_between(from, to, length).is_none_or(|slots| slots > MAX_SLOTS) {
        let detail =
            format!("the query: from is not after to, and there are at most {MAX_SLOTS} slots between");
        return Err(ApiError::invalid(detail));
    }
    Ok(Json(shown(&state, &community, from, to).await?))
}

/// Set the grid limits of slots that have not begun, all or none. The same limits again change nothing.
#[utoipa::path(
    put, path = "/api/v1/communities/{community_id}/grid-limits", operation_id = "setGridLimits", tag = "grid",
    params(("community_id" = String, Path, description = "The community.", example = "demo")),
    request_body = NewLimits,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The limits that hold now between the first and the last of these slots.", body = SlotLimits),
        (status = 400, description = "The limits are not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The token is missing or wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "One of the slots has begun.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn set(
    _: Authorized,
    state: web::Data<AppState>,
    id: web::Path<String>,
    body: Json<NewLimits>,
) -> Result<Json<SlotLimits>, ApiError> {
    let community = routes::community(&state, &id).await?;
    let now = state.clock.now();
    let rows = rows(&community, body.into_inner(), now)?;
    grid_limits::set(&state.pool, &community.community_id, &rows, now).await?;
    let starts = rows.iter().map(|row| row.slot_start);
    let (first, last) = (starts.clone().min().unwrap_or(now), starts.max().unwrap_or(now));
    Ok(Json(shown(&state, &community, first, last).await?))
}

fn rows(community: &Community, new: NewLimits, now: DateTime<Utc>) -> Result<Vec<LimitRow>, ApiError> {
    let source = LimitSource::parse(&new.source).ok_or_else(|| {
        ApiError::invalid(format!("the body: source is connection or utility, but is {:?}", new.source))
    })?;
    if new.limits.is_empty() || new.limits.len() > MAX_SLOTS {
        return Err(ApiError::invalid(format!("the body: limits holds 1 to {MAX_SLOTS} slots")));
    }
    let mut seen = HashSet::new();
    new.limits
        .into_iter()
        .map(|limit| {
            let start = limit.slot_start;
            Slot::starting_at(start, community.slot_length)
                .map_err(|error| ApiError::new(problems::INVALID_SLOT, error.to_string()))?;
            if !is_keepable(start) {
                return Err(ApiError::new(problems::INVALID_SLOT, YEARS_ONLY));
            }
            if !seen.insert(start) {
                return Err(ApiError::invalid(format!("the body: the slot {start} is there twice")));
            }
            if start <= now {
                let detail = format!("the slot {start} has begun: what it may draw and feed in is settled");
                return Err(ApiError::new(problems::SLOT_BEGUN, detail));
            }
            let energy = |wh: Option<i64>| match wh {
                Some(wh) if wh < 0 => {
                    Err(ApiError::invalid(format!("the body: a limit of {wh} Wh is negative")))
                }
                wh => Ok(wh.map(Energy::from_wh)),
            };
            let limits =
                GridLimits { import: energy(limit.import_limit_wh)?, export: energy(limit.export_limit_wh)? };
            Ok(LimitRow { slot_start: start, source, limits, set_at: now })
        })
        .collect()
}

async fn shown(
    state: &AppState,
    community: &Community,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<SlotLimits, ApiError> {
    let rows = grid_limits::between(&state.pool, &community.community_id, from, to).await?;
    let mut slots: BTreeMap<DateTime<Utc>, Vec<LimitRow>> = BTreeMap::new();
    for row in rows.into_iter().filter(|row| row.limits != GridLimits::default()) {
        slots.entry(row.slot_start).or_default().push(row);
    }
    Ok(SlotLimits { limits: slots.into_iter().map(|(start, rows)| limit(start, &rows)).collect() })
}

fn limit(slot_start: DateTime<Utc>, rows: &[LimitRow]) -> SlotLimit {
    let lowest = rows.iter().fold(GridLimits::default(), |lowest, row| lowest.lowest(row.limits));
    let source = |row: &LimitRow| SourceLimit {
        source: row.source.as_str(),
        import_limit_wh: row.limits.import.map(Energy::wh),
        export_limit_wh: row.limits.export.map(Energy::wh),
        set_at: row.set_at,
    };
    SlotLimit {
        slot_start,
        import_limit_wh: lowest.import.map(Energy::wh),
        export_limit_wh: lowest.export.map(Energy::wh),
        sources: rows.iter().map(source).collect(),
    }
}

/// How many slots start in `from..=to`; nothing if `from` is the later.
fn slots_between(from: DateTime<Utc>, to: DateTime<Utc>, length: SlotLength) -> Option<usize> {
    let steps = (to - from).num_seconds().checked_div(length.delta().num_seconds())?;
    usize::try_from(steps).ok().map(|steps| steps + 1)
}
