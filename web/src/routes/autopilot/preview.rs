//! The orders that a site's autopilot would place, before it does.

use actix_web::web::{self, Json};
use chrono::{DateTime, Utc};
use pilot::bounds::Bounds;
use pilot::intent::{Expected, Intent};
use pilot::ramp::STEPS;
use pilot::settings::Settings;
use serde::Serialize;
use store::communities::Community;
use store::forecasts::Run;
use utoipa::ToSchema;

use super::query::Trial;
use crate::app::AppState;
use crate::error::{ApiError, Problem};
use crate::routes::bounds::place;
use crate::routes::orders::reason::ReasonParts;
use crate::routes::{self, forecasts};
use crate::wire::PriceMicro;

/// The orders that settings would lead to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Preview {
    /// The site.
    #[schema(example = "site-001")]
    site_id: String,
    /// The preset that is shown.
    #[schema(example = "cheapest")]
    preset: String,
    /// When the forecast behind it was made; null if there is none.
    forecast_made_at: Option<DateTime<Utc>>,
    /// An order a slot in which something would be traded, the next slot first, at most 96.
    orders: Vec<PreviewOrder>,
    /// Why there are none; null if there are some.
    none_because: Option<String>,
}

/// An order that would be placed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewOrder {
    /// The slot.
    slot_start: DateTime<Utc>,
    /// `bid` or `offer`.
    #[schema(example = "offer")]
    side: String,
    /// How much.
    #[schema(example = 336)]
    energy_wh: i64,
    /// The limit at the first step.
    first_limit_micro_per_kwh: PriceMicro,
    /// The limit just before gate closure.
    last_limit_micro_per_kwh: PriceMicro,
    /// Why, in plain words.
    reason: String,
    #[serde(flatten)]
    parts: ReasonParts,
}

/// What a site's autopilot would order in the next slots, with its reasons.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/members/{member_id}/sites/{site_id}/autopilot/preview",
    operation_id = "previewAutopilot", tag = "autopilot",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("member_id" = String, Path, description = "The member.", example = "anna"),
        ("site_id" = String, Path, description = "The site.", example = "site-001"),
        Trial,
    ),
    responses(
        (status = 200, description = "The orders.", body = Preview),
        (status = 400, description = "The settings are not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community, member or site.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    state: web::Data<AppState>,
    path: web::Path<(String, String, String)>,
    trial: web::Query<Trial>,
) -> Result<Json<Preview>, ApiError> {
    trial.without_days()?;
    let (community, site) = routes::existing_site(&state, &path).await?;
    let bounds = place(&state, &community, &site.site_id).await?.bounds;
    let settings = trial.settings(&site.settings, &bounds)?;
    let run = forecasts::newest(&state, &community.community_id, &site.site_id).await?;
    let orders = run.as_ref().map_or_else(Vec::new, |run| orders(&community, run, &settings, &bounds));
    let none_because = orders.is_empty().then(|| {
        let words = match (settings.paused, &run) {
            (true, _) => "The autopilot is paused.",
            (_, None) => {
                "There is no forecast yet: it is made once the site's meter has been read over a slot."
            }
            _ => "No slot is expected to have anything to trade.",
        };
        words.to_owned()
    });
    Ok(Json(Preview {
        site_id: site.site_id.to_string(),
        preset: settings.preset.as_str().to_owned(),
        forecast_made_at: run.map(|run| run.made_at),
        orders,
        none_because,
    }))
}

fn orders(community: &Community, run: &Run, settings: &Settings, bounds: &Bounds) -> Vec<PreviewOrder> {
    let order = |(number, slot_start): (usize, DateTime<Utc>)| {
        let battery_wh = run.battery.get(number).filter(|_| settings.follows_battery_plan);
        let expected = Expected {
            slot_start,
            residual: *run.residual.get(number)?,
            battery_wh: battery_wh.map_or(0, pilot::battery::Step::net_wh),
        };
        let intent = Intent::of(settings, &expected, run.share_percent, community.max_order)?;
        let (low, high) = settings.bounds(intent.side, bounds.lowest, bounds.highest(intent.side)?);
        let limit = |step| settings.preset.limit(intent.side, step, low, high);
        let reason = intent.reason(limit(0));
        Some(PreviewOrder {
            slot_start,
            side: intent.side.as_str().to_owned(),
            energy_wh: intent.energy.wh(),
            first_limit_micro_per_kwh: PriceMicro(limit(0).micro_per_kwh()),
            last_limit_micro_per_kwh: PriceMicro(limit(STEPS - 1).micro_per_kwh()),
            parts: ReasonParts::of(&reason),
            reason,
        })
    };
    forecasts::starts(community, run).into_iter().enumerate().filter_map(order).collect()
}
