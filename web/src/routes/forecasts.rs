//! What a site is expected to do in the next slots, and what its battery should do about it.

use actix_web::web::{self, Json};
use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{CommunityId, SiteId};
use serde::Serialize;
use store::autopilot::Piloted;
use store::communities::Community;
use store::forecasts::{self, Run};
use utoipa::ToSchema;

use crate::app::AppState;
use crate::error::{ApiError, Problem};
use crate::routes;

/// A site's forecast.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Forecast {
    /// The site.
    #[schema(example = "site-001")]
    site_id: String,
    /// When it was made; null until there is one.
    made_at: Option<DateTime<Utc>>,
    /// The length of a slot.
    #[schema(example = 900)]
    slot_length_s: u32,
    /// From how many slots it was learned.
    learned_from_slots: i32,
    /// The next slots, without a gap, at most 96; empty until there is a forecast.
    slots: Vec<ForecastSlot>,
    /// What the battery should do; null without one that follows the plan.
    battery_plan: Option<BatteryPlan>,
}

/// What a site is expected to have left over (positive) or to lack (negative) in a slot, without a planned
/// battery.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ForecastSlot {
    /// The slot.
    slot_start: DateTime<Utc>,
    /// One time in ten it is less.
    #[schema(example = -120)]
    p10_wh: i64,
    /// As often less as more.
    #[schema(example = 40)]
    p50_wh: i64,
    /// One time in ten it is more.
    #[schema(example = 210)]
    p90_wh: i64,
}

/// A battery and its plan.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatteryPlan {
    /// What the battery holds.
    capacity_wh: i64,
    /// The most it takes or gives.
    power_w: i64,
    /// What is kept back.
    reserve_wh: i64,
    /// What it keeps of what it takes, in thousandths.
    charge_permille: u16,
    /// What it gives of what it had stored, in thousandths.
    discharge_permille: u16,
    /// What it is taken to hold before the first slot.
    stored_before_wh: i64,
    /// A step a slot, of the same slots as the forecast.
    slots: Vec<BatterySlot>,
}

/// What a battery should do in a slot. What was stored and charged is what is stored then, discharged
/// and lost.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatterySlot {
    /// The slot.
    slot_start: DateTime<Utc>,
    /// Taken from the site.
    charge_wh: i64,
    /// Given to the site.
    discharge_wh: i64,
    /// Lost on the way.
    loss_wh: i64,
    /// Stored afterwards.
    stored_wh: i64,
}

/// A site's forecast and its battery's plan: the newest run.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/members/{member_id}/sites/{site_id}/forecast",
    operation_id = "showForecast", tag = "autopilot",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("member_id" = String, Path, description = "The member.", example = "anna"),
        ("site_id" = String, Path, description = "The site.", example = "site-001"),
    ),
    responses(
        (status = 200, description = "The forecast; without slots until there is one.", body = Forecast),
        (status = 404, description = "No such community, member or site.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    state: web::Data<AppState>,
    path: web::Path<(String, String, String)>,
) -> Result<Json<Forecast>, ApiError> {
    let (community, site) = routes::existing_site(&state, &path).await?;
    let run = newest(&state, &community.community_id, &site.site_id).await?;
    let slot_length_s = community.slot_length.seconds();
    let Some(run) = run else {
        return Ok(Json(Forecast {
            site_id: site.site_id.to_string(),
            made_at: None,
            slot_length_s,
            learned_from_slots: 0,
            slots: Vec::new(),
            battery_plan: None,
        }));
    };
    let starts = starts(&community, &run);
    let slots = starts.iter().zip(&run.residual).map(|(slot_start, slot)| ForecastSlot {
        slot_start: *slot_start,
        p10_wh: slot.p10_wh,
        p50_wh: slot.p50_wh,
        p90_wh: slot.p90_wh,
    });
    Ok(Json(Forecast {
        site_id: site.site_id.to_string(),
        made_at: Some(run.made_at),
        slot_length_s,
        learned_from_slots: run.learned_slots,
        slots: slots.collect(),
        battery_plan: battery_plan(&site, &run, &starts),
    }))
}

fn battery_plan(site: &Piloted, run: &Run, starts: &[DateTime<Utc>]) -> Option<BatteryPlan> {
    let battery = site.battery.filter(|_| !run.battery.is_empty())?;
    let slots = starts.iter().zip(&run.battery).map(|(slot_start, step)| BatterySlot {
        slot_start: *slot_start,
        charge_wh: step.charge_wh,
        discharge_wh: step.discharge_wh,
        loss_wh: step.loss_wh,
        stored_wh: step.stored_wh,
    });
    Some(BatteryPlan {
        capacity_wh: battery.capacity_wh(),
        power_w: battery.power_w(),
        reserve_wh: run.reserve_wh,
        charge_permille: battery.charge_permille(),
        discharge_permille: battery.discharge_permille(),
        stored_before_wh: run.stored_before_wh,
        slots: slots.collect(),
    })
}

/// The starts of a run's slots.
pub(crate) fn starts(community: &Community, run: &Run) -> Vec<DateTime<Utc>> {
    let length: TimeDelta = community.slot_length.delta();
    let starts = std::iter::successors(Some(run.first_slot_start), |start| Some(*start + length));
    starts.take(run.residual.len()).collect()
}

/// The newest run of a site.
pub(crate) async fn newest(
    state: &AppState,
    community: &CommunityId,
    site: &SiteId,
) -> Result<Option<Run>, ApiError> {
    Ok(forecasts::find(&state.pool, community, site).await?)
}
