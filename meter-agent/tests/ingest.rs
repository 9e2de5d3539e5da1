//! Ingest on a real database: what is stored, what is quarantined and why, and what is acknowledged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/community.rs"]
mod community;

use std::time::Duration;

use chrono::TimeDelta;
use community::{add_meter, agent, boundary, chain, demo, enrol, key, meter, record};
use domain::ids::AgentId;
use domain::time::{Clock, ManualClock};
use meter_agent::ingest::{Ingest, Message, Outcome};
use meter_agent::ocmf::{self, Record};
use meter_agent::wire::readings_topic;
use p256::ecdsa::SigningKey;
use sqlx::PgPool;
use store::agents;

struct Bench {
    ingest: Ingest,
    pool: PgPool,
}

impl Bench {
    async fn new(pool: PgPool) -> Self {
        enrol(&pool, 1).await;
        let clock = Clock::Manual(ManualClock::new(boundary(100)));
        Self { ingest: Ingest::new(pool.clone(), clock, Duration::from_secs(60)), pool }
    }

    async fn take<T: AsRef<[u8]>>(&mut self, payloads: impl IntoIterator<Item = T>) -> Outcome {
        let topic = readings_topic(&demo(), &agent());
        let message = |payload: T| Message { topic: topic.clone(), payload: payload.as_ref().to_vec() };
        let messages: Vec<Message> = payloads.into_iter().map(message).collect();
        self.ingest.tick(&messages).await.unwrap()
    }

    /// The reason for which one payload is quarantined, and what is acknowledged with it.
    async fn reason(&mut self, payload: impl AsRef<[u8]>) -> (String, Option<i64>) {
        let outcome = self.take([payload]).await;
        assert_eq!((outcome.stored, outcome.quarantined), (0, 1));
        let reason: String =
            sqlx::query_scalar("SELECT reason FROM quarantined_records ORDER BY quarantine_id DESC LIMIT 1")
                .fetch_one(&self.pool)
                .await
                .unwrap();
        (reason, through(&outcome))
    }

    async fn rows(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM readings").fetch_one(&self.pool).await.unwrap()
    }
}

/// The number up to which the outcome acknowledges, if it does.
fn through(outcome: &Outcome) -> Option<i64> {
    assert!(outcome.acknowledgements.len() < 2);
    outcome.acknowledgements.first().map(|(_, _, ack)| ack.stored_through_seq)
}

fn signed(record: &Record) -> String {
    ocmf::sign(record, &key())
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn records_are_stored_once_byte_for_byte_and_acknowledged_up_to_the_first_gap(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    let records = chain(5);
    let first = bench.take([&records[0], &records[1], &records[3]]).await;
    assert_eq!((first.stored, through(&first)), (3, Some(2)));
    let again = bench.take([&records[0], &records[3], &records[3]]).await;
    assert_eq!((again.stored, again.quarantined, through(&again)), (0, 0, Some(2)));
    let rest = bench.take([&records[4], &records[2]]).await;
    assert_eq!((rest.stored, through(&rest)), (2, Some(5)));
    let stored: Vec<String> =
        sqlx::query_scalar("SELECT record FROM readings ORDER BY seq").fetch_all(&bench.pool).await.unwrap();
    assert_eq!(stored, records);
    let seen = agents::find(&bench.pool, &demo(), &agent()).await.unwrap().unwrap().last_seen_at;
    assert_eq!(seen, Some(boundary(100)));
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_new_worker_acknowledges_what_another_stored(pool: PgPool) {
    let mut bench = Bench::new(pool.clone()).await;
    let records = chain(3);
    bench.take(&records).await;
    let clock = Clock::Manual(ManualClock::new(boundary(100)));
    bench.ingest = Ingest::new(pool, clock, Duration::from_secs(60));
    assert_eq!(through(&bench.take([&records[0]]).await), Some(3));
}

/// An agent whose quarantine is full: nothing more is kept of it, and nothing may wait for ever.
#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_full_quarantine_keeps_places_without_bytes_and_blocks_nothing(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    sqlx::query(
        "INSERT INTO quarantined_records (community_id, agent_id, reason, record, record_sha256)
         SELECT 'demo', 'agent-1', 'test', '', sha256(convert_to(n::text, 'UTF8')) FROM generate_series(1, $1) AS n",
    )
    .bind(store::readings::MAX_QUARANTINED_PER_AGENT)
    .execute(&bench.pool)
    .await
    .unwrap();
    let mut early = record(1, [0; 32]);
    early.reading.read_at = early.reading.slot_end - TimeDelta::seconds(1);
    let early = signed(&early);
    let outcome = bench.take([&early]).await;
    assert_eq!((outcome.quarantined, through(&outcome)), (1, Some(1)));
    let (kept, position): (Vec<u8>, i64) =
        sqlx::query_as("SELECT record, seq FROM quarantined_records WHERE seq IS NOT NULL")
            .fetch_one(&bench.pool)
            .await
            .unwrap();
    assert_eq!((kept.len(), position), (0, 1));
    // Other bytes for a place that is kept, and what is not proven, add nothing more.
    let mut other = record(1, [1; 32]);
    other.reading.read_at = other.reading.slot_end - TimeDelta::seconds(2);
    assert_eq!(bench.take([signed(&other).as_str(), "nonsense"]).await.quarantined, 0);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn f47_what_is_not_proven_is_quarantined_and_covers_nothing(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    let good = signed(&record(1, [0; 32]));
    let altered = good.replace("0.001000", "0.001001");
    assert!(bench.reason(&altered).await.0.contains("signature"));
    let stranger = ocmf::sign(&record(1, [0; 32]), &SigningKey::from_slice(&[8; 32]).unwrap());
    assert!(bench.reason(&stranger).await.0.contains("signature"));
    assert!(bench.reason("OCMF|{}|{}").await.0.contains("not a record"));
    assert!(bench.reason([0xff, 0xfe, 0x00]).await.0.contains("not a record"));
    let other = Record { agent_id: AgentId::new("agent-2").unwrap(), ..record(1, [0; 32]) };
    assert!(bench.reason(signed(&other)).await.0.contains("another's topic"));
    let agent_2 = AgentId::new("agent-2").unwrap();
    agents::upsert_pending(&bench.pool, &demo(), &agent_2, &[4], "f").await.unwrap();
    add_meter(&bench.pool, 2, &agent_2).await;
    bench.ingest = Ingest::new(bench.pool.clone(), Clock::System, Duration::from_secs(60));
    let mut theirs = record(1, [0; 32]);
    theirs.reading.meter_id = meter(2);
    let (reason, acknowledged) = bench.reason(signed(&theirs)).await;
    assert!(reason.contains("another agent") && acknowledged.is_none(), "{reason}");
    assert_eq!(bench.rows().await, 0);
    assert_eq!(bench.take([&altered]).await.quarantined, 0, "the same bytes are kept once");
}

type Change = fn(&mut Record);

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn f47_what_is_proven_but_cannot_be_right_is_quarantined_and_does_not_block(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    let records = chain(2);
    bench.take(&records).await;
    let previous = ocmf::sha256(&records[1]);
    let cases: [(&str, Change); 6] = [
        ("future", |r| {
            r.reading.slot_end = boundary(200);
            r.reading.read_at = boundary(200);
        }),
        ("not a slot boundary", |r| r.reading.slot_end += TimeDelta::seconds(1)),
        ("not within the slot", |r| r.reading.read_at = boundary(3) + TimeDelta::seconds(11)),
        ("not after", |r| {
            r.reading.slot_end = boundary(2);
            r.reading.read_at = boundary(2);
        }),
        ("register", |r| r.reading.registers.import = record(1, [0; 32]).reading.registers.import),
        ("hash differs", |r| r.previous = [1; 32]),
    ];
    for (named, change) in cases {
        let mut bad = record(3, previous);
        change(&mut bad);
        let (reason, acknowledged) = bench.reason(signed(&bad)).await;
        assert!(reason.contains(named), "{named}: {reason}");
        assert_eq!(acknowledged, Some(3), "{named}");
    }
    let next = bench.take([signed(&record(4, [9; 32]))]).await;
    assert_eq!((next.stored, through(&next)), (1, Some(4)));
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn f46_a_cloned_agent_is_a_fork(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    let records = chain(2);
    bench.take(&records).await;
    let mut clone = record(2, ocmf::sha256(&records[0]));
    clone.boot_id = "another boot".to_owned();
    let (reason, acknowledged) = bench.reason(signed(&clone)).await;
    assert!(reason.contains("taken by another record"), "{reason}");
    assert_eq!((acknowledged, bench.rows().await), (Some(2), 2));
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_waits_for_an_enrolment_is_neither_stored_nor_acknowledged(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    let mut unknown = record(1, [0; 32]);
    unknown.reading.meter_id = meter(9);
    let outcome = bench.take([signed(&unknown)]).await;
    assert_eq!((outcome.held, outcome.quarantined, through(&outcome)), (1, 0, None));
    let elsewhere = Message { topic: "busbar/v1/nowhere/agent-1/readings".to_owned(), payload: vec![1] };
    let no_topic = Message { topic: "busbar/v1/demo".to_owned(), payload: vec![1] };
    assert_eq!(bench.ingest.tick(&[elsewhere, no_topic]).await.unwrap().held, 2);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn f47_a_revoked_key_counts_no_more(pool: PgPool) {
    let mut bench = Bench::new(pool.clone()).await;
    let records = chain(2);
    bench.take([&records[0]]).await;
    agents::revoke(&pool, &demo(), &agent()).await.unwrap();
    bench.ingest = Ingest::new(pool, Clock::System, Duration::from_secs(60));
    let (reason, acknowledged) = bench.reason(&records[1]).await;
    assert!(reason.contains("revoked") && acknowledged.is_none());
}
