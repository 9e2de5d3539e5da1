//! What a setting would have saved.

use actix_web::web::{self, Json};
use chrono::{DateTime, TimeDelta, Utc};
use pilot::day::Days;
use pilot::intent::USUAL_SHARE_PERCENT;
use pilot::what_if::{Site, WhatIf as Found, what_if};
use serde::Serialize;
use utoipa::ToSchema;

use super::query::Trial;
use crate::app::AppState;
use crate::error::{ApiError, Problem};
use crate::routes::bounds::place;
use crate::routes::{self, forecasts};
use crate::wire::MoneyNano;

/// What settings would have come to over past slots, if prices had been what they were.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WhatIf {
    /// The site.
    #[schema(example = "site-001")]
    site_id: String,
    /// The preset that was tried.
    #[schema(example = "cheapest")]
    preset: String,
    /// The first slot; null without any.
    from: Option<DateTime<Utc>>,
    /// The last slot's start; null without any.
    to: Option<DateTime<Utc>>,
    /// How many days were asked for.
    days: u32,
    /// How many metered slots there were.
    slots: usize,
    /// Metered import.
    import_wh: i64,
    /// Metered export.
    export_wh: i64,
    /// At the tariffs alone.
    base_net_nano: MoneyNano,
    /// As it was.
    actual_net_nano: MoneyNano,
    /// Actual less base.
    actual_savings_nano: MoneyNano,
    /// As it would have been.
    what_if_net_nano: MoneyNano,
    /// What-if less base.
    what_if_savings_nano: MoneyNano,
    /// What-if less actual.
    difference_nano: MoneyNano,
    /// What would have been traded ahead.
    traded_wh: i64,
    /// What would have gone through the closing auction.
    closing_wh: i64,
    /// What would have come from the grid or gone to it.
    grid_wh: i64,
    /// What the battery would have done; null if it would not have followed the plan.
    battery: Option<BatteryUse>,
    /// Why there is nothing; null if there is something.
    none_because: Option<String>,
}

/// What a battery would have done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatteryUse {
    /// Taken from the site.
    charged_wh: i64,
    /// Given to the site.
    discharged_wh: i64,
    /// Lost on the way.
    loss_wh: i64,
}

/// What settings would have saved a site over the last days.
///
/// The site is taken as a price taker: prices stay what they were. What is ordered for a slot rests on nothing
/// later than that slot.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/members/{member_id}/sites/{site_id}/autopilot/what-if",
    operation_id = "whatIfAutopilot", tag = "autopilot",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("member_id" = String, Path, description = "The member.", example = "anna"),
        ("site_id" = String, Path, description = "The site.", example = "site-001"),
        Trial,
        ("days" = Option<u32>, Query, minimum = 1, maximum = 31, description = "How many days to look back, 1 to 31; 30 if it is left out."),
    ),
    responses(
        (status = 200, description = "What it would have come to.", body = WhatIf),
        (status = 400, description = "The settings are not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community, member or site.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    state: web::Data<AppState>,
    path: web::Path<(String, String, String)>,
    trial: web::Query<Trial>,
) -> Result<Json<WhatIf>, ApiError> {
    let (community, site) = routes::existing_site(&state, &path).await?;
    let settings = trial.settings(&site.settings, &place(&state, &community, &site.site_id).await?.bounds)?;
    let days = trial.days()?;
    let id = &community.community_id;
    let now = state.clock.now();
    let from = now - TimeDelta::days(days.into());
    let past = store::forecasts::past(&state.pool, id, &site.site_id, from, now).await?;
    let share_percent = forecasts::newest(&state, id, &site.site_id)
        .await?
        .map_or(USUAL_SHARE_PERCENT, |run| run.share_percent);
    let (first, last) = (past.first().map(|slot| slot.slot_start), past.last().map(|slot| slot.slot_start));
    let slot_days = Days::new(community.slot_length.seconds());
    let battery = site.battery;
    // A month of forecasts is a second's work: it must not hold up other requests.
    let found = web::block(move || {
        let site = Site { settings: &settings, battery, share_percent };
        what_if(&site, slot_days, &past)
    })
    .await
    .map_err(ApiError::invalid)?
    .map_err(ApiError::invalid)?;
    let asked =
        Asked { site_id: site.site_id.to_string(), preset: settings.preset.as_str().to_owned(), days };
    let planned = battery.is_some() && settings.follows_battery_plan;
    Ok(Json(document(asked, &found, (first, last), planned)?))
}

struct Asked {
    site_id: String,
    preset: String,
    days: u32,
}

fn document(
    asked: Asked,
    found: &Found,
    (from, to): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    planned: bool,
) -> Result<WhatIf, ApiError> {
    let Asked { site_id, preset, days } = asked;
    let none_because =
        (found.slots == 0).then(|| format!("No slot of the last {days} days has been metered yet."));
    Ok(WhatIf {
        site_id,
        preset,
        from,
        to,
        days,
        slots: found.slots,
        import_wh: found.import_wh,
        export_wh: found.export_wh,
        base_net_nano: money(found.base_net_nano)?,
        actual_net_nano: money(found.actual_net_nano)?,
        actual_savings_nano: money(found.actual_net_nano - found.base_net_nano)?,
        what_if_net_nano: money(found.what_if_net_nano)?,
        what_if_savings_nano: money(found.what_if_net_nano - found.base_net_nano)?,
        difference_nano: money(found.what_if_net_nano - found.actual_net_nano)?,
        traded_wh: found.traded_wh,
        closing_wh: found.closing_wh,
        grid_wh: found.grid_wh,
        battery: planned.then_some(BatteryUse {
            charged_wh: found.charged_wh,
            discharged_wh: found.discharged_wh,
            loss_wh: found.loss_wh,
        }),
        none_because,
    })
}

fn money(nano: i128) -> Result<MoneyNano, ApiError> {
    i64::try_from(nano).map(MoneyNano).map_err(ApiError::invalid)
}
