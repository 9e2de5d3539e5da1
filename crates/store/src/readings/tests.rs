use chrono::TimeDelta;
use domain::ids::{AgentId, MemberId, MeterId, SiteId};
use domain::reading::Registers;
use domain::slot::SlotLength;
use domain::units::Energy;
use sqlx::PgPool;

use super::*;
use crate::members::{Member, Site};
use crate::{agents, communities, members, meters};

const SLOT_S: i64 = 900;

fn boundary(number: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + number * SLOT_S, 0).unwrap()
}

/// A community `demo` with agent `agent-1` and meters `meter-1` and `meter-2`.
pub(crate) async fn community(pool: &PgPool) -> CommunityId {
    let id = CommunityId::new("demo").unwrap();
    let community = communities::Community {
        community_id: id.clone(),
        name: "Demo".to_owned(),
        currency: "EUR".to_owned(),
        slot_length: SlotLength::from_seconds(900).unwrap(),
        market_opens_at: boundary(0),
        open_lead: TimeDelta::days(1),
        gate_closure_lead: TimeDelta::zero(),
        metering_deadline: TimeDelta::days(1),
        max_order: Energy::from_wh(100_000),
        contract: None,
    };
    communities::insert(pool, &community).await.unwrap();
    let agent_id = AgentId::new("agent-1").unwrap();
    agents::upsert_pending(pool, &id, &agent_id, &[4], "f").await.unwrap();
    for number in 1..=2 {
        let member = Member {
            member_id: MemberId::new(&format!("member-{number}")).unwrap(),
            display_name: "M".to_owned(),
            pseudonym: format!("P{number}"),
            preset: "hands-off".to_owned(),
        };
        members::insert(pool, &id, &member).await.unwrap();
        let site = Site {
            site_id: SiteId::new(&format!("site-{number}")).unwrap(),
            member_id: member.member_id,
            pv_peak: Power::ZERO,
            battery_capacity: Energy::ZERO,
            battery_power: Power::ZERO,
        };
        members::insert_site(pool, &id, &site).await.unwrap();
        let meter = meters::Meter {
            meter_id: meter(number),
            site_id: site.site_id,
            agent_id: agent_id.clone(),
            template_id: "t".to_owned(),
        };
        meters::insert(pool, &id, &meter).await.unwrap();
    }
    id
}

fn meter(number: i64) -> MeterId {
    MeterId::new(&format!("meter-{number}")).unwrap()
}

/// The reading of boundary `number`, which is also its number in the sequence.
fn reading(meter_number: i64, number: i64) -> NewReading {
    let register = Register::from_mwh(number * 1_000).unwrap();
    let seq = u8::try_from(number).unwrap();
    NewReading {
        reading: Reading {
            meter_id: meter(meter_number),
            epoch: 1,
            seq: number,
            slot_end: boundary(number),
            read_at: boundary(number),
            registers: Registers { import: register, export: register, production: None },
            power: Some(Power::from_w(number)),
        },
        record: format!("record {number}"),
        record_sha256: [seq; 32],
    }
}

fn key(number: i64) -> SequenceKey {
    SequenceKey { meter_id: meter(1), epoch: 1, seq: number }
}

async fn store(pool: &PgPool, id: &CommunityId, readings: &[NewReading]) -> Inserted {
    let mut tx = pool.begin().await.unwrap();
    let inserted = insert(&mut tx, id, readings).await.unwrap();
    tx.commit().await.unwrap();
    inserted
}

async fn through(pool: &PgPool, id: &CommunityId, known: i64) -> i64 {
    stored_through(pool, id, &[key(known)]).await.unwrap()[0].seq
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_same_reading_is_stored_once_and_other_bytes_are_a_fork(pool: PgPool) {
    let id = community(&pool).await;
    let twice = [reading(1, 1), reading(1, 1), reading(1, 2)];
    let first = store(&pool, &id, &twice).await;
    assert_eq!((first.stored, first.forks), (2, vec![]));
    assert_eq!(first.slot_ends, [boundary(1), boundary(2)]);
    let other = NewReading { record_sha256: [99; 32], ..reading(1, 2) };
    let second = store(&pool, &id, &[reading(1, 1), other, reading(2, 1)]).await;
    assert_eq!((second.stored, second.forks), (1, vec![1]));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn acknowledgements_stop_at_the_first_gap(pool: PgPool) {
    let id = community(&pool).await;
    assert_eq!(through(&pool, &id, 0).await, 0);
    store(&pool, &id, &[reading(1, 2), reading(1, 3)]).await;
    assert_eq!(through(&pool, &id, 0).await, 0);
    store(&pool, &id, &[reading(1, 1), reading(1, 6)]).await;
    assert_eq!((through(&pool, &id, 0).await, through(&pool, &id, 2).await), (3, 3));
    let refused = |seq: i64, position| Quarantined {
        agent_id: "agent-1".to_owned(),
        reason: "test".to_owned(),
        record: vec![1],
        record_sha256: [u8::try_from(seq).unwrap(); 32],
        position,
    };
    let records = [refused(4, Some(key(4))), refused(4, Some(key(4))), refused(5, None)];
    assert_eq!(quarantine(&pool, &id, &records).await.unwrap(), 2);
    assert_eq!(through(&pool, &id, 0).await, 4, "an unproven record covers nothing");
    quarantine(&pool, &id, &[refused(7, Some(key(5)))]).await.unwrap();
    assert_eq!(through(&pool, &id, 3).await, 6);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn neighbours_are_the_nearest_of_the_epoch(pool: PgPool) {
    let id = community(&pool).await;
    store(&pool, &id, &[reading(1, 1), reading(1, 3), reading(1, 9), reading(2, 4)]).await;
    let found = neighbours(&pool, &id, &[key(4), key(1), key(10)]).await.unwrap();
    let seqs: Vec<_> =
        found.iter().map(|n| (n.before.as_ref().map(|b| b.seq), n.after.as_ref().map(|a| a.seq))).collect();
    assert_eq!(seqs, [(Some(3), Some(9)), (None, Some(3)), (Some(9), None)]);
    assert_eq!(found[0].before.as_ref().unwrap().slot_end, boundary(3));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_late_reading_marks_the_metered_slots_it_bears_on(pool: PgPool) {
    let id = community(&pool).await;
    for number in 0..6 {
        let status = if number < 5 { "settled" } else { "closed" };
        sqlx::query("INSERT INTO slots (community_id, slot_start, status) VALUES ('demo', $1, $2)")
            .bind(boundary(number))
            .bind(status)
            .execute(&pool)
            .await
            .unwrap();
    }
    assert_eq!(store(&pool, &id, &[reading(1, 6)]).await.slots_marked, 0);
    // Its own slot ends at boundary 2; the meter's next boundary is 6, and slot 5 is not metered yet.
    assert_eq!(store(&pool, &id, &[reading(1, 2)]).await.slots_marked, 4);
    assert_eq!(store(&pool, &id, &[reading(1, 2)]).await.slots_marked, 0);
    let marked: Vec<DateTime<Utc>> =
        sqlx::query_scalar("SELECT slot_start FROM slots WHERE needs_remetering ORDER BY slot_start")
            .fetch_all(&pool)
            .await
            .unwrap();
    assert_eq!(marked, [1, 2, 3, 4].map(boundary));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_site_without_readings_is_listed_too(pool: PgPool) {
    let id = community(&pool).await;
    store(&pool, &id, &[reading(1, 1), reading(1, 2)]).await;
    let last = last_by_site(&pool, &id).await.unwrap();
    let seen: Vec<_> = last.iter().map(|l| (l.slot_end, l.power.map(Power::w))).collect();
    assert_eq!(seen, [(Some(boundary(2)), Some(2)), (None, None)]);
}
