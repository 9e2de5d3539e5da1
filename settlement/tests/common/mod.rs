//! A community on real PostgreSQL, ready to be settled on any chain.
#![allow(dead_code, unreachable_pub)] // shared by the test files, each of which uses its part

pub mod anvil;
pub mod crashing;
pub mod forgotten;
pub mod process;
pub mod proxy;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{AccountId, ClientId, CommunityId, MemberId, SiteId};
use domain::order::Side;
use domain::reading::Metered;
use domain::slot::SlotLength;
use domain::tariff::Tariff;
use domain::time::{Clock, ManualClock};
use domain::trade::{ClosingFill, ClosingPair};
use domain::units::{Energy, Money, Power, Price};
use rand::SeedableRng;
use rand::rngs::StdRng;
use settlement::batch::Policy;
use settlement::chain::fake::FakeChain;
use settlement::chain::{Address, Chain};
use settlement::context::{Context, SendPolicy, Settling};
use settlement::deploy::{DeploySettings, deploy};
use settlement::deposits;
use settlement::reconcile::reconcile;
use settlement::settler::{Settler, Tick};
use store::communities::Community;
use store::members::{Account, Member, Site};
use store::metering::{Carry, MeteredSite};
use store::slots::{self, SlotRow, SlotStatus};
use store::{PgPool, communities, ledger, members, metering};

pub const UNIT_NANO: i64 = 1_000_000_000;
const SLOT_S: u32 = 10;

pub fn at(slot: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + slot * i64::from(SLOT_S), 0).unwrap()
}

pub fn account(name: &str) -> AccountId {
    AccountId::new(name).unwrap()
}

fn price(micro: i64) -> Price {
    Price::from_micro_per_kwh(micro)
}

pub fn settings() -> DeploySettings {
    DeploySettings {
        currency: None,
        administrator: None,
        withdrawal_delay_s: 3_600,
        demonstration_currency: Money::from_nano(1_000_000 * UNIT_NANO),
        name: "Energy Credit".to_owned(),
        symbol: "ECR".to_owned(),
    }
}

/// A community of members with one site each, and the four accounts of its own.
pub struct World {
    pub context: Context,
    pub clock: ManualClock,
    members: usize,
}

impl World {
    pub async fn new(pool: PgPool, chain: Arc<dyn Chain>, members: usize, confirmations: u64) -> Self {
        Self::named("demo", pool, chain, members, confirmations).await
    }

    /// One of several communities in a database.
    pub async fn named(
        name: &str,
        pool: PgPool,
        chain: Arc<dyn Chain>,
        members: usize,
        confirmations: u64,
    ) -> Self {
        let clock = ManualClock::new(at(0));
        let community_id = CommunityId::new(name).unwrap();
        let watch = Policy { confirmations, replace_after: TimeDelta::seconds(60) };
        let context = Context {
            pool,
            chain,
            clock: Clock::Manual(clock.clone()),
            community_id,
            policy: SendPolicy {
                watch,
                fee_cap_wei: 1_000_000_000_000,
                batch_gas_share_percent: 50,
                currency: None,
            },
        };
        let world = Self { context, clock, members };
        world.enrol().await;
        world
    }

    async fn enrol(&self) {
        let (pool, id) = (&self.context.pool, &self.context.community_id);
        let community = Community {
            community_id: id.clone(),
            name: "Demo".to_owned(),
            currency: "EUR".to_owned(),
            slot_length: SlotLength::from_seconds(SLOT_S).unwrap(),
            market_opens_at: at(0),
            open_lead: TimeDelta::seconds(60),
            gate_closure_lead: TimeDelta::zero(),
            metering_deadline: TimeDelta::seconds(60),
            max_order: Energy::from_wh(100_000),
            contract: None,
        };
        communities::insert(pool, &community).await.unwrap();
        let tariff = Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap();
        communities::insert_tariff(pool, id, at(0), &tariff).await.unwrap();
        for (i, name) in ["grid", "network", "platform", "reserve"].iter().enumerate() {
            self.enrol_account(&account(name), name, i).await;
        }
        for i in 0..self.members {
            let member_id = MemberId::new(&format!("m{i:03}")).unwrap();
            let name = member_id.to_string();
            let member = Member {
                member_id: member_id.clone(),
                display_name: name.clone(),
                pseudonym: name,
                preset: "hands-off".to_owned(),
            };
            members::insert(pool, id, &member).await.unwrap();
            let zero = (Power::from_w(0), Energy::ZERO);
            let site = Site {
                site_id: site(i),
                member_id,
                pv_peak: zero.0,
                battery_capacity: zero.1,
                battery_power: zero.0,
            };
            members::insert_site(pool, id, &site).await.unwrap();
            self.enrol_account(&account(&format!("m{i:03}")), "member", i + 100).await;
        }
    }

    async fn enrol_account(&self, account_id: &AccountId, kind: &str, number: usize) {
        let mut address = [0x40; 20];
        address[12..].copy_from_slice(&(number as u64).to_be_bytes());
        let chain_address = Address(address).to_string();
        let account = Account { account_id: account_id.clone(), kind: kind.to_owned(), chain_address };
        members::insert_account(&self.context.pool, &self.context.community_id, &account).await.unwrap();
    }

    pub async fn address(&self, name: &str) -> Address {
        let all = members::accounts(&self.context.pool, &self.context.community_id).await.unwrap();
        all.into_iter().find(|a| a.account_id.as_str() == name).unwrap().chain_address.parse().unwrap()
    }

    /// Gives every account of a list so many units, by requests that the settler serves.
    pub async fn deposit(&self, client: &str, names: &[&str], units: i64) {
        for name in names {
            let client_id = ClientId::new(&format!("{client}-{name}")).unwrap();
            let amount = Money::from_nano(units * UNIT_NANO);
            deposits::request(&self.context, &account(name), &client_id, amount).await.unwrap();
        }
    }

    pub async fn deposit_all(&self, units: i64) {
        let members: Vec<String> = (0..self.members).map(|i| format!("m{i:03}")).collect();
        let mut names: Vec<&str> = members.iter().map(String::as_str).collect();
        names.extend(["grid", "reserve"]);
        self.deposit("all", &names, units).await;
    }

    /// Makes a slot metered: even members exported `wh`, odd ones imported it, and the closing
    /// auction matched each pair at 20 ct.
    pub async fn meter(&self, slot: i64, wh: i64) {
        let nets: Vec<i64> = (0..self.members).map(|i| if i % 2 == 0 { wh } else { -wh }).collect();
        self.meter_nets(slot, 0, &nets, self.members >= 2 && wh > 0).await;
    }

    /// Makes a slot metered at a revision with a net export for each member; `closing` matches
    /// members by pairs.
    pub async fn meter_nets(&self, slot: i64, revision: i32, nets: &[i64], closing: bool) {
        let (pool, id) = (&self.context.pool, &self.context.community_id);
        slots::insert_scheduled(pool, id, &[at(slot)], at(slot)).await.unwrap();
        let before = slots::find(pool, id, at(slot)).await.unwrap().unwrap();
        let sites: Vec<MeteredSite> = nets
            .iter()
            .enumerate()
            .map(|(i, net)| MeteredSite {
                site_id: site(i),
                metered: Metered {
                    import: Energy::from_wh((-net).max(0)),
                    export: Energy::from_wh((*net).max(0)),
                    production: None,
                },
                substituted: false,
                carry: Carry::default(),
            })
            .collect();
        metering::insert_metered(pool, id, at(slot), revision, &sites).await.unwrap();
        let pairs = if closing { nets.len() / 2 } else { 0 };
        let fills: Vec<ClosingFill> = (0..pairs)
            .flat_map(|pair| {
                let energy = Energy::from_wh(nets[2 * pair].min(-nets[2 * pair + 1]));
                let fill = |i, side| ClosingFill { site_id: site(i), side, energy, price: price(200_000) };
                [fill(2 * pair, Side::Offer), fill(2 * pair + 1, Side::Bid)]
            })
            .collect();
        metering::insert_closing_fills(pool, id, at(slot), revision, &fills).await.unwrap();
        let pairs: Vec<ClosingPair> = fills
            .chunks(2)
            .map(|two| ClosingPair {
                buyer_site: two[1].site_id.clone(),
                seller_site: two[0].site_id.clone(),
                energy: two[0].energy,
                network_fee: price(30_000),
                preferred: Energy::ZERO,
                premium: price(0),
            })
            .collect();
        metering::insert_closing_pairs(pool, id, at(slot), revision, &pairs).await.unwrap();
        assert!(slots::set_metered(pool, id, &before, revision, at(slot)).await.unwrap());
    }

    pub async fn slot(&self, slot: i64) -> SlotRow {
        slots::find(&self.context.pool, &self.context.community_id, at(slot)).await.unwrap().unwrap()
    }

    pub async fn status(&self, slot: i64) -> SlotStatus {
        self.slot(slot).await.status
    }

    pub async fn settling(&self) -> Settling {
        Settling::of(self.context.clone()).await.unwrap()
    }

    pub async fn settler(&self) -> Settler {
        Settler::new(self.settling().await, StdRng::from_seed([3; 32]))
    }

    /// Ticks until nothing moves on by itself.
    pub async fn settle(&self) -> Tick {
        let mut settler = self.settler().await;
        for _ in 0..10_000 {
            let tick = settler.tick().await.unwrap();
            if tick != Tick::Progress {
                return tick;
            }
        }
        panic!("the settler never rests");
    }

    pub async fn balance(&self, name: &str) -> i64 {
        let all = ledger::balances(&self.context.pool, &self.context.community_id).await.unwrap();
        all.into_iter().find(|b| b.account_id.as_str() == name).unwrap().balance.nano()
    }

    pub async fn ledger_sum(&self) -> i64 {
        let all = ledger::balances(&self.context.pool, &self.context.community_id).await.unwrap();
        all.into_iter().map(|b| b.balance.nano()).sum()
    }

    /// Fails with the differences named, unless the ledger equals the chain.
    pub async fn assert_ledger_equals_chain(&self) {
        let report = reconcile(&self.settling().await).await.unwrap();
        assert!(report.is_equal(), "{:#?}", report.differences);
    }
}

/// A deployed community whose members hold 100 units each, on a chain that mines every transaction at once.
pub async fn deployed(pool: PgPool, members: usize) -> (World, FakeChain) {
    let chain = FakeChain::new(Address([0x11; 20]));
    chain.faults(|f| f.mine_at_once = true);
    let world = World::new(pool, Arc::new(chain.clone()), members, 1).await;
    deploy(&world.context, &settings()).await.unwrap();
    world.deposit_all(100).await;
    assert_eq!(world.settle().await, Tick::Idle);
    (world, chain)
}

pub fn site(i: usize) -> SiteId {
    SiteId::new(&format!("site-{i:03}")).unwrap()
}
