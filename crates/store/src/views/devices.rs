//! Devices as an operator or a member looks at them: what their agents said last, how complete their
//! readings are, and what happened to them.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use domain::ids::{CommunityId, MemberId, MeterId};
use domain::slot::SlotLength;
use sqlx::{PgExecutor, PgPool};

use crate::StoreError;
use crate::device_health::Said;
use crate::error::corrupt;

/// The most devices listed.
pub const MAX_DEVICES: i64 = 10_000;
/// A boundary's reading is not missed before this time has passed, or a slot if that is shorter.
const GRACE: TimeDelta = TimeDelta::minutes(2);

/// A device: a revenue meter with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The meter.
    pub meter_id: String,
    /// The site it measures.
    pub site_id: String,
    /// Whose site that is.
    pub member_id: String,
    /// The agent that reads it.
    pub agent_id: String,
    /// The template it is read with.
    pub template_id: String,
    /// The boundary of its newest stored reading.
    pub last_slot_end: Option<DateTime<Utc>>,
    /// What its agent said last.
    pub said: Option<Said>,
    /// Newest day first; days without a due boundary are left out.
    pub completeness: Vec<DayCount>,
}

/// How many of a UTC day's slot boundaries have a stored reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayCount {
    /// The day.
    pub day: NaiveDate,
    /// Boundaries with a reading.
    pub stored: i64,
    /// Boundaries that should have one: since the meter's first reading, until shortly before now.
    pub due: i64,
}

/// The devices of a community, or of one member, by meter id; at most [`MAX_DEVICES`]. Completeness goes
/// back `days` days, today included.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn list(
    pool: &PgPool,
    community: &CommunityId,
    slot_length: SlotLength,
    member: Option<&MemberId>,
    now: DateTime<Utc>,
    days: u32,
) -> Result<Vec<Device>, StoreError> {
    let until = now - GRACE.min(slot_length.delta());
    let oldest = until.date_naive() - Days::new(u64::from(days.saturating_sub(1)));
    let from = oldest.and_time(NaiveTime::MIN).and_utc();
    let counts = stored(pool, community, member, from, until).await?;
    let rows = sqlx::query!(
        r#"SELECT m.meter_id, m.site_id, s.member_id, m.agent_id, m.template_id, f.slot_end AS "first?",
                  l.slot_end AS "last?", h.said_at AS "said_at?", h.state AS "state?", h.state_since,
                  h.error_class, h.last_success_at, h.errors::text AS errors, h.days::text AS days, h.outbox_records,
                  h.outbox_oldest_at, h.certificate_days, h.clock AS "clock?"
           FROM meters m JOIN sites s USING (community_id, site_id)
           LEFT JOIN device_health h USING (community_id, meter_id)
           LEFT JOIN LATERAL (SELECT slot_end FROM readings r
               WHERE r.community_id = m.community_id AND r.meter_id = m.meter_id
               ORDER BY r.epoch, r.seq LIMIT 1) f ON true
           LEFT JOIN LATERAL (SELECT slot_end FROM readings r
               WHERE r.community_id = m.community_id AND r.meter_id = m.meter_id
               ORDER BY r.epoch DESC, r.seq DESC LIMIT 1) l ON true
           WHERE m.community_id = $1 AND s.member_id = coalesce($2, s.member_id)
           ORDER BY m.meter_id LIMIT $3"#,
        community.as_str(),
        member.map(MemberId::as_str),
        MAX_DEVICES
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            let said = match (row.said_at, row.state, row.clock) {
                (Some(said_at), Some(state), Some(clock)) => Some(Said {
                    said_at,
                    state,
                    state_since: row.state_since,
                    error_class: row.error_class,
                    last_success_at: row.last_success_at,
                    errors: serde_json::from_str(row.errors.as_deref().unwrap_or("{}")).map_err(corrupt)?,
                    days: serde_json::from_str(row.days.as_deref().unwrap_or("[]")).map_err(corrupt)?,
                    outbox_records: row.outbox_records,
                    outbox_oldest_at: row.outbox_oldest_at,
                    certificate_days: row.certificate_days,
                    clock,
                }),
                _ => None,
            };
            let stored_on = |day| counts.get(&(row.meter_id.clone(), day)).copied().unwrap_or(0);
            let completeness =
                row.first.map(|first| completeness(first.max(from), until, slot_length, stored_on));
            Ok(Device {
                completeness: completeness.unwrap_or_default(),
                meter_id: row.meter_id,
                site_id: row.site_id,
                member_id: row.member_id,
                agent_id: row.agent_id,
                template_id: row.template_id,
                last_slot_end: row.last,
                said,
            })
        })
        .collect()
}

/// How many boundaries of each meter and day have a reading.
async fn stored(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    member: Option<&MemberId>,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<BTreeMap<(String, NaiveDate), i64>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT r.meter_id, (r.slot_end AT TIME ZONE 'UTC')::date AS "day!",
                  count(DISTINCT r.slot_end) AS "stored!"
           FROM readings r JOIN meters m USING (community_id, meter_id) JOIN sites s USING (community_id, site_id)
           WHERE r.community_id = $1 AND s.member_id = coalesce($2, s.member_id)
             AND r.slot_end >= $3 AND r.slot_end <= $4
           GROUP BY 1, 2"#,
        community.as_str(),
        member.map(MemberId::as_str),
        from,
        until
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| ((row.meter_id, row.day), row.stored)).collect())
}

/// Stored and due boundaries of each day from `first` to `until`, both of which count; newest first.
fn completeness(
    first: DateTime<Utc>,
    until: DateTime<Utc>,
    slot_length: SlotLength,
    stored_on: impl Fn(NaiveDate) -> i64,
) -> Vec<DayCount> {
    let slot_s = i64::from(slot_length.seconds());
    // How many boundaries there were up to a time, since 1970.
    let boundaries = |time: DateTime<Utc>| time.timestamp().div_euclid(slot_s);
    let mut days = Vec::new();
    let mut day = until.date_naive();
    while day >= first.date_naive() {
        let start = day.and_time(NaiveTime::MIN).and_utc();
        let last = (start + TimeDelta::days(1) - TimeDelta::seconds(1)).min(until);
        let due = boundaries(last) - boundaries(start.max(first) - TimeDelta::seconds(1));
        if due > 0 {
            days.push(DayCount { day, stored: stored_on(day), due });
        }
        let Some(before) = day.pred_opt() else { break };
        day = before;
    }
    days
}

/// Something that happened to a device or an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceEvent {
    /// Its number in the community.
    pub event_id: i64,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// Of an end: when it had begun.
    pub since: Option<DateTime<Utc>>,
    /// The stable name of what happened.
    pub kind: String,
    /// What an operator is told.
    pub words: String,
    /// The agent that said so.
    pub agent_id: String,
    /// The meter; `None` for the agent itself.
    pub meter_id: Option<String>,
    /// The meter's site.
    pub site_id: Option<String>,
    /// Whose site that is.
    pub member_id: Option<String>,
}

/// Which events are asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct EventFilter<'a> {
    /// Those of one member's devices.
    pub member: Option<&'a MemberId>,
    /// Those of one meter.
    pub meter: Option<&'a MeterId>,
    /// Those that come after this one in the list: its time and number.
    pub after: Option<(DateTime<Utc>, i64)>,
}

/// At most `limit` events, newest first.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn events(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    filter: EventFilter<'_>,
    limit: i64,
) -> Result<Vec<DeviceEvent>, StoreError> {
    Ok(sqlx::query_as!(
        DeviceEvent,
        r#"SELECT e.event_id, e.at, e.since, e.kind, e.words, e.agent_id, e.meter_id, m.site_id AS "site_id?",
                  s.member_id AS "member_id?"
           FROM device_events e
           LEFT JOIN meters m ON m.community_id = e.community_id AND m.meter_id = e.meter_id
           LEFT JOIN sites s ON s.community_id = m.community_id AND s.site_id = m.site_id
           WHERE e.community_id = $1 AND ($2::text IS NULL OR s.member_id = $2)
             AND ($3::text IS NULL OR e.meter_id = $3)
             AND (e.at, e.event_id) < (coalesce($4, 'infinity'::timestamptz), coalesce($5::bigint, 0))
           ORDER BY e.at DESC, e.event_id DESC LIMIT $6"#,
        community.as_str(),
        filter.member.map(MemberId::as_str),
        filter.meter.map(MeterId::as_str),
        filter.after.map(|(at, _)| at),
        filter.after.map(|(_, event_id)| event_id),
        limit
    )
    .fetch_all(db)
    .await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_events::{self, NewEvent};
    use crate::views::fixtures;
    use domain::ids::AgentId;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn boundaries_are_due_from_the_first_reading_until_now() {
        let length = SlotLength::from_seconds(900).unwrap();
        let days = completeness(at("2026-03-01T23:30:00Z"), at("2026-03-03T00:16:00Z"), length, |_| 1);
        let due: Vec<_> = days.iter().map(|count| (count.day.to_string(), count.due)).collect();
        let expected = [("2026-03-03", 2), ("2026-03-02", 96), ("2026-03-01", 2)];
        assert_eq!(due, expected.map(|(day, due)| (day.to_owned(), due)));
        assert!(
            completeness(at("2026-03-02T00:00:00Z"), at("2026-03-01T00:00:00Z"), length, |_| 1).is_empty()
        );
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn devices_with_and_without_health(pool: PgPool) {
        fixtures::insert(&pool).await.unwrap();
        let demo = CommunityId::new("demo").unwrap();
        let length = SlotLength::from_seconds(900).unwrap();
        let all = list(&pool, &demo, length, None, fixtures::now(), 7).await.unwrap();
        assert_eq!(
            all.iter().map(|device| device.meter_id.as_str()).collect::<Vec<_>>(),
            ["m-a1", "m-b1", "m-c1"]
        );
        let counts: Vec<_> = all[0].completeness.iter().map(|count| (count.stored, count.due)).collect();
        assert_eq!(
            (counts.as_slice(), all[0].last_slot_end),
            (&[(2, 2)][..], Some(at("2026-03-01T12:15:00Z")))
        );
        assert_eq!((all[2].completeness.len(), all[2].last_slot_end, all[2].said.clone()), (0, None, None));
        let ben = MemberId::new("ben").unwrap();
        let own = list(&pool, &demo, length, Some(&ben), fixtures::now(), 7).await.unwrap();
        assert_eq!(own.iter().map(|device| device.meter_id.as_str()).collect::<Vec<_>>(), ["m-b1"]);
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn events_are_paged_newest_first_and_none_is_left_out(pool: PgPool) {
        fixtures::insert(&pool).await.unwrap();
        let demo = CommunityId::new("demo").unwrap();
        let event = |number: i64, meter: Option<&str>| NewEvent {
            agent_id: AgentId::new("agent-1").unwrap(),
            meter_id: meter.map(|id| MeterId::new(id).unwrap()),
            kind: format!("kind-{number}"),
            at: fixtures::now() - TimeDelta::minutes(number / 2), // two at the same time
            since: None,
            words: String::new(),
            once: number.to_string(),
        };
        let said: Vec<_> = (0..5).map(|n| event(n, Some("m-a1"))).chain([event(5, None)]).collect();
        device_events::insert(&pool, &demo, &said).await.unwrap();
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page =
                events(&pool, &demo, EventFilter { after, ..EventFilter::default() }, 2).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some((last.at, last.event_id));
            seen.extend(page.into_iter().map(|event| event.kind));
        }
        assert_eq!(seen, ["kind-1", "kind-0", "kind-3", "kind-2", "kind-5", "kind-4"]);
        let (anna, ben) = (MemberId::new("anna").unwrap(), MemberId::new("ben").unwrap());
        let of = async |member| {
            let filter = EventFilter { member: Some(member), ..EventFilter::default() };
            events(&pool, &demo, filter, 50).await.unwrap().len()
        };
        assert_eq!((of(&anna).await, of(&ben).await), (5, 0));
    }
}
