//! Worked examples of what a slot costs.

mod laws;

use domain::ids::{MemberId, OrderId, ZoneId};
use domain::order::Side;
use domain::units::Price;

use super::*;

fn wh(wh: i64) -> Energy {
    Energy::from_wh(wh)
}

fn micro(micro: i64) -> Price {
    Price::from_micro_per_kwh(micro)
}

fn tariff() -> Tariff {
    Tariff::new(micro(320_000), micro(80_000), micro(30_000), micro(2_000)).unwrap()
}

fn site_id(i: usize) -> SiteId {
    SiteId::new(&format!("site-{i}")).unwrap()
}

fn site(i: usize, member: usize, import: i64, export: i64) -> SiteEnergy {
    SiteEnergy {
        site_id: site_id(i),
        account_id: AccountId::new(&format!("m-{member:03}")).unwrap(),
        zone: 0,
        metered: Metered { import: wh(import), export: wh(export), production: None },
        substituted: false,
    }
}

fn trade(seller: usize, buyer: usize, energy: Energy, price: Price) -> Trade {
    Trade {
        bid_id: OrderId(1),
        offer_id: OrderId(2),
        buyer: MemberId::new("buyer").unwrap(),
        buyer_site: site_id(buyer),
        seller: MemberId::new("seller").unwrap(),
        seller_site: site_id(seller),
        energy,
        price,
    }
}

fn fill(i: usize, side: Side, energy: i64, price: Price) -> ClosingFill {
    ClosingFill { site_id: site_id(i), side, energy: wh(energy), price }
}

fn pair(buyer: usize, seller: usize, energy: i64, premium: i64) -> ClosingPair {
    ClosingPair {
        buyer_site: site_id(buyer),
        seller_site: site_id(seller),
        energy: wh(energy),
        network_fee: micro(30_000),
        preferred: wh(if premium > 0 { energy } else { 0 }),
        premium: micro(premium),
    }
}

/// Fees among zones that are numbered from 0.
fn fees(tariff: &Tariff, matrix: &[&[i64]]) -> NetworkFees {
    let zone = |number: usize| ZoneId::new(&format!("z-{number}")).unwrap();
    let row = |(from, row): (usize, &&[i64])| {
        row.iter().enumerate().map(|(to, fee)| (zone(from), zone(to), micro(*fee))).collect::<Vec<_>>()
    };
    let pairs: Vec<_> = matrix.iter().enumerate().flat_map(row).collect();
    NetworkFees::new((0..matrix.len()).map(zone), tariff, pairs).unwrap()
}

/// A slot of one zone, without trades, closing auction and limits.
#[derive(Debug)]
struct Slot {
    tariff: Tariff,
    fees: NetworkFees,
    limits: GridLimits,
    sites: Vec<SiteEnergy>,
    trades: Vec<Trade>,
    fills: Vec<ClosingFill>,
    pairs: Vec<ClosingPair>,
}

impl Slot {
    fn new(sites: impl Into<Vec<SiteEnergy>>) -> Self {
        let (tariff, sites) = (tariff(), sites.into());
        let (trades, fills, pairs) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            fees: fees(&tariff, &[&[30_000]]),
            limits: GridLimits::default(),
            tariff,
            sites,
            trades,
            fills,
            pairs,
        }
    }

    fn price(&self) -> Result<Vec<Statement>, PricingError> {
        let Self { tariff, fees, limits, sites, trades, fills, pairs } = self;
        price(&SlotInput { tariff, fees, limits: *limits, sites, trades, fills, pairs })
    }
}

fn statement<'a>(statements: &'a [Statement], account: &str) -> &'a Statement {
    statements.iter().find(|s| s.account_id.as_str() == account).unwrap()
}

#[test]
fn one_kwh_traded_and_the_rest_at_the_tariffs() {
    let sites = [site(0, 0, 0, 1_500), site(1, 1, 1_200, 0)];
    let trades = [trade(0, 1, wh(1_000), micro(200_000))];
    let statements = Slot { trades: trades.into(), ..Slot::new(sites) }.price().unwrap();
    let (seller, buyer) = (statement(&statements, "m-000"), statement(&statements, "m-001"));
    // 1 000 Wh at 20 ct and 500 Wh at the feed-in tariff of 8 ct.
    assert_eq!(seller.net.nano(), 200_000_000 + 40_000_000);
    assert_eq!(seller.base.nano(), 120_000_000);
    // 1 000 Wh at 20 ct and 3.2 ct of fees, 200 Wh at 32 ct.
    assert_eq!(buyer.net.nano(), -(200_000_000 + 32_000_000 + 64_000_000));
    assert_eq!(buyer.base.nano(), -384_000_000);
    assert_eq!(statement(&statements, "network").net.nano(), 30_000_000);
    assert_eq!(statement(&statements, "platform").net.nano(), 2_000_000);
    assert_eq!(statement(&statements, "grid").net.nano(), 64_000_000 - 40_000_000);
}

#[test]
fn import_and_export_in_one_slot_both_stay_at_the_tariffs() {
    let sites = [site(0, 0, 300, 1_300), site(1, 1, 1_000, 0)];
    let fills = [fill(0, Side::Offer, 1_000, micro(184_000)), fill(1, Side::Bid, 1_000, micro(184_000))];
    let pairs = vec![pair(1, 0, 1_000, 0)];
    let statements = Slot { fills: fills.into(), pairs, ..Slot::new(sites) }.price().unwrap();
    let seller = statement(&statements, "m-000");
    assert_eq!((seller.residual_import, seller.residual_export), (wh(300), wh(300)));
    assert_eq!(seller.residual.nano(), 300 * (80_000 - 320_000));
    assert!(seller.net > seller.base);
}

#[test]
fn who_delivers_less_than_it_sold_imports_the_rest() {
    let sites = [site(0, 0, 0, 400), site(1, 1, 1_000, 0)];
    let trades = [trade(0, 1, wh(1_000), micro(200_000))];
    let statements = Slot { trades: trades.into(), ..Slot::new(sites) }.price().unwrap();
    assert_eq!(statement(&statements, "m-000").residual_import, wh(600));
}

#[test]
fn the_sites_of_a_member_share_a_statement() {
    let mut sites = [site(0, 7, 10, 0), site(1, 7, 5, 2)];
    sites[0].metered.production = Some(wh(3));
    sites[1].substituted = true;
    let statements = Slot::new(sites).price().unwrap();
    let member = statement(&statements, "m-007");
    assert_eq!((member.metered.import, member.metered.export), (wh(15), wh(2)));
    assert!(member.metered.production.is_none() && member.substituted);
    assert_eq!(member.net, member.base);
    assert_eq!(statements.len(), 4);
}

#[test]
fn input_that_contradicts_itself_is_refused() {
    let sites = [site(0, 0, 0, 1), site(1, 1, 1, 0)];
    let slot = || Slot::new(sites.clone());
    let error = |slot: Slot| slot.price().unwrap_err();
    let unknown = error(Slot { trades: vec![trade(0, 9, wh(1), micro(1))], ..slot() });
    assert!(matches!(unknown, PricingError::UnknownSite { .. }));
    let lonely = error(Slot { fills: vec![fill(1, Side::Bid, 1, micro(100_000))], ..slot() });
    assert!(matches!(lonely, PricingError::ClosingUnbalanced { bought_wh: 1, sold_wh: 0 }));
    let unpaired = error(Slot { pairs: vec![pair(1, 0, 1, 0)], ..slot() });
    assert!(matches!(unpaired, PricingError::PairsUnbalanced { filled_wh: 0, paired_wh: -1, .. }));
    let twice = error(Slot::new([sites[0].clone(), sites[0].clone()]));
    assert!(matches!(twice, PricingError::DuplicateSite { .. }));
    let elsewhere = error(Slot::new([SiteEnergy { zone: 1, ..sites[0].clone() }]));
    assert!(matches!(elsewhere, PricingError::UnknownZone { .. }));
    let negative = error(Slot::new([site(0, 0, -1, 0)]));
    assert!(matches!(negative, PricingError::NegativeEnergy { .. }));
    let absurd = error(Slot::new([site(0, 0, i64::MAX, 0)]));
    assert!(matches!(absurd, PricingError::Overflow(_)));
}

#[test]
fn each_trade_pays_the_fee_of_its_own_zones() {
    let mut sites = [site(0, 0, 0, 300), site(1, 1, 0, 300), site(2, 2, 600, 0)];
    (sites[0].zone, sites[2].zone) = (1, 1);
    let trades = vec![trade(0, 2, wh(300), micro(200_000)), trade(1, 2, wh(300), micro(200_000))];
    let fees = fees(&tariff(), &[&[10_000, 50_000], &[40_000, 15_000]]);
    let statements = Slot { trades, fees, ..Slot::new(sites) }.price().unwrap();
    // From zone 1 to 1, and from zone 0 to 1.
    let fee = 300 * 15_000 + 300 * 50_000;
    assert_eq!(statement(&statements, "m-002").network_fee.nano(), -fee);
    assert_eq!(statement(&statements, "network").net.nano(), fee);
}

#[test]
fn a_premium_goes_from_the_buyer_to_the_seller() {
    let sites = [site(0, 0, 0, 300), site(1, 1, 300, 0)];
    let fills = vec![fill(0, Side::Offer, 300, micro(184_000)), fill(1, Side::Bid, 300, micro(184_000))];
    let preferred = ClosingPair { preferred: wh(200), ..pair(1, 0, 300, 10_000) };
    let statements = Slot { fills, pairs: vec![preferred], ..Slot::new(sites) }.price().unwrap();
    let (seller, buyer) = (statement(&statements, "m-000"), statement(&statements, "m-001"));
    assert_eq!((buyer.preferred_bought.energy, buyer.preferred_bought.money.nano()), (wh(200), -2_000_000));
    assert_eq!((seller.preferred_sold.energy, seller.preferred_sold.money.nano()), (wh(200), 2_000_000));
    assert_eq!(seller.net.nano(), 300 * 184_000 + 2_000_000);
    assert_eq!(buyer.net.nano(), -(300 * (184_000 + 32_000) + 2_000_000));
}

#[test]
fn what_is_fed_in_beyond_the_limit_is_curtailed_and_what_is_drawn_beyond_it_is_stated() {
    let sites = [site(0, 0, 0, 500), site(1, 1, 0, 100), site(2, 2, 700, 0), site(3, 3, 200, 0)];
    let limits = GridLimits { import: Some(wh(450)), export: Some(wh(400)) };
    let statements = Slot { limits, ..Slot::new(sites) }.price().unwrap();
    let seen = |account: &str| {
        let s = statement(&statements, account);
        (s.residual_export.wh(), s.curtailed.wh(), s.residual_import.wh(), s.over_limit.wh())
    };
    // 200 Wh of 600 Wh: 166.67 and 33.33, the larger remainder gets the watt-hour.
    assert_eq!([seen("m-000"), seen("m-001")], [(333, 167, 0, 0), (67, 33, 0, 0)]);
    assert_eq!([seen("m-002"), seen("m-003")], [(0, 0, 700, 350), (0, 0, 200, 100)]);
    let earned = statement(&statements, "m-000");
    assert_eq!((earned.net.nano(), earned.base.nano()), (333 * 80_000, 500 * 80_000));
    assert_eq!(statement(&statements, "m-002").net, statement(&statements, "m-002").base);
}
