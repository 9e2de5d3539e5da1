//! What wishes may and may not do to a closing auction, on random small communities.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use domain::fees::NetworkFees;
use domain::ids::{MemberId, SiteId, ZoneId};
use domain::order::Side;
use domain::standing::{Preference, StandingOrder, Wish};
use domain::tariff::Tariff;
use domain::trade::ClosingPair;
use domain::units::{Energy, Price};
use market::closing::{Closed, ClosingSite, Terms, close};
use proptest::prelude::*;

fn price(micro: i64) -> Price {
    Price::from_micro_per_kwh(micro)
}

fn tariff() -> Tariff {
    Tariff::new(price(320), price(80), price(30), price(2)).unwrap()
}

fn member(number: usize) -> MemberId {
    MemberId::new(&format!("m-{number}")).unwrap()
}

fn fees() -> impl Strategy<Value = NetworkFees> {
    (1_usize..4, prop::collection::vec(0_i64..60, 9)).prop_map(|(count, micro)| {
        let zone = |number: usize| ZoneId::new(&format!("z-{number}")).unwrap();
        let pairs = micro.into_iter().enumerate().map(|(at, fee)| (zone(at / 3), zone(at % 3), price(fee)));
        NetworkFees::new((0..count).map(zone), &tariff(), pairs).unwrap()
    })
}

fn preference() -> impl Strategy<Value = Preference> {
    prop_oneof![
        Just(Preference::Any),
        Just(Preference::Local),
        Just(Preference::Green),
        prop::collection::hash_set(0_usize..9, 1..3)
            .prop_map(|numbers| Preference::Partners(numbers.into_iter().map(member).collect())),
    ]
}

type Drawn = (i64, usize, bool, Option<i64>, Preference, i64);

/// A site of up to `most_wh`; some with limits of their own, a few of which are shared by many.
fn drawn(most_wh: i64) -> impl Strategy<Value = Drawn> {
    let limit = prop::option::weighted(0.4, (0_i64..9).prop_map(|step| 80 + 20 * step));
    (-most_wh..=most_wh, 0_usize..3, any::<bool>(), limit, preference(), 0_i64..120)
}

fn site(number: usize, zones: usize, (wh, zone, green, limit, preference, premium): Drawn) -> ClosingSite {
    let premium = if preference == Preference::Any { 0 } else { premium };
    let wish = Wish::new(preference, price(premium)).unwrap();
    ClosingSite {
        site_id: SiteId::new(&format!("s-{number}")).unwrap(),
        member_id: member(number),
        zone: zone % zones,
        green,
        residual: Energy::from_wh(wh),
        standing: StandingOrder { offer_limit: limit.map(price), bid_limit: limit.map(price), wish },
    }
}

fn community(
    most_sites: usize,
    most_wh: i64,
) -> impl Strategy<Value = (NetworkFees, Vec<ClosingSite>, usize)> {
    (fees(), prop::collection::vec(drawn(most_wh), 2..most_sites), 0_usize..20).prop_map(
        |(fees, drawn, turn)| {
            let zones = fees.count();
            let sites =
                drawn.into_iter().enumerate().map(|(number, drawn)| site(number, zones, drawn)).collect();
            (fees, sites, turn)
        },
    )
}

fn without_wishes(sites: &[ClosingSite]) -> Vec<ClosingSite> {
    let plain = |site: &ClosingSite| {
        let standing = StandingOrder { wish: Wish::default(), ..site.standing.clone() };
        ClosingSite { standing, ..site.clone() }
    };
    sites.iter().map(plain).collect()
}

/// Limits of the buyers less limits of the sellers, times energy.
fn gains(sites: &[ClosingSite], fees: &NetworkFees, closed: &Closed) -> i64 {
    let gain = |fill: &domain::trade::ClosingFill| {
        let site = sites.iter().find(|site| site.site_id == fill.site_id).unwrap();
        let highest = fees.highest_limit(&tariff(), site.zone).unwrap();
        let (offer, bid) = site.standing.limits(tariff().lowest_limit(), highest);
        match fill.side {
            Side::Bid => bid.micro_per_kwh() * fill.energy.wh(),
            Side::Offer => -offer.micro_per_kwh() * fill.energy.wh(),
        }
    };
    closed.fills.iter().map(gain).sum()
}

fn find<'a>(sites: &'a [ClosingSite], id: &SiteId) -> &'a ClosingSite {
    sites.iter().find(|site| site.site_id == *id).unwrap()
}

fn meets(buyer: &ClosingSite, seller: &ClosingSite) -> bool {
    match buyer.standing.wish.preference() {
        Preference::Any => false,
        Preference::Local => buyer.zone == seller.zone,
        Preference::Green => seller.green,
        Preference::Partners(partners) => partners.contains(&seller.member_id),
    }
}

fn fee_paid(pairs: &[ClosingPair]) -> i64 {
    pairs.iter().map(|pair| pair.network_fee.micro_per_kwh() * pair.energy.wh()).sum()
}

fn premium_paid(pairs: &[ClosingPair]) -> i64 {
    pairs.iter().map(|pair| pair.premium.micro_per_kwh() * pair.preferred.wh()).sum()
}

/// Every way in which buyers may take watt-hours from sellers, and for each its fee and premium.
fn assignments(
    needs: &mut Vec<(&ClosingSite, i64)>,
    lots: &mut Vec<(&ClosingSite, i64)>,
    each: &dyn Fn(&ClosingSite, &ClosingSite) -> (i64, i64),
) -> Vec<(i64, i64)> {
    let Some(buyer) = needs.iter().position(|(_, wh)| *wh > 0) else { return vec![(0, 0)] };
    needs[buyer].1 -= 1;
    let mut all = Vec::new();
    for seller in 0..lots.len() {
        if lots[seller].1 == 0 {
            continue;
        }
        lots[seller].1 -= 1;
        let (fee, premium) = each(needs[buyer].0, lots[seller].0);
        all.extend(assignments(needs, lots, each).into_iter().map(|(f, p)| (f + fee, p + premium)));
        lots[seller].1 += 1;
    }
    needs[buyer].1 += 1;
    // Only the best of each fee can matter.
    let best: BTreeMap<i64, i64> = all.into_iter().fold(BTreeMap::new(), |mut best, (fee, premium)| {
        best.entry(fee).and_modify(|known: &mut i64| *known = premium.max(*known)).or_insert(premium);
        best
    });
    best.into_iter().collect()
}

/// The most premium of all assignments of the least fee, given what each site got.
fn best_premium(sites: &[ClosingSite], fees: &NetworkFees, closed: &Closed) -> (i64, i64) {
    let got = |side| {
        let of = closed.fills.iter().filter(move |fill| fill.side == side);
        of.map(|fill| (find(sites, &fill.site_id), fill.energy.wh())).collect::<Vec<_>>()
    };
    let uniform = closed.price.unwrap();
    let each = |buyer: &ClosingSite, seller: &ClosingSite| {
        let room =
            fees.highest_limit(&tariff(), buyer.zone).unwrap().micro_per_kwh() - uniform.micro_per_kwh();
        let premium =
            if meets(buyer, seller) { buyer.standing.wish.premium().micro_per_kwh().min(room) } else { 0 };
        (fees.fee(seller.zone, buyer.zone).micro_per_kwh(), premium)
    };
    *assignments(&mut got(Side::Bid), &mut got(Side::Offer), &each).first().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn wishes_change_neither_price_nor_volume_nor_the_gains((fees, sites, turn) in community(12, 40)) {
        let tariff = tariff();
        let terms = Terms { tariff: &tariff, fees: &fees, turn };
        let (with, without) = (close(&sites, &terms).unwrap(), close(&without_wishes(&sites), &terms).unwrap());
        prop_assert_eq!(with.price, without.price);
        prop_assert_eq!(gains(&sites, &fees, &with), gains(&sites, &fees, &without));
        let volume = |closed: &Closed, side| {
            closed.fills.iter().filter(|fill| fill.side == side).map(|fill| fill.energy.wh()).sum::<i64>()
        };
        for side in [Side::Bid, Side::Offer] {
            prop_assert_eq!(volume(&with, side), volume(&without, side));
        }
        prop_assert_eq!(volume(&with, Side::Bid), volume(&with, Side::Offer));
    }

    #[test]
    fn pairs_are_the_fills_and_nobody_pays_more_than_at_the_grid((fees, sites, turn) in community(12, 40)) {
        let tariff = tariff();
        let closed = close(&sites, &Terms { tariff: &tariff, fees: &fees, turn }).unwrap();
        for fill in &closed.fills {
            let of = |pair: &&ClosingPair| match fill.side {
                Side::Bid => pair.buyer_site == fill.site_id,
                Side::Offer => pair.seller_site == fill.site_id,
            };
            let paired: i64 = closed.pairs.iter().filter(of).map(|pair| pair.energy.wh()).sum();
            prop_assert_eq!(paired, fill.energy.wh());
            let site = find(&sites, &fill.site_id);
            prop_assert!(fill.energy.wh() <= site.residual.wh().abs());
            let (offer, bid) = site.standing.limits(tariff.lowest_limit(), price(i64::MAX));
            let accepts = if fill.side == Side::Bid { fill.price <= bid } else { fill.price >= offer };
            prop_assert!(accepts);
        }
        let mut seen = std::collections::HashSet::new();
        for pair in &closed.pairs {
            let (buyer, seller) = (find(&sites, &pair.buyer_site), find(&sites, &pair.seller_site));
            prop_assert!(seen.insert((&pair.buyer_site, &pair.seller_site)), "one pair for two sites");
            prop_assert!(pair.energy.is_positive() && pair.preferred <= pair.energy);
            prop_assert!(pair.preferred.is_zero() || meets(buyer, seller), "{pair:?}");
            prop_assert!(pair.premium <= buyer.standing.wish.premium());
            prop_assert_eq!(pair.network_fee, fees.fee(seller.zone, buyer.zone));
            let costs = [closed.price.unwrap(), pair.network_fee, tariff.platform_fee(), pair.premium];
            prop_assert!(Price::checked_sum(costs).unwrap() <= tariff.retail(), "{pair:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn fees_are_the_least_and_premiums_never_beyond_what_brute_force_finds((fees, sites, turn) in community(7, 3)) {
        let tariff = tariff();
        let closed = close(&sites, &Terms { tariff: &tariff, fees: &fees, turn }).unwrap();
        prop_assume!(closed.price.is_some());
        let (least_fee, most_premium) = best_premium(&sites, &fees, &closed);
        prop_assert_eq!(fee_paid(&closed.pairs), least_fee);
        prop_assert!(premium_paid(&closed.pairs) <= most_premium);
    }

    #[test]
    fn in_one_zone_nobody_who_offers_more_is_passed_over((_, sites, turn) in community(12, 40)) {
        let tariff = tariff();
        let fees = NetworkFees::new([ZoneId::default()], &tariff, []).unwrap();
        let sites: Vec<ClosingSite> = sites.into_iter().map(|site| ClosingSite { zone: 0, ..site }).collect();
        let closed = close(&sites, &Terms { tariff: &tariff, fees: &fees, turn }).unwrap();
        let met = |id: &SiteId| -> i64 {
            closed.pairs.iter().filter(|pair| pair.buyer_site == *id).map(|pair| pair.preferred.wh()).sum()
        };
        let highest = closed.pairs.iter().filter(|pair| !pair.preferred.is_zero());
        for pair in highest {
            let seller = find(&sites, &pair.seller_site);
            for fill in closed.fills.iter().filter(|fill| fill.side == Side::Bid) {
                let other = find(&sites, &fill.site_id);
                let room = fees.highest_limit(&tariff, 0).unwrap().checked_sub(fill.price).unwrap();
                let offers_more = other.standing.wish.premium().min(room) > pair.premium;
                let content = met(&fill.site_id) == fill.energy.wh() || !meets(other, seller);
                prop_assert!(!offers_more || content, "{} was passed over for {:?}", fill.site_id, pair);
            }
        }
    }

    #[test]
    fn in_one_zone_green_and_local_premiums_are_the_most_that_can_be((_, sites, turn) in community(7, 3)) {
        let tariff = tariff();
        let fees = NetworkFees::new([ZoneId::default()], &tariff, []).unwrap();
        let mut sites = sites;
        for site in &mut sites {
            site.zone = 0;
            if let Preference::Partners(_) = site.standing.wish.preference() {
                site.standing.wish = Wish::default();
            }
        }
        let closed = close(&sites, &Terms { tariff: &tariff, fees: &fees, turn }).unwrap();
        prop_assume!(closed.price.is_some());
        prop_assert_eq!(premium_paid(&closed.pairs), best_premium(&sites, &fees, &closed).1);
    }
}
