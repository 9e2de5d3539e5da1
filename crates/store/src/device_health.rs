//! How devices fare: the newest that an agent said of each of its meters.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::ids::{AgentId, CommunityId, MeterId};
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;

use crate::error::corrupt;
use crate::{StoreError, readings::column};

/// How many of a UTC day's slot boundaries an agent stored in its outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayRead {
    /// The day.
    pub day: NaiveDate,
    /// Boundaries that it stored.
    pub stored: i64,
    /// Boundaries that were due since its first record of the device, until it said so.
    pub due: i64,
}

/// What an agent said of one of its meters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceHealth {
    /// The agent that said it.
    pub agent_id: AgentId,
    /// The meter.
    pub meter_id: MeterId,
    /// What it said.
    pub said: Said,
}

/// What an agent said of a device at one time, and of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// When it was said, by the agent's clock.
    pub said_at: DateTime<Utc>,
    /// `unread`, `ok`, `failing`, `doubted` or `asleep`.
    pub state: String,
    /// Since when it is in that state.
    pub state_since: Option<DateTime<Utc>>,
    /// The stable name of what is wrong, while something is.
    pub error_class: Option<String>,
    /// When it was last read.
    pub last_success_at: Option<DateTime<Utc>>,
    /// How often each class of error occurred since the agent's start.
    pub errors: BTreeMap<String, i64>,
    /// How complete the last days are at the agent, newest first.
    pub days: Vec<DayRead>,
    /// How many records wait in the agent's outbox.
    pub outbox_records: Option<i64>,
    /// The boundary of the oldest of them.
    pub outbox_oldest_at: Option<DateTime<Utc>>,
    /// For how many whole days the agent's TLS certificate is still valid; negative once it has expired.
    pub certificate_days: Option<i32>,
    /// How the agent's clock is kept: `synchronised`, `informative`, `unsynchronised` or `unknown`.
    pub clock: String,
}

/// Keeps what agents said of their meters. A row that is as new or newer stays, and meters that are not
/// the agent's are left out. Returns how many rows are new or were replaced.
///
/// # Errors
/// [`StoreError`] if the database does not answer or refuses a value.
pub async fn upsert(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    devices: &[DeviceHealth],
) -> Result<u64, StoreError> {
    let errors: Result<Vec<String>, _> =
        devices.iter().map(|d| serde_json::to_string(&d.said.errors).map_err(corrupt)).collect();
    let days: Result<Vec<String>, _> =
        devices.iter().map(|d| serde_json::to_string(&d.said.days).map_err(corrupt)).collect();
    // In the order of their ids, so that two workers never wait for each other.
    let done = sqlx::query!(
        "INSERT INTO device_health AS h (community_id, meter_id, agent_id, said_at, state, state_since, error_class,
             last_success_at, errors, outbox_records, outbox_oldest_at, certificate_days, clock, days)
         SELECT DISTINCT ON (t.meter_id) m.community_id, m.meter_id, m.agent_id, t.said_at, t.state, t.state_since,
             t.error_class, t.last_success_at, t.errors::jsonb, t.outbox_records, t.outbox_oldest_at,
             t.certificate_days, t.clock, t.days::jsonb
         FROM UNNEST($2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::timestamptz[], $7::text[], $8::timestamptz[],
             $9::text[], $10::bigint[], $11::timestamptz[], $12::integer[], $13::text[], $14::text[])
             AS t (agent_id, meter_id, said_at, state, state_since, error_class, last_success_at, errors, outbox_records,
                   outbox_oldest_at, certificate_days, clock, days)
         JOIN meters m ON m.community_id = $1 AND m.meter_id = t.meter_id AND m.agent_id = t.agent_id
         ORDER BY t.meter_id, t.said_at DESC
         ON CONFLICT (community_id, meter_id) DO UPDATE SET
             agent_id = EXCLUDED.agent_id, said_at = EXCLUDED.said_at, state = EXCLUDED.state,
             state_since = EXCLUDED.state_since, error_class = EXCLUDED.error_class,
             last_success_at = EXCLUDED.last_success_at, errors = EXCLUDED.errors,
             outbox_records = EXCLUDED.outbox_records, outbox_oldest_at = EXCLUDED.outbox_oldest_at,
             certificate_days = EXCLUDED.certificate_days, clock = EXCLUDED.clock,
             days = EXCLUDED.days
         WHERE h.said_at < EXCLUDED.said_at",
        community.as_str(),
        &column(devices, |d| d.agent_id.to_string()),
        &column(devices, |d| d.meter_id.to_string()),
        &column(devices, |d| d.said.said_at),
        &column(devices, |d| d.said.state.clone()),
        &column(devices, |d| d.said.state_since) as &[Option<DateTime<Utc>>],
        &column(devices, |d| d.said.error_class.clone()) as &[Option<String>],
        &column(devices, |d| d.said.last_success_at) as &[Option<DateTime<Utc>>],
        &errors?,
        &column(devices, |d| d.said.outbox_records) as &[Option<i64>],
        &column(devices, |d| d.said.outbox_oldest_at) as &[Option<DateTime<Utc>>],
        &column(devices, |d| d.said.certificate_days) as &[Option<i32>],
        &column(devices, |d| d.said.clock.clone()),
        &days?,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use sqlx::PgPool;

    fn health(meter_id: &str, at_s: i64, state: &str) -> DeviceHealth {
        DeviceHealth {
            agent_id: AgentId::new("agent-1").unwrap(),
            meter_id: MeterId::new(meter_id).unwrap(),
            said: Said {
                said_at: DateTime::UNIX_EPOCH + TimeDelta::seconds(at_s),
                state: state.to_owned(),
                state_since: None,
                error_class: None,
                last_success_at: None,
                errors: BTreeMap::from([("timeout".to_owned(), 3)]),
                days: Vec::new(),
                outbox_records: Some(2),
                outbox_oldest_at: None,
                certificate_days: Some(-1),
                clock: "unknown".to_owned(),
            },
        }
    }

    async fn state(pool: &PgPool, meter_id: &str) -> Option<String> {
        let state = sqlx::query_scalar("SELECT state FROM device_health WHERE meter_id = $1");
        state.bind(meter_id).fetch_optional(pool).await.unwrap()
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn only_something_newer_replaces_what_is_known(pool: PgPool) {
        let community = crate::readings::tests::community(&pool).await;
        let both = [health("meter-1", 20, "failing"), health("meter-2", 20, "ok")];
        assert_eq!(upsert(&pool, &community, &both).await.unwrap(), 2);
        assert_eq!(upsert(&pool, &community, &both).await.unwrap(), 0);
        let older = [health("meter-1", 10, "ok")];
        assert_eq!(upsert(&pool, &community, &older).await.unwrap(), 0);
        assert_eq!(state(&pool, "meter-1").await.unwrap(), "failing");
        let newer = [health("meter-1", 30, "ok"), health("meter-1", 25, "doubted")];
        assert_eq!(upsert(&pool, &community, &newer).await.unwrap(), 1);
        assert_eq!(state(&pool, "meter-1").await.unwrap(), "ok");
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn an_agent_speaks_for_its_own_meters_alone(pool: PgPool) {
        let community = crate::readings::tests::community(&pool).await;
        let other = AgentId::new("agent-2").unwrap();
        let stolen = DeviceHealth { agent_id: other, ..health("meter-1", 20, "ok") };
        let said = [stolen, health("no-such-meter", 20, "ok")];
        assert_eq!(upsert(&pool, &community, &said).await.unwrap(), 0);
        assert_eq!(state(&pool, "meter-1").await, None);
    }
}
