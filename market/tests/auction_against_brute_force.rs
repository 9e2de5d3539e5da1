//! The call auction against brute force over every price, and its conservation laws.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use domain::ids::OrderId;
use domain::order::Side;
use domain::units::{Energy, Price};
use market::auction::{AuctionOrder, clear};
use proptest::prelude::*;

fn orders() -> impl Strategy<Value = Vec<AuctionOrder>> {
    let side = prop_oneof![Just(Side::Bid), Just(Side::Offer)];
    prop::collection::vec((side, 0..25_i64, 100..125_i64), 0..14).prop_map(|list| {
        let number = |i: i64| OrderId((i * 7) % 16);
        (0..)
            .zip(list)
            .map(|(i, (side, wh, micro))| AuctionOrder {
                id: number(i),
                side,
                energy: Energy::from_wh(wh),
                limit: Price::from_micro_per_kwh(micro),
            })
            .collect()
    })
}

fn accepts(order: &AuctionOrder, micro: i64) -> bool {
    match order.side {
        Side::Bid => order.limit.micro_per_kwh() >= micro,
        Side::Offer => order.limit.micro_per_kwh() <= micro,
    }
}

fn sum(orders: &[AuctionOrder], side: Side, micro: i64) -> i64 {
    orders.iter().filter(|o| o.side == side && accepts(o, micro)).map(|o| o.energy.wh()).sum()
}

/// Price and volume by trying every price.
fn brute_force(orders: &[AuctionOrder]) -> Option<(i64, i64)> {
    let curves = (90..135_i64).map(|p| (p, sum(orders, Side::Bid, p), sum(orders, Side::Offer, p)));
    let scored: Vec<_> = curves.map(|(p, d, s)| (d.min(s), -(d - s).abs(), p)).collect();
    let best = scored.iter().map(|(volume, imbalance, _)| (*volume, *imbalance)).max()?;
    let prices: Vec<_> = scored.iter().filter(|(v, i, _)| (*v, *i) == best).map(|(_, _, p)| *p).collect();
    let (low, high) = (prices.first()?, prices.last()?);
    (best.0 > 0).then_some(((low + high).div_euclid(2), best.0))
}

/// The largest gains from trade: the dearest bid with the cheapest offer, watt-hour by watt-hour.
fn largest_gain(orders: &[AuctionOrder]) -> i64 {
    let unit = |side| {
        let mut limits: Vec<i64> = orders
            .iter()
            .filter(|o| o.side == side)
            .flat_map(|o| (0..o.energy.wh()).map(|_| o.limit.micro_per_kwh()))
            .collect();
        limits.sort_unstable();
        limits
    };
    let (bids, offers) = (unit(Side::Bid), unit(Side::Offer));
    bids.iter().rev().zip(&offers).map(|(bid, offer)| (bid - offer).max(0)).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn is_the_best_of_all_prices(orders in orders()) {
        let clearing = clear(&orders).unwrap();
        let found = clearing.price.map(|price| (price.micro_per_kwh(), clearing.volume.wh()));
        prop_assert_eq!(found, brute_force(&orders));
    }

    #[test]
    fn reaches_all_gains_and_respects_limits_and_energies(orders in orders()) {
        let clearing = clear(&orders).unwrap();
        let (mut bought, mut sold, mut gain) = (0, 0, 0);
        for fill in &clearing.fills {
            let order = &orders[fill.index];
            let (wh, limit) = (fill.energy.wh(), order.limit.micro_per_kwh());
            prop_assert!(0 < wh && wh <= order.energy.wh());
            prop_assert!(accepts(order, clearing.price.unwrap().micro_per_kwh()));
            match order.side {
                Side::Bid => { bought += wh; gain += wh * limit; }
                Side::Offer => { sold += wh; gain -= wh * limit; }
            }
        }
        prop_assert_eq!((bought, sold), (clearing.volume.wh(), clearing.volume.wh()));
        prop_assert_eq!(gain, largest_gain(&orders));
    }

    #[test]
    fn serves_by_price_and_rations_one_level_fairly(orders in orders()) {
        let clearing = clear(&orders).unwrap();
        let mut got = vec![0; orders.len()];
        for fill in &clearing.fills {
            prop_assert_eq!(std::mem::replace(&mut got[fill.index], fill.energy.wh()), 0);
        }
        for (a, fill_a) in orders.iter().zip(&got) {
            for (b, fill_b) in orders.iter().zip(&got).filter(|(b, _)| b.side == a.side) {
                let better = match a.side {
                    Side::Bid => a.limit > b.limit,
                    Side::Offer => a.limit < b.limit,
                };
                // Whoever names a better price is served whole before the other gets anything.
                prop_assert!(!better || *fill_b == 0 || *fill_a == a.energy.wh());
                if a.limit == b.limit && !a.energy.is_zero() && !b.energy.is_zero() {
                    // Within a level the shares differ by less than one watt-hour.
                    let cross = (fill_a * b.energy.wh() - fill_b * a.energy.wh()).abs();
                    prop_assert!(cross < a.energy.wh() + b.energy.wh());
                }
            }
        }
    }

    #[test]
    fn does_not_depend_on_the_order_of_the_list(orders in orders(), turn in 0..14_usize) {
        let mut numbered = orders;
        for (i, order) in (0..).zip(&mut numbered) {
            order.id = OrderId(i);
        }
        let by_number = |list: &[AuctionOrder]| {
            let clearing = clear(list).unwrap();
            let mut fills: Vec<_> = clearing.fills.iter().map(|f| (list[f.index].id, f.energy)).collect();
            fills.sort_unstable();
            (clearing.price, fills)
        };
        let before = by_number(&numbered);
        let turn = turn % numbered.len().max(1);
        numbered.rotate_left(turn);
        prop_assert_eq!(by_number(&numbered), before);
    }
}
