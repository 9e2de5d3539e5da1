//! Pricing and netting a slot of 100,000 members on one core, and the receipts of it.

use std::collections::BTreeMap;
use std::time::Instant;

use chrono::{DateTime, TimeDelta};
use domain::fees::NetworkFees;
use domain::grid::GridLimits;
use domain::ids::{AccountId, CommunityId, MemberId, OrderId, SiteId, ZoneId};
use domain::order::Side;
use domain::reading::Metered;
use domain::tariff::Tariff;
use domain::trade::{ClosingFill, ClosingPair, Trade};
use domain::units::{Energy, Money, Price};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use receipt::merkle::Tree;
use receipt::{Address, Domain, Receipt, SlotRevision};
use settlement::netting::{self, Positions};
use settlement::pricing::{SiteEnergy, SlotInput, Statement, price};
use settlement::rows::statement_row;
use store::receipts;

use crate::figure::Figure;

const MEMBERS: usize = 100_000;
/// What the two are to stay below, in seconds.
const PRICING_AIM_S: f64 = 1.0;
const ALL_AIM_S: f64 = 5.0;

struct Slot {
    tariff: Tariff,
    fees: NetworkFees,
    limits: GridLimits,
    sites: Vec<SiteEnergy>,
    trades: Vec<Trade>,
    fills: Vec<ClosingFill>,
    pairs: Vec<ClosingPair>,
}

fn site(i: usize) -> SiteId {
    SiteId::new(&format!("site-{i:06}")).unwrap()
}

/// Even members produce, odd ones consume; each two trade, and meet again in the closing auction at a premium.
/// They live in sixteen zones, and the grid takes half of what is left.
fn slot() -> Slot {
    let micro = Price::from_micro_per_kwh;
    let (traded, closed) = (Energy::from_wh(400), Energy::from_wh(300));
    let pairs = || (0..MEMBERS).step_by(2);
    let member = |i: usize| MemberId::new(&format!("member-{i:06}")).unwrap();
    let sites = (0..MEMBERS).map(|i| {
        let energy = Energy::from_wh(800 + i64::try_from(i % 200).unwrap());
        let (import, export) = if i % 2 == 0 { (Energy::ZERO, energy) } else { (energy, Energy::ZERO) };
        let metered = Metered { import, export, production: None };
        let account_id = AccountId::of_member(&member(i)).unwrap();
        SiteEnergy { site_id: site(i), account_id, zone: i % 16, metered, substituted: false }
    });
    let trades = pairs().map(|i| Trade {
        bid_id: OrderId(i64::try_from(i + 1).unwrap()),
        offer_id: OrderId(i64::try_from(i).unwrap()),
        buyer: member(i + 1),
        buyer_site: site(i + 1),
        seller: member(i),
        seller_site: site(i),
        energy: traded,
        price: micro(190_000),
    });
    let fill = |i, side| ClosingFill { site_id: site(i), side, energy: closed, price: micro(184_000) };
    let fills = pairs().flat_map(|i| [fill(i, Side::Offer), fill(i + 1, Side::Bid)]);
    let closing = pairs().map(|i| ClosingPair {
        buyer_site: site(i + 1),
        seller_site: site(i),
        energy: closed,
        network_fee: micro(20_000),
        preferred: traded.min(closed),
        premium: micro(5_000),
    });
    let tariff = Tariff::new(micro(320_000), micro(80_000), micro(30_000), micro(2_000)).unwrap();
    let zones = (0..16).map(|zone| ZoneId::new(&format!("zone-{zone:02}")).unwrap());
    let half_wh = i64::try_from(MEMBERS / 4 * 200).unwrap();
    Slot {
        fees: NetworkFees::new(zones, &tariff, []).unwrap(),
        limits: GridLimits {
            import: Some(Energy::from_wh(half_wh)),
            export: Some(Energy::from_wh(half_wh / 2)),
        },
        tariff,
        sites: sites.collect(),
        trades: trades.collect(),
        fills: fills.collect(),
        pairs: closing.collect(),
    }
}

fn priced(slot: &Slot, balances: &BTreeMap<AccountId, Money>) -> (Vec<Statement>, Positions) {
    let Slot { tariff, fees, limits, sites, trades, fills, pairs } = slot;
    let input = SlotInput { tariff, fees, limits: *limits, sites, trades, fills, pairs };
    let statements = price(&input).unwrap();
    assert!(statements.iter().any(|s| s.curtailed.is_positive()));
    let nets: Positions = statements.iter().map(|s| (s.account_id.clone(), s.net)).collect();
    let owed = netting::differences(&nets, &Positions::new()).unwrap();
    let targets = netting::targets(&owed, &Positions::new()).unwrap();
    (statements, netting::cap(&targets, balances, &AccountId::reserve()).unwrap())
}

/// Every receipt of the slot, as a file; returns their bytes.
fn receipts_of(statements: Vec<Statement>) -> usize {
    let mut salts = StdRng::from_seed([3; 32]);
    let domain = Domain {
        chain_id: 31_337,
        credit: Address([7; 20]),
        community_id: CommunityId::new("bench").unwrap(),
    };
    let (start, end) = (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH + TimeDelta::seconds(900));
    let slot = SlotRevision { start, end, revision: 0 };
    let rows: Vec<_> = statements
        .into_iter()
        .map(|statement| {
            let mut salt = [0; 32];
            salts.fill_bytes(&mut salt);
            statement_row(statement, Address([1; 20]), salt)
        })
        .collect();
    let tree = Tree::new(receipts::leaves(&domain, &slot, &rows)).unwrap();
    rows.iter()
        .map(|row| {
            let whose = (&row.account_id, &row.chain_address);
            let receipt = Receipt::new(&domain, &slot, whose, (row.into(), &row.salt), &tree).unwrap();
            serde_json::to_string(&receipt).unwrap().len()
        })
        .sum()
}

pub(crate) fn run() {
    let slot = slot();
    let balances: BTreeMap<AccountId, Money> =
        slot.sites.iter().map(|site| (site.account_id.clone(), Money::from_nano(1 << 40))).collect();
    let mut best = (f64::MAX, f64::MAX);
    for _ in 0..3 {
        let began = Instant::now();
        let (statements, positions) = priced(&slot, &balances);
        let pricing_s = began.elapsed().as_secs_f64();
        assert!(positions.len() > MEMBERS);
        assert!(receipts_of(statements) > MEMBERS * 1_000);
        best = (best.0.min(pricing_s), best.1.min(began.elapsed().as_secs_f64()));
    }
    let (pricing_s, all_s) = best;
    let line = |name: &str, seconds: f64, aim_s: f64| Figure::new(name, seconds, "s").at_most(aim_s).print();
    line("settlement/price_and_net_100000_members", pricing_s, PRICING_AIM_S);
    line("settlement/price_net_and_receipts_100000_members", all_s, ALL_AIM_S);
}
