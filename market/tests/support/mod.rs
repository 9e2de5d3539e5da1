//! A small community on a real database, with a clock that tests move.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{AccountId, AgentId, ClientId, CommunityId, MemberId, MeterId, OrderId, SiteId};
use domain::order::{Side, TimeInForce};
use domain::reading::{Reading, Register, Registers};
use domain::slot::SlotLength;
use domain::tariff::Tariff;
use domain::time::{Clock, ManualClock};
use domain::units::{Energy, Money, Power, Price};
use market::config::MarketConfig;
use market::runner::Runner;
use store::communities::Community;
use store::views::commands::{self, NewCommand, Request};
use store::{PgPool, agents, communities, ledger, members, meters, readings};

/// 2026-03-01 12:00 UTC; the first slot starts then.
pub const OPENS_AT: i64 = 1_772_366_400;
pub const SLOT_S: i64 = 10;

pub fn at(seconds_after_opening: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(OPENS_AT + seconds_after_opening, 0).unwrap()
}

/// The start of slot `number`, counted from 0.
pub fn slot(number: i64) -> DateTime<Utc> {
    at(number * SLOT_S)
}

pub struct World {
    pub pool: PgPool,
    pub manual: ManualClock,
    pub community: Community,
    pub sites: usize,
}

impl World {
    /// A community of `sites` sites `s0`, `s1`, ..., each of a member of its own `m0`, `m1`, ..., with a
    /// meter each and 100 currency units of credit. The clock stands at the opening.
    pub async fn new(pool: PgPool, name: &str, sites: usize) -> Self {
        let community = Community {
            community_id: CommunityId::new(name).unwrap(),
            name: name.to_owned(),
            currency: "EUR".to_owned(),
            slot_length: SlotLength::from_seconds(10).unwrap(),
            market_opens_at: at(0),
            open_lead: TimeDelta::seconds(30),
            gate_closure_lead: TimeDelta::zero(),
            metering_deadline: TimeDelta::seconds(60),
            max_order: Energy::from_wh(100_000),
            contract: None,
        };
        let id = &community.community_id;
        communities::insert(&pool, &community).await.unwrap();
        let price = Price::from_micro_per_kwh;
        let tariff = Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap();
        communities::insert_tariff(&pool, id, at(0), &tariff).await.unwrap();
        let agent = AgentId::new("agent").unwrap();
        agents::upsert_pending(&pool, id, &agent, &[4; 65], "fingerprint").await.unwrap();
        for number in 0..sites {
            enrol(&pool, id, &agent, number).await;
        }
        let manual = ManualClock::new(at(0));
        Self { pool, manual, community, sites }
    }

    pub fn id(&self) -> &CommunityId {
        &self.community.community_id
    }

    pub fn clock(&self) -> Clock {
        Clock::Manual(self.manual.clone())
    }

    pub fn runner(&self) -> Runner {
        Runner::new(self.pool.clone(), self.clock(), self.community.clone())
    }

    pub fn market(&self) -> market::community::CommunityMarket {
        let config = MarketConfig::default();
        market::community::CommunityMarket::new(
            self.pool.clone(),
            self.clock(),
            self.community.clone(),
            &config,
        )
    }

    /// Sends an order of the member of site `site`; returns its number.
    pub async fn order(
        &self,
        site: usize,
        client: &str,
        slot_start: DateTime<Utc>,
        (side, wh, micro): (Side, i64, i64),
        time_in_force: TimeInForce,
    ) -> OrderId {
        let request = Request::Submit {
            site_id: site_id(site),
            side,
            energy: Energy::from_wh(wh),
            limit: Price::from_micro_per_kwh(micro),
            time_in_force,
        };
        self.send(site, client, slot_start, request).await
    }

    /// Sends a cancellation by the member of site `site`.
    pub async fn cancel(&self, site: usize, client: &str, slot_start: DateTime<Utc>, order_id: OrderId) {
        self.send(site, client, slot_start, Request::Cancel { order_id }).await;
    }

    pub async fn send(
        &self,
        site: usize,
        client: &str,
        slot_start: DateTime<Utc>,
        request: Request,
    ) -> OrderId {
        let command = NewCommand {
            member_id: member_id(site),
            client_id: ClientId::new(client).unwrap(),
            slot_start,
            request,
        };
        let sent = commands::send(&self.pool, self.id(), &command).await.unwrap();
        match sent {
            commands::Sent::New(row) | commands::Sent::Repeated(row) => OrderId(row.command_id),
            other => panic!("client id {client}: {other:?}"),
        }
    }

    /// The status and the refusal's code of a command.
    pub async fn decision(&self, order: OrderId) -> (String, Option<String>) {
        let row = commands::find(&self.pool, self.id(), order.0).await.unwrap().unwrap();
        (row.status, row.refusal_code)
    }

    /// Lets site 0 sell 300 Wh to site 1 for slot 1, which must be open.
    pub async fn sell_300_wh(&self) {
        let gtg = TimeInForce::GoodTillGate;
        self.order(0, "a", slot(1), (Side::Offer, 300, 100_000), gtg).await;
        self.order(1, "b", slot(1), (Side::Bid, 300, 100_000), gtg).await;
        self.runner().tick().await.unwrap();
    }

    /// The readings of slots 0 to 3 after [`Self::sell_300_wh`]: site 0 exports 300 Wh a slot, site 1 uses 50 Wh a slot,
    /// but its boundary 2, which would have sequence 3, is missing.
    pub async fn read_all_but_one(&self) {
        for boundary in 0..5 {
            self.read(0, boundary, 1 + boundary, 0, 300 * boundary).await;
        }
        for (boundary, seq) in [(0, 1), (1, 2), (3, 4), (4, 5)] {
            self.read(1, boundary, seq, 50 * boundary, 0).await;
        }
    }

    /// Stores a reading of site `site` at the boundary before slot `boundary`, as ingest does.
    pub async fn read(&self, site: usize, boundary: i64, seq: i64, import_wh: i64, export_wh: i64) {
        self.read_all(&[(site, boundary, seq, import_wh, export_wh)]).await;
    }

    /// Stores several readings in one transaction.
    pub async fn read_all(&self, list: &[(usize, i64, i64, i64, i64)]) {
        let new: Vec<_> = list.iter().map(|reading| signed(*reading)).collect();
        let mut tx = self.pool.begin().await.unwrap();
        readings::insert(&mut tx, self.id(), &new).await.unwrap();
        tx.commit().await.unwrap();
    }
}

fn signed((site, boundary, seq, import_wh, export_wh): (usize, i64, i64, i64, i64)) -> readings::NewReading {
    let register = |wh: i64| Register::from_mwh(wh * 1_000).unwrap();
    let (import, export) = (register(import_wh), register(export_wh));
    let reading = Reading {
        meter_id: meter_id(site),
        epoch: 1,
        seq,
        slot_end: slot(boundary),
        read_at: slot(boundary),
        registers: Registers { import, export, production: None },
        power: None,
    };
    let mut record_sha256 = [0; 32];
    record_sha256[0] = u8::try_from(seq % 251).unwrap();
    readings::NewReading { reading, record: format!("record {seq}"), record_sha256 }
}

pub fn site_id(number: usize) -> SiteId {
    SiteId::new(&format!("s{number}")).unwrap()
}

pub fn member_id(number: usize) -> MemberId {
    MemberId::new(&format!("m{number}")).unwrap()
}

fn meter_id(number: usize) -> MeterId {
    MeterId::new(&format!("meter{number}")).unwrap()
}

async fn enrol(pool: &PgPool, id: &CommunityId, agent: &AgentId, number: usize) {
    let member = members::Member {
        member_id: member_id(number),
        display_name: format!("Member {number}"),
        pseudonym: format!("P{number}"),
        preset: "hands-off".to_owned(),
    };
    members::insert(pool, id, &member).await.unwrap();
    let site = members::Site {
        site_id: site_id(number),
        member_id: member_id(number),
        pv_peak: Power::ZERO,
        battery_capacity: Energy::ZERO,
        battery_power: Power::ZERO,
    };
    members::insert_site(pool, id, &site).await.unwrap();
    let meter = meters::Meter {
        meter_id: meter_id(number),
        site_id: site_id(number),
        agent_id: agent.clone(),
        template_id: "eastron_sdm630".to_owned(),
    };
    meters::insert(pool, id, &meter).await.unwrap();
    let account = members::Account {
        account_id: AccountId::of_member(&member_id(number)).unwrap(),
        kind: "member".to_owned(),
        chain_address: format!("0x{number:040x}"),
    };
    members::insert_account(pool, id, &account).await.unwrap();
    deposit(pool, id, number, "first", 100_000_000_000).await;
}

pub async fn deposit(pool: &PgPool, id: &CommunityId, number: usize, client: &str, nano: i64) {
    let account = AccountId::of_member(&member_id(number)).unwrap();
    let client = ClientId::new(&format!("{client}-{number}")).unwrap();
    let amount = Money::from_nano(nano);
    ledger::request_deposit(pool, id, &account, &client, amount).await.unwrap();
    let requested = ledger::requested_deposits(pool, id, 100).await.unwrap();
    let deposit_id = requested.iter().find(|d| d.account_id == account).unwrap().deposit_id;
    ledger::mark_deposits_signed(pool, id, &[deposit_id]).await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    ledger::finish_deposit(&mut tx, id, deposit_id, &format!("0x{deposit_id:064x}")).await.unwrap();
    tx.commit().await.unwrap();
}
