//! A community with agents and meters in the database, and records signed for them.
#![allow(dead_code)] // each test uses its part

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{AgentId, CommunityId, MemberId, MeterId, SiteId};
use domain::reading::{Reading, Register, Registers};
use domain::slot::SlotLength;
use domain::units::{Energy, Power};
use meter_agent::keys;
use meter_agent::ocmf::{self, Record, TimeStatus};
use meter_agent::source::Device;
use p256::ecdsa::SigningKey;
use sqlx::PgPool;
use store::members::{Member, Site};
use store::{agents, communities, members, meters};

pub(crate) const SLOT_S: i64 = 10;

pub(crate) fn boundary(number: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000 + number * SLOT_S, 0).unwrap()
}

pub(crate) fn key() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).unwrap()
}

pub(crate) fn demo() -> CommunityId {
    CommunityId::new("demo").unwrap()
}

pub(crate) fn agent() -> AgentId {
    AgentId::new("agent-1").unwrap()
}

pub(crate) fn meter(number: usize) -> MeterId {
    MeterId::new(&format!("meter-{number}")).unwrap()
}

/// A community `demo` with an approved `agent-1` and its meters, `meter-1` and so on.
pub(crate) async fn enrol(pool: &PgPool, meter_count: usize) {
    let community = communities::Community {
        community_id: demo(),
        name: "Demo".to_owned(),
        currency: "EUR".to_owned(),
        slot_length: SlotLength::from_seconds(10).unwrap(),
        market_opens_at: boundary(0),
        open_lead: TimeDelta::days(1),
        gate_closure_lead: TimeDelta::zero(),
        metering_deadline: TimeDelta::days(1),
        max_order: Energy::from_wh(100_000),
        contract: None,
    };
    communities::insert(pool, &community).await.unwrap();
    let public = keys::public_key(&key());
    agents::upsert_pending(pool, &demo(), &agent(), &public.sec1, &public.fingerprint).await.unwrap();
    assert!(agents::approve(pool, &demo(), &agent(), &public.fingerprint).await.unwrap());
    for number in 1..=meter_count {
        add_meter(pool, number, &agent()).await;
    }
}

pub(crate) async fn add_meter(pool: &PgPool, number: usize, agent_id: &AgentId) {
    let member_id = MemberId::new(&format!("member-{number}")).unwrap();
    let site_id = SiteId::new(&format!("site-{number}")).unwrap();
    let member = Member {
        member_id: member_id.clone(),
        display_name: "M".to_owned(),
        pseudonym: format!("P{number}"),
        preset: "hands-off".to_owned(),
    };
    members::insert(pool, &demo(), &member).await.unwrap();
    let site = Site {
        site_id: site_id.clone(),
        member_id,
        pv_peak: Power::ZERO,
        battery_capacity: Energy::ZERO,
        battery_power: Power::ZERO,
    };
    members::insert_site(pool, &demo(), &site).await.unwrap();
    let meter = meters::Meter {
        meter_id: meter(number),
        site_id,
        agent_id: agent_id.clone(),
        template_id: "eastron_sdm630".to_owned(),
    };
    meters::insert(pool, &demo(), &meter).await.unwrap();
}

/// The record of boundary `number` of `meter-1`, its number in the sequence as well.
pub(crate) fn record(number: i64, previous: [u8; 32]) -> Record {
    let register = Register::from_mwh(number * 1_000).unwrap();
    Record {
        community_id: demo(),
        agent_id: agent(),
        reading: Reading {
            meter_id: meter(1),
            epoch: 1,
            seq: number,
            slot_end: boundary(number),
            read_at: boundary(number) + TimeDelta::milliseconds(20),
            registers: Registers { import: register, export: register, production: None },
            power: None,
        },
        previous,
        boot_id: "boot".to_owned(),
        time_status: TimeStatus::Unknown,
        template: "eastron_sdm630@1".to_owned(),
        device: Device::default(),
        quality: Vec::new(),
        resolution_mwh: None,
        raw: BTreeMap::new(),
    }
}

/// `count` records of `meter-1` that follow each other.
pub(crate) fn chain(count: i64) -> Vec<String> {
    let mut previous = [0; 32];
    (1..=count)
        .map(|number| {
            let text = ocmf::sign(&record(number, previous), &key());
            previous = ocmf::sha256(&text);
            text
        })
        .collect()
}
