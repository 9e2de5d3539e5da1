//! Devices: how each meter is doing, and what happened to it.

use actix_web::web::{self, Json};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::ids::MeterId;
use domain::slot::SlotLength;
use serde::{Deserialize, Serialize};
use store::device_health::{DayRead, Said};
use store::views::devices::{self, DayCount, Device, DeviceEvent, EventFilter};
use utoipa::{IntoParams, ToSchema};

use crate::app::AppState;
use crate::error::{ApiError, Problem};
use crate::routes;
use crate::wire::Page;

const DEFAULT_DAYS: u32 = 7;
const MAX_DAYS: u32 = 31;
const DEFAULT_EVENTS: i64 = 50;
/// A device is silent when nothing was heard of it for so many slots.
const SILENT_SLOTS: i32 = 3;
/// Nothing is silent before so long, however short the slots.
const SILENT_AT_LEAST: TimeDelta = TimeDelta::minutes(1);

/// Which devices.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeviceQuery {
    /// Only those of this member.
    member_id: Option<String>,
    /// How many days completeness goes back, 1 to 31, today included.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 31)]
    days: Option<String>,
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventQuery {
    /// Only those of this member's devices.
    member_id: Option<String>,
    /// Only those of this meter.
    meter_id: Option<String>,
    /// How many, 1 to 500.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 500)]
    limit: Option<String>,
    /// The `next_before` of the page before.
    before: Option<String>,
}

/// The devices of a community or of a member.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Devices {
    /// By meter id; at most 10 000.
    devices: Vec<DeviceEntry>,
}

/// A revenue meter and how it is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeviceEntry {
    /// The meter.
    #[schema(example = "m-a1")]
    meter_id: String,
    /// The site it measures.
    site_id: String,
    /// Whose site that is.
    #[schema(example = "anna")]
    member_id: String,
    /// The agent that reads it.
    agent_id: String,
    /// The template it is read with.
    #[schema(example = "eastron_sdm630")]
    template_id: String,
    /// `ok`, `failing` (the last boundary was not read), `doubted` (its registers are held back), `asleep` (an
    /// inverter at night), `silent` (nothing was heard for three slots) or `unknown` (nothing ever was).
    #[schema(example = "ok")]
    state: &'static str,
    /// The stable name of what is wrong, while something is.
    #[schema(example = "timeout")]
    error_class: Option<String>,
    /// Since when it is in that state, as far as its agent told.
    state_since: Option<DateTime<Utc>>,
    /// The boundary of its newest stored reading.
    last_slot_end: Option<DateTime<Utc>>,
    /// When its agent last read it, by the agent's clock.
    last_success_at: Option<DateTime<Utc>>,
    /// When its agent last told how it is.
    last_health_at: Option<DateTime<Utc>>,
    /// How many records wait at its agent.
    outbox_records: Option<i64>,
    /// The boundary of the oldest record that waits there.
    outbox_oldest_at: Option<DateTime<Utc>>,
    /// For how many whole days its agent's TLS certificate is still valid; negative once it has expired, null
    /// without one.
    certificate_days: Option<i32>,
    /// How its agent's clock is kept: `synchronised`, `informative`, `unsynchronised` or `unknown`.
    clock: Option<String>,
    /// Errors since the agent's start, most first.
    errors: Vec<ErrorCount>,
    /// Slot boundaries that its agent read and stored, a UTC day, newest first: more than `completeness` shows is
    /// still waiting there.
    read_by_agent: Vec<Completeness>,
    /// Slot boundaries with a stored reading a UTC day, newest day first.
    completeness: Vec<Completeness>,
}

/// How often a class of error occurred.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorCount {
    /// Its stable name.
    #[schema(example = "timeout")]
    class: String,
    /// How often.
    count: i64,
}

/// How complete a day is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Completeness {
    /// The UTC day.
    #[schema(value_type = String, format = Date)]
    day: NaiveDate,
    /// Boundaries with a stored reading.
    stored: i64,
    /// Boundaries that should have one.
    due: i64,
}

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeviceEvents {
    /// Newest first.
    events: Vec<EventEntry>,
    /// Give this as `before` to get the next page; null on the last one.
    next_before: Option<String>,
}

/// Something that happened to a device or its agent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventEntry {
    /// Its number in the community.
    event_id: i64,
    /// When it happened.
    at: DateTime<Utc>,
    /// Of an end: when it had begun.
    since: Option<DateTime<Utc>>,
    /// The stable name of what happened.
    #[schema(example = "device_unreachable")]
    kind: String,
    /// `alarm`, `warning` or `info`.
    #[schema(example = "alarm")]
    severity: &'static str,
    /// The agent that said so.
    agent_id: String,
    /// The meter; null for the agent itself.
    meter_id: Option<String>,
    /// The meter's site.
    site_id: Option<String>,
    /// Whose site that is.
    member_id: Option<String>,
    /// What happened, in words.
    words: String,
}

/// The devices of a community, by meter id: last seen, state, completeness, and how their agents are.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/devices", operation_id = "listDevices", tag = "devices",
    params(("community_id" = String, Path, description = "The community.", example = "demo"), DeviceQuery),
    responses(
        (status = 200, description = "The devices.", body = Devices),
        (status = 400, description = "The query is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community or member.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    state: web::Data<AppState>,
    id: web::Path<String>,
    query: web::Query<DeviceQuery>,
) -> Result<Json<Devices>, ApiError> {
    let days = match &query.days {
        None => DEFAULT_DAYS,
        Some(text) => text.parse().ok().filter(|days| (1..=MAX_DAYS).contains(days)).ok_or_else(|| {
            ApiError::invalid(format!("the query: days must be 1 to {MAX_DAYS}, but is {text:?}"))
        })?,
    };
    let community = routes::community(&state, &id).await?;
    let member = member_of(&state, &community.community_id, query.member_id.as_deref()).await?;
    let (now, length) = (state.clock.now(), community.slot_length);
    let rows =
        devices::list(&state.pool, &community.community_id, length, member.as_ref(), now, days).await?;
    Ok(Json(Devices { devices: rows.into_iter().map(|row| DeviceEntry::new(row, length, now)).collect() }))
}

/// What happened to the devices of a community and their agents, newest first.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/devices/events", operation_id = "listDeviceEvents", tag = "devices",
    params(("community_id" = String, Path, description = "The community.", example = "demo"), EventQuery),
    responses(
        (status = 200, description = "A page of events.", body = DeviceEvents),
        (status = 400, description = "The query is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community or member.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn events(
    state: web::Data<AppState>,
    id: web::Path<String>,
    query: web::Query<EventQuery>,
) -> Result<Json<DeviceEvents>, ApiError> {
    let (limit, _) = Page::new(query.limit.clone(), None).bounds(DEFAULT_EVENTS)?;
    let after = query.before.as_deref().map(parse_cursor).transpose()?;
    let meter = query.meter_id.as_deref().map(parse_meter).transpose()?;
    let community = routes::community(&state, &id).await?.community_id;
    let member = member_of(&state, &community, query.member_id.as_deref()).await?;
    let filter = EventFilter { member: member.as_ref(), meter: meter.as_ref(), after };
    let rows = devices::events(&state.pool, &community, filter, limit).await?;
    let is_full = i64::try_from(rows.len()).is_ok_and(|rows| rows == limit);
    let next_before = rows.last().filter(|_| is_full).map(cursor);
    Ok(Json(DeviceEvents { events: rows.into_iter().map(EventEntry::from).collect(), next_before }))
}

/// The member that a query names, who must exist.
async fn member_of(
    state: &AppState,
    community: &domain::ids::CommunityId,
    id: Option<&str>,
) -> Result<Option<domain::ids::MemberId>, ApiError> {
    let Some(text) = id else { return Ok(None) };
    routes::existing_member(state, community, text).await.map(Some)
}

fn parse_meter(text: &str) -> Result<MeterId, ApiError> {
    MeterId::new(text).map_err(|error| ApiError::invalid(format!("the query: meter_id: {error}")))
}

/// Time in microseconds and number of the last event of a page; opaque to clients.
fn cursor(event: &DeviceEvent) -> String {
    format!("{}-{}", event.at.timestamp_micros(), event.event_id)
}

fn parse_cursor(text: &str) -> Result<(DateTime<Utc>, i64), ApiError> {
    let parts = text.rsplit_once('-').and_then(|(micros, event_id)| {
        Some((DateTime::from_timestamp_micros(micros.parse().ok()?)?, event_id.parse().ok()?))
    });
    parts.ok_or_else(|| {
        ApiError::invalid(format!("the query: before {text:?} is not the next_before of a page of events"))
    })
}

impl DeviceEntry {
    fn new(row: Device, length: SlotLength, now: DateTime<Utc>) -> Self {
        let patience = (length.delta() * SILENT_SLOTS).max(SILENT_AT_LEAST);
        let heard = row.last_slot_end.max(row.said.as_ref().map(|said| said.said_at));
        let silent = heard.map(|heard| now - heard > patience);
        let said = row.said.as_ref();
        let state = state(silent, said.map(|said| said.state.as_str()));
        let mut errors: Vec<ErrorCount> = said
            .into_iter()
            .flat_map(|said| said.errors.iter())
            .map(|(class, count)| ErrorCount { class: class.clone(), count: *count })
            .collect();
        errors.sort_by_key(|error| std::cmp::Reverse(error.count));
        Self {
            state,
            error_class: said.and_then(|said| said.error_class.clone()),
            state_since: said
                .filter(|_| state != "silent")
                .and_then(|said| said.state_since)
                .or_else(|| heard.filter(|_| state == "silent")),
            last_slot_end: row.last_slot_end,
            last_success_at: said.and_then(|said| said.last_success_at),
            last_health_at: said.map(|said| said.said_at),
            outbox_records: said.and_then(|said| said.outbox_records),
            outbox_oldest_at: said.and_then(|said| said.outbox_oldest_at),
            certificate_days: said.and_then(|said| said.certificate_days),
            clock: said.map(|said: &Said| said.clock.clone()),
            errors,
            read_by_agent: said.into_iter().flat_map(|said| &said.days).map(Completeness::from).collect(),
            completeness: row.completeness.iter().map(Completeness::from).collect(),
            meter_id: row.meter_id,
            site_id: row.site_id,
            member_id: row.member_id,
            agent_id: row.agent_id,
            template_id: row.template_id,
        }
    }
}

/// The state to show, of whether the device is silent and what its agent said last. An agent that says
/// nothing about health still delivers readings.
fn state(silent: Option<bool>, said: Option<&str>) -> &'static str {
    match (silent, said) {
        (None, _) => "unknown",
        (Some(true), _) => "silent",
        (Some(false), Some("failing")) => "failing",
        (Some(false), Some("doubted")) => "doubted",
        (Some(false), Some("asleep")) => "asleep",
        (Some(false), Some("unread")) => "unknown",
        (Some(false), _) => "ok",
    }
}

impl From<&DayCount> for Completeness {
    fn from(count: &DayCount) -> Self {
        Self { day: count.day, stored: count.stored, due: count.due }
    }
}

impl From<&DayRead> for Completeness {
    fn from(count: &DayRead) -> Self {
        Self { day: count.day, stored: count.stored, due: count.due }
    }
}

impl From<DeviceEvent> for EventEntry {
    fn from(row: DeviceEvent) -> Self {
        Self {
            event_id: row.event_id,
            at: row.at,
            since: row.since,
            severity: severity(&row.kind),
            kind: row.kind,
            agent_id: row.agent_id,
            meter_id: row.meter_id,
            site_id: row.site_id,
            member_id: row.member_id,
            words: row.words,
        }
    }
}

/// How much an event matters. An end is for information; what stops readings or money is an alarm.
fn severity(kind: &str) -> &'static str {
    match kind {
        "device_unreachable"
        | "device_faulty"
        | "outbox_damaged"
        | "outbox_failed"
        | "certificate_expired"
        | "curtailment_failed" => "alarm",
        "device_back"
        | "outbox_back"
        | "curtailment_restored"
        | "certificate_renewed"
        | "clock_synchronised"
        | "register_rolled_over" => "info",
        kind if kind.starts_with("new_epoch_") => "alarm",
        _ => "warning",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_silent_or_unknown_is_never_ok() {
        assert_eq!(state(None, None), "unknown");
        assert_eq!(state(Some(true), Some("ok")), "silent");
        assert_eq!(state(Some(false), Some("unread")), "unknown");
        assert_eq!(state(Some(false), Some("doubted")), "doubted");
        assert_eq!(state(Some(false), None), "ok");
    }

    #[test]
    fn a_cursor_comes_back_and_others_are_refused() {
        let event = DeviceEvent {
            event_id: 7,
            at: DateTime::from_timestamp_micros(-5).unwrap(),
            since: None,
            kind: "new_epoch_after_reset".to_owned(),
            words: String::new(),
            agent_id: "a".to_owned(),
            meter_id: None,
            site_id: None,
            member_id: None,
        };
        assert_eq!(parse_cursor(&cursor(&event)).unwrap(), (event.at, 7));
        for bad in ["", "-", "5", "5-x", "x-5", "99999999999999999999-1"] {
            assert!(parse_cursor(bad).is_err(), "{bad}");
        }
        assert_eq!(
            (severity(&event.kind), severity("device_back"), severity("?")),
            ("alarm", "info", "warning")
        );
    }
}
