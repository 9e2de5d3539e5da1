//! How a site's autopilot is set, and setting it.

pub(crate) mod preview;
pub(crate) mod query;
pub(crate) mod what_if;

use actix_web::HttpRequest;
use actix_web::web::{self, Json};
use chrono::{DateTime, Utc};
use domain::units::Price;
use pilot::settings::{InvalidSettings, Preset, Settings};
use serde::{Deserialize, Serialize};
use store::StoreError;
use store::autopilot::{self, Changed, Piloted, Version};
use store::communities::Community;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::auth::member::{self, Actor};
use crate::error::{ApiError, Problem};
use crate::routes::bounds::{Place, place};
use crate::wire::PriceMicro;
use crate::{problems, routes};

/// How many versions are listed.
const NEWEST_VERSIONS: i64 = 20;
/// Who sets with the server's own token.
const OPERATOR: &str = "operator";

/// How a site's autopilot is set.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AutopilotSettings {
    /// The site.
    #[schema(example = "site-001")]
    site_id: String,
    /// Counts the changes; 0 if it was never set, and the member's preset holds.
    version: i32,
    #[serde(flatten)]
    settings: SettingsFields,
    /// Who changed it last: the member, or `operator`.
    changed_by: Option<String>,
    /// When.
    changed_at: Option<DateTime<Utc>>,
    /// Between what own limits may lie, by the tariff and the fees that hold now.
    bounds: LimitBounds,
    /// The battery; null without one.
    battery: Option<SiteBattery>,
    /// The newest versions, at most 20.
    history: Vec<SettingsVersion>,
}

/// What can be set.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SettingsFields {
    /// `greenest`, `hands-off` or `cheapest`.
    #[schema(example = "hands-off")]
    preset: String,
    /// Whether it places no orders.
    paused: bool,
    /// The most it pays, fees apart; null for the tariff's bound.
    bid_limit_micro_per_kwh: Option<PriceMicro>,
    /// The least it takes; null for the tariff's bound.
    offer_limit_micro_per_kwh: Option<PriceMicro>,
    /// What is kept back in the battery, in per cent of its capacity.
    #[schema(minimum = 0, maximum = 100)]
    battery_reserve_percent: u8,
    /// Whether the site's controller follows the battery plan, so that orders take it into account.
    follows_battery_plan: bool,
}

/// One version of a site's settings.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SettingsVersion {
    /// Counts from 1.
    version: i32,
    #[serde(flatten)]
    settings: SettingsFields,
    /// Who set it.
    changed_by: String,
    /// When.
    changed_at: DateTime<Utc>,
}

/// Between what limits may lie.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LimitBounds {
    /// The feed-in tariff.
    lowest_limit_micro_per_kwh: PriceMicro,
    /// The most a bid may name: the retail tariff less the platform fee and the highest network fee of its zone.
    highest_limit_micro_per_kwh: PriceMicro,
    /// The most an offer may name: what the zone with the lowest fees can pay.
    highest_offer_limit_micro_per_kwh: PriceMicro,
    /// What energy earns at the grid.
    feed_in_micro_per_kwh: PriceMicro,
    /// What energy costs at the grid.
    retail_micro_per_kwh: PriceMicro,
}

/// A site's battery.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SiteBattery {
    /// What it holds.
    capacity_wh: i64,
    /// The most it takes or gives.
    power_w: i64,
}

/// New settings of a site's autopilot.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSettings {
    /// `greenest`, `hands-off` or `cheapest`.
    #[schema(example = "cheapest")]
    preset: String,
    /// Whether it places no orders; open ones that it placed are cancelled.
    paused: bool,
    /// The most it pays, fees apart.
    bid_limit_micro_per_kwh: Option<PriceMicro>,
    /// The least it takes.
    offer_limit_micro_per_kwh: Option<PriceMicro>,
    /// What is kept back in the battery, in per cent of its capacity.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 100)]
    battery_reserve_percent: u8,
    /// Whether the site's controller follows the battery plan.
    #[serde(default)]
    follows_battery_plan: bool,
    /// The version this is a change of; if another one holds by now, nothing is changed.
    expected_version: Option<i32>,
}

/// How a site's autopilot is set, and how it was.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/members/{member_id}/sites/{site_id}/autopilot",
    operation_id = "showAutopilot", tag = "autopilot",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("member_id" = String, Path, description = "The member.", example = "anna"),
        ("site_id" = String, Path, description = "The site.", example = "site-001"),
    ),
    responses(
        (status = 200, description = "The settings.", body = AutopilotSettings),
        (status = 404, description = "No such community, member or site.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    state: web::Data<AppState>,
    path: web::Path<(String, String, String)>,
) -> Result<Json<AutopilotSettings>, ApiError> {
    let (community, site) = routes::existing_site(&state, &path).await?;
    let place = place(&state, &community, &site.site_id).await?;
    Ok(Json(document(&state, &community, site, &place).await?))
}

/// Set a site's autopilot. The same settings again change nothing.
#[utoipa::path(
    put, path = "/api/v1/communities/{community_id}/members/{member_id}/sites/{site_id}/autopilot",
    operation_id = "setAutopilot", tag = "autopilot",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("member_id" = String, Path, description = "The member.", example = "anna"),
        ("site_id" = String, Path, description = "The site.", example = "site-001"),
    ),
    request_body = NewSettings,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The settings that hold now.", body = AutopilotSettings),
        (status = 400, description = "The settings are not valid, or a limit is outside the tariffs.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The token is missing or wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token is another member's.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community, member or site.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Another version holds than the expected one.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn set(
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<(String, String, String)>,
    body: Json<NewSettings>,
) -> Result<Json<AutopilotSettings>, ApiError> {
    let (community, site) = routes::existing_site(&state, &path).await?;
    let by = match member::may_act(&request, &state, &community.community_id, &[&site.member_id]).await? {
        Actor::Operator => OPERATOR,
        Actor::Member => site.member_id.as_str(),
    };
    let expected_version = body.expected_version;
    let settings = Settings::try_from(body.into_inner())?;
    let place = place(&state, &community, &site.site_id).await?;
    settings.check_within(&place.bounds).map_err(|error| invalid(&error))?;
    let mut tx = state.pool.begin().await.map_err(StoreError::from)?;
    let (id, now) = (&community.community_id, state.clock.now());
    let changed = autopilot::change(&mut tx, id, &site.site_id, &settings, expected_version, by, now).await?;
    if let Changed::Stale(version) = changed {
        let detail = format!("version {version} holds by now: read it, and change that");
        return Err(ApiError::new(problems::VERSION_CHANGED, detail));
    }
    tx.commit().await.map_err(StoreError::from)?;
    Ok(Json(document(&state, &community, Piloted { settings, ..site }, &place).await?))
}

async fn document(
    state: &AppState,
    community: &Community,
    site: Piloted,
    place: &Place,
) -> Result<AutopilotSettings, ApiError> {
    let versions =
        autopilot::versions(&state.pool, &community.community_id, &site.site_id, NEWEST_VERSIONS).await?;
    let newest = versions.first();
    Ok(AutopilotSettings {
        site_id: site.site_id.to_string(),
        version: newest.map_or(0, |newest| newest.version),
        settings: SettingsFields::from(newest.map_or(&site.settings, |newest| &newest.settings)),
        changed_by: newest.map(|newest| newest.changed_by.clone()),
        changed_at: newest.map(|newest| newest.changed_at),
        bounds: LimitBounds::from(place),
        battery: site
            .battery
            .map(|battery| SiteBattery { capacity_wh: battery.capacity_wh(), power_w: battery.power_w() }),
        history: versions.into_iter().map(SettingsVersion::from).collect(),
    })
}

/// Settings that cannot hold, as a problem.
pub(crate) fn invalid(error: &InvalidSettings) -> ApiError {
    match error {
        InvalidSettings::Limit { .. } => ApiError::new(problems::INVALID_LIMIT, error.to_string()),
        InvalidSettings::Reserve(_) | InvalidSettings::Overflow(_) => ApiError::invalid(error),
    }
}

/// A preset by its name.
pub(crate) fn preset(name: &str) -> Result<Preset, ApiError> {
    Preset::parse(name).ok_or_else(|| {
        ApiError::invalid(format!("preset is {name:?}: choose greenest, hands-off or cheapest"))
    })
}

impl TryFrom<NewSettings> for Settings {
    type Error = ApiError;

    fn try_from(new: NewSettings) -> Result<Self, ApiError> {
        let price = |limit: Option<PriceMicro>| limit.map(|limit| Price::from_micro_per_kwh(limit.0));
        Ok(Self {
            preset: preset(&new.preset)?,
            paused: new.paused,
            bid_limit: price(new.bid_limit_micro_per_kwh),
            offer_limit: price(new.offer_limit_micro_per_kwh),
            battery_reserve_percent: new.battery_reserve_percent,
            follows_battery_plan: new.follows_battery_plan,
        })
    }
}

impl From<&Settings> for SettingsFields {
    fn from(settings: &Settings) -> Self {
        let micro = |price: Option<Price>| price.map(|price| PriceMicro(price.micro_per_kwh()));
        Self {
            preset: settings.preset.as_str().to_owned(),
            paused: settings.paused,
            bid_limit_micro_per_kwh: micro(settings.bid_limit),
            offer_limit_micro_per_kwh: micro(settings.offer_limit),
            battery_reserve_percent: settings.battery_reserve_percent,
            follows_battery_plan: settings.follows_battery_plan,
        }
    }
}

impl From<Version> for SettingsVersion {
    fn from(row: Version) -> Self {
        Self {
            version: row.version,
            settings: SettingsFields::from(&row.settings),
            changed_by: row.changed_by,
            changed_at: row.changed_at,
        }
    }
}

impl From<&Place> for LimitBounds {
    fn from(place: &Place) -> Self {
        let micro = |price: Price| PriceMicro(price.micro_per_kwh());
        Self {
            lowest_limit_micro_per_kwh: micro(place.bounds.lowest),
            highest_limit_micro_per_kwh: micro(place.bounds.highest_bid),
            highest_offer_limit_micro_per_kwh: micro(place.bounds.highest_offer),
            feed_in_micro_per_kwh: micro(place.tariff.feed_in()),
            retail_micro_per_kwh: micro(place.tariff.retail()),
        }
    }
}
