//! What a whole slot costs a member, from a hundred members to a hundred thousand: each sends two orders, the market
//! decides and matches them, closes the gate, meters the slot, runs the closing auction, and settlement prices and
//! nets it. All of it through PostgreSQL, commits included.
//!
//! What a slot costs whoever takes part (a few hundred round trips and commits) is divided by the members too. A single
//! slot of a small community is over in a moment, so several are run and the mean is printed; the first slot of a
//! community, in which plans are made and caches filled, is run and not counted.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{AccountId, ClientId, CommunityId, SiteId};
use domain::order::{Side, TimeInForce};
use domain::slot::SlotLength;
use domain::tariff::Tariff;
use domain::time::{Clock, ManualClock};
use domain::units::{Energy, Price};
use market::MarketConfig;
use market::community::CommunityMarket;
use settlement::netting::{self, Positions};
use settlement::pricing::{self, SiteEnergy, SlotInput};
use store::communities::{self, Community};
use store::views::commands::{self, NewCommand, Request};
use store::{PgPool, grid_limits, members, metering, network_fees, trades, zones};

use crate::Figure;
use crate::world::{at, member_id, site_id, slot};

/// The members, and how many slots are counted.
const SIZES: [(usize, i64); 4] = [(100, 40), (1_000, 8), (10_000, 2), (100_000, 1)];
const BATCH: usize = 500;

pub(crate) async fn print(pool: &PgPool) {
    let mut few = None;
    for (members, slots) in SIZES {
        let town = Town::new(pool, members).await;
        town.run_slot(1).await;
        let mut took = Duration::ZERO;
        for number in 2..2 + slots {
            took += town.run_slot(number).await;
        }
        let count = f64::from(u32::try_from(members).unwrap()) * f64::from(u32::try_from(slots).unwrap());
        let value = took.as_secs_f64() * 1e6 / count;
        let few = *few.get_or_insert(value);
        let bench = format!("whole_slot_cost_a_member_{members}");
        Figure::new(bench, value, "us").beside("100 members", few / value).print();
    }
}

/// A community and its market.
struct Town {
    pool: PgPool,
    community: Community,
    members: usize,
    clock: ManualClock,
}

impl Town {
    async fn new(pool: &PgPool, members: usize) -> Self {
        let community = Community {
            community_id: CommunityId::new(&format!("town-{members}")).unwrap(),
            name: "Town".to_owned(),
            currency: "EUR".to_owned(),
            slot_length: SlotLength::from_seconds(10).unwrap(),
            market_opens_at: at(0),
            open_lead: TimeDelta::seconds(30),
            gate_closure_lead: TimeDelta::zero(),
            metering_deadline: TimeDelta::seconds(600),
            max_order: Energy::from_wh(100_000),
            contract: None,
        };
        communities::insert(pool, &community).await.unwrap();
        let price = Price::from_micro_per_kwh;
        let tariff = Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap();
        communities::insert_tariff(pool, &community.community_id, at(0), &tariff).await.unwrap();
        let town = Self { pool: pool.clone(), community, members, clock: ManualClock::new(at(0)) };
        town.enrol().await;
        town
    }

    fn id(&self) -> &CommunityId {
        &self.community.community_id
    }

    /// Everybody has a site, a meter and credits.
    async fn enrol(&self) {
        let last = i64::try_from(self.members).unwrap() - 1;
        for sql in [
            "INSERT INTO agents (community_id, agent_id, public_key, fingerprint, status)
             SELECT $1, 'agent', '\\x04', 'f', 'approved' WHERE $2 >= 0",
            "INSERT INTO members (community_id, member_id, display_name, pseudonym, preset)
             SELECT $1, 'm' || n, 'Member ' || n, 'P' || n, 'hands-off' FROM generate_series(0, $2) n",
            "INSERT INTO accounts (community_id, account_id, kind, chain_address)
             SELECT $1, 'm' || n, 'member', '0x' || lpad(to_hex(n), 40, '0') FROM generate_series(0, $2) n",
            "INSERT INTO sites (community_id, site_id, member_id, pv_peak_w, battery_wh, battery_w)
             SELECT $1, 's' || n, 'm' || n, 0, 0, 0 FROM generate_series(0, $2) n",
            "INSERT INTO meters (community_id, meter_id, site_id, agent_id, template_id)
             SELECT $1, 'meter' || n, 's' || n, 'agent', 't' FROM generate_series(0, $2) n",
            "INSERT INTO ledger_entries (community_id, account_id, kind, amount_nano, tx_hash)
             SELECT $1, 'm' || n, 'deposit', 100000000000, '0x' FROM generate_series(0, $2) n",
        ] {
            sqlx::query(sql).bind(self.id().as_str()).bind(last).execute(&self.pool).await.unwrap();
        }
        for boundary in 0..=1 {
            self.read(boundary).await;
        }
        sqlx::query("ANALYZE").execute(&self.pool).await.unwrap();
    }

    /// Each meter's reading of the start of slot `boundary`: even sites export, odd ones import.
    async fn read(&self, boundary: i64) {
        sqlx::query(
            "INSERT INTO readings (community_id, meter_id, epoch, seq, slot_end, read_at, import_mwh, export_mwh,
                 record, record_sha256)
             SELECT $1, 'meter' || n, 1, $3 + 1, $4, $4, (n % 2) * (200 + n % 97) * $3 * 1000,
                 (1 - n % 2) * (220 + n % 89) * $3 * 1000, 'r', '\\x01' FROM generate_series(0, $2) n",
        )
        .bind(self.id().as_str())
        .bind(i64::try_from(self.members).unwrap() - 1)
        .bind(boundary)
        .bind(slot(boundary))
        .execute(&self.pool)
        .await
        .unwrap();
    }

    /// Runs a slot from its first order to its positions; how long that took, without the readings.
    async fn run_slot(&self, number: i64) -> Duration {
        self.clock.set(slot(number - 1));
        let config = MarketConfig { autopilot: false, ..MarketConfig::default() };
        let clock = Clock::Manual(self.clock.clone());
        let mut market = CommunityMarket::new(self.pool.clone(), clock, self.community.clone(), &config);
        turn(&mut market).await;
        let orders: Vec<NewCommand> =
            (0..2 * self.members).map(|order| two_a_member(order, number)).collect();
        let started = Instant::now();
        for batch in orders.chunks(BATCH) {
            commands::send_all(&self.pool, self.id(), batch).await.unwrap();
            market.tick().await.unwrap();
        }
        self.clock.set(slot(number));
        turn(&mut market).await;
        let until_closed = started.elapsed();
        self.read(number + 1).await;
        self.clock.set(slot(number + 1));
        let started = Instant::now();
        turn(&mut market).await;
        let moved = self.price(slot(number)).await;
        let took = until_closed + started.elapsed();
        assert!(moved.len() > self.members / 2, "the slot is about nothing: {} positions", moved.len());
        took
    }

    /// Settlement's part, from the rows to net positions.
    async fn price(&self, start: DateTime<Utc>) -> Positions {
        let (pool, id) = (&self.pool, self.id());
        let tariff = communities::tariff_at(pool, id, start).await.unwrap();
        let of_sites = zones::of_sites(pool, id).await.unwrap();
        let fees = network_fees::of_slot(pool, id, start, &tariff, &of_sites).await.unwrap();
        let owners: HashMap<SiteId, AccountId> = members::sites(pool, id)
            .await
            .unwrap()
            .into_iter()
            .map(|site| (site.site_id, AccountId::of_member(&site.member_id).unwrap()))
            .collect();
        let metered = metering::of_slot(pool, id, start, 0).await.unwrap();
        assert_eq!(metered.len(), self.members, "the slot was metered");
        let site = |site: metering::MeteredSite| SiteEnergy {
            account_id: owners[&site.site_id].clone(),
            site_id: site.site_id,
            zone: 0,
            metered: site.metered,
            substituted: site.substituted,
        };
        let sites: Vec<SiteEnergy> = metered.into_iter().map(site).collect();
        let rows = trades::of_slot(pool, id, start).await.unwrap();
        let list: Vec<_> = rows.into_iter().map(|row| row.trade).collect();
        let input = SlotInput {
            tariff: &tariff,
            fees: &fees,
            limits: grid_limits::of_slot(pool, id, start).await.unwrap(),
            sites: &sites,
            trades: &list,
            fills: &metering::closing_fills(pool, id, start, 0).await.unwrap(),
            pairs: &metering::closing_pairs(pool, id, start, 0).await.unwrap(),
        };
        let statements = pricing::price(&input).unwrap();
        let nets =
            statements.into_iter().map(|statement| (statement.account_id.clone(), statement.net)).collect();
        netting::differences(&nets, &Positions::new()).unwrap()
    }
}

async fn turn(market: &mut CommunityMarket) {
    while market.tick().await.unwrap().goes_on() {}
}

/// Even members sell and odd ones buy, each at two prices, some of which meet.
fn two_a_member(order: usize, number: i64) -> NewCommand {
    let member = order / 2;
    let wide = i64::try_from(member).unwrap();
    let side = if member.is_multiple_of(2) { Side::Offer } else { Side::Bid };
    NewCommand {
        member_id: member_id(member),
        client_id: ClientId::new(&format!("c{number}-{order}")).unwrap(),
        slot_start: slot(number),
        request: Request::Submit {
            site_id: site_id(member),
            side,
            energy: Energy::from_wh(60 + wide % 40),
            limit: Price::from_micro_per_kwh(150_000 + wide * 7_919 % 60_000),
            time_in_force: TimeInForce::GoodTillGate,
        },
    }
}
