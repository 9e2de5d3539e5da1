//! Worked examples, and the two laws: money sums to zero, passive members never lose.

use domain::ids::{MemberId, OrderId};
use domain::strategies;
use domain::units::Price;
use proptest::prelude::*;

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

fn statement<'a>(statements: &'a [Statement], account: &str) -> &'a Statement {
    statements.iter().find(|s| s.account_id.as_str() == account).unwrap()
}

#[test]
fn one_kwh_traded_and_the_rest_at_the_tariffs() {
    let sites = [site(0, 0, 0, 1_500), site(1, 1, 1_200, 0)];
    let trades = [trade(0, 1, wh(1_000), micro(200_000))];
    let input = SlotInput { tariff: &tariff(), sites: &sites, trades: &trades, fills: &[] };
    let statements = price(&input).unwrap();
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
    let input = SlotInput { tariff: &tariff(), sites: &sites, trades: &[], fills: &fills };
    let statements = price(&input).unwrap();
    let seller = statement(&statements, "m-000");
    assert_eq!((seller.residual_import, seller.residual_export), (wh(300), wh(300)));
    assert_eq!(seller.residual.nano(), 300 * (80_000 - 320_000));
    assert!(seller.net > seller.base);
}

#[test]
fn who_delivers_less_than_it_sold_imports_the_rest() {
    let sites = [site(0, 0, 0, 400), site(1, 1, 1_000, 0)];
    let trades = [trade(0, 1, wh(1_000), micro(200_000))];
    let input = SlotInput { tariff: &tariff(), sites: &sites, trades: &trades, fills: &[] };
    let statements = price(&input).unwrap();
    assert_eq!(statement(&statements, "m-000").residual_import, wh(600));
}

#[test]
fn the_sites_of_a_member_share_a_statement() {
    let mut sites = [site(0, 7, 10, 0), site(1, 7, 5, 2)];
    sites[0].metered.production = Some(wh(3));
    sites[1].substituted = true;
    let input = SlotInput { tariff: &tariff(), sites: &sites, trades: &[], fills: &[] };
    let statements = price(&input).unwrap();
    let member = statement(&statements, "m-007");
    assert_eq!((member.metered.import, member.metered.export), (wh(15), wh(2)));
    assert!(member.metered.production.is_none() && member.substituted);
    assert_eq!(member.net, member.base);
    assert_eq!(statements.len(), 4);
}

#[test]
fn input_that_contradicts_itself_is_refused() {
    let (tariff, sites) = (tariff(), [site(0, 0, 0, 1), site(1, 1, 1, 0)]);
    let price_of = |sites: &[SiteEnergy], trades: &[Trade], fills: &[ClosingFill]| {
        price(&SlotInput { tariff: &tariff, sites, trades, fills }).unwrap_err()
    };
    let unknown = price_of(&sites, &[trade(0, 9, wh(1), micro(1))], &[]);
    assert!(matches!(unknown, PricingError::UnknownSite { .. }));
    let lonely = price_of(&sites, &[], &[fill(1, Side::Bid, 1, micro(100_000))]);
    assert!(matches!(lonely, PricingError::ClosingUnbalanced { bought_wh: 1, sold_wh: 0 }));
    let twice = price_of(&[sites[0].clone(), sites[0].clone()], &[], &[]);
    assert!(matches!(twice, PricingError::DuplicateSite { .. }));
    let negative = price_of(&[site(0, 0, -1, 0)], &[], &[]);
    assert!(matches!(negative, PricingError::NegativeEnergy { .. }));
    let absurd = price_of(&[site(0, 0, i64::MAX, 0)], &[], &[]);
    assert!(matches!(absurd, PricingError::Overflow(_)));
}

/// Sites of up to eight members with any energies.
fn sites() -> impl Strategy<Value = Vec<SiteEnergy>> {
    prop::collection::vec((0_usize..8, 0_i64..5_000, 0_i64..5_000, any::<bool>()), 2..20).prop_map(|all| {
        let site = |(i, (member, import, export, substituted)): (usize, (usize, i64, i64, bool))| {
            SiteEnergy { substituted, ..site(i, member, import, export) }
        };
        all.into_iter().enumerate().map(site).collect()
    })
}

/// Serves the smaller side of the sites' net energies at one price, as the closing auction does.
fn closing(sites: &[SiteEnergy], price: Price) -> Vec<ClosingFill> {
    let nets: Vec<i64> = sites.iter().map(|s| s.metered.net_export().unwrap().wh()).collect();
    let offered: i64 = nets.iter().filter(|n| **n > 0).sum();
    let wanted: i64 = -nets.iter().filter(|n| **n < 0).sum::<i64>();
    let (mut to_sell, mut to_buy) = (offered.min(wanted), offered.min(wanted));
    let mut fills = Vec::new();
    for (i, net) in nets.into_iter().enumerate() {
        let (side, left) = if net > 0 { (Side::Offer, &mut to_sell) } else { (Side::Bid, &mut to_buy) };
        let energy = net.abs().min(*left);
        *left -= energy;
        if energy > 0 {
            fills.push(fill(i, side, energy, price));
        }
    }
    fills
}

proptest! {
    #[test]
    fn money_sums_to_zero(
        tariff in strategies::tariff(),
        sites in sites(),
        deals in prop::collection::vec((0_usize..20, 0_usize..20, strategies::slot_energy(), strategies::price()), 0..30),
        closing_price in strategies::price(),
    ) {
        let trades: Vec<Trade> = deals
            .into_iter()
            .map(|(s, b, energy, price)| trade(s % sites.len(), b % sites.len(), energy, price))
            .collect();
        let fills = closing(&sites, closing_price);
        let statements = price(&SlotInput { tariff: &tariff, sites: &sites, trades: &trades, fills: &fills }).unwrap();
        let sum = |of: fn(&Statement) -> Money| Money::checked_sum(statements.iter().map(of)).unwrap();
        prop_assert!(sum(|s| s.net).is_zero());
        prop_assert!(sum(|s| s.base).is_zero());
        let parts: [fn(&Statement) -> Money; 3] = [|s| s.residual, |s| s.network_fee, |s| s.platform_fee];
        for part in parts {
            prop_assert!(sum(part).is_zero());
        }
        for statement in &statements {
            prop_assert_eq!(statement.net, statement.sum().unwrap());
        }
    }

    #[test]
    fn passive_members_are_never_worse_off_than_at_the_tariffs(
        tariff in strategies::tariff(),
        sites in sites(),
        share in 0_i64..=100,
    ) {
        let (low, high) = (tariff.lowest_limit().micro_per_kwh(), tariff.highest_limit().unwrap().micro_per_kwh());
        let fills = closing(&sites, micro(low + (high - low) * share / 100));
        let statements = price(&SlotInput { tariff: &tariff, sites: &sites, trades: &[], fills: &fills }).unwrap();
        for statement in statements.iter().filter(|s| s.account_id.as_str().starts_with("m-")) {
            prop_assert!(statement.net >= statement.base, "{statement:?}");
        }
    }
}
