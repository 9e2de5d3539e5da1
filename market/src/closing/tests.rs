//! The worked examples of `docs/market.md`.

use domain::ids::ZoneId;
use domain::standing::{Preference, Wish};

use super::*;

mod naive;

fn price(micro: i64) -> Price {
    Price::from_micro_per_kwh(micro)
}

fn tariff() -> Tariff {
    Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap()
}

/// A community of two zones, north and south, with the fees from and to them in this order.
fn fees(micro: [[i64; 2]; 2]) -> NetworkFees {
    let zones = ["north", "south"].map(|id| ZoneId::new(id).unwrap());
    let pair = |from: usize, to: usize| (zones[from].clone(), zones[to].clone(), price(micro[from][to]));
    NetworkFees::new(zones.clone(), &tariff(), [pair(0, 0), pair(0, 1), pair(1, 0), pair(1, 1)]).unwrap()
}

const ALIKE: [[i64; 2]; 2] = [[30_000; 2]; 2];

fn site(id: &str, zone: usize, wh: i64) -> ClosingSite {
    ClosingSite {
        site_id: SiteId::new(id).unwrap(),
        member_id: MemberId::new(&format!("m-{id}")).unwrap(),
        zone,
        green: false,
        residual: Energy::from_wh(wh),
        standing: StandingOrder::default(),
    }
}

fn wishing(site: ClosingSite, preference: Preference, premium: i64) -> ClosingSite {
    let wish = Wish::new(preference, price(premium)).unwrap();
    ClosingSite { standing: StandingOrder { wish, ..site.standing }, ..site }
}

fn partner(id: &str) -> Preference {
    Preference::Partners(vec![MemberId::new(&format!("m-{id}")).unwrap()])
}

/// The price, each site's energy, and each pair as buyer, seller, Wh, fee, preferred Wh, premium.
type Seen = (i64, Vec<(String, i64)>, Vec<(String, String, i64, i64, i64, i64)>);

fn closed(sites: &[ClosingSite], fees: &NetworkFees) -> Seen {
    let closed = close(sites, &Terms { tariff: &tariff(), fees, turn: 0 }).unwrap();
    let fills = closed.fills.iter().map(|fill| (fill.site_id.to_string(), fill.energy.wh())).collect();
    let pairs = closed.pairs.iter().map(|pair| {
        let (buyer, seller) = (pair.buyer_site.to_string(), pair.seller_site.to_string());
        let (fee, premium) = (pair.network_fee.micro_per_kwh(), pair.premium.micro_per_kwh());
        (buyer, seller, pair.energy.wh(), fee, pair.preferred.wh(), premium)
    });
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort();
    (closed.price.unwrap().micro_per_kwh(), fills, pairs)
}

fn fill(id: &str, wh: i64) -> (String, i64) {
    (id.to_owned(), wh)
}

#[test]
fn residuals_meet_halfway_between_the_tariffs() {
    let sites = [site("a", 0, 500), site("b", 0, -200), site("c", 0, 0), site("d", 0, 100)];
    let (price, fills, pairs) = closed(&sites, &fees(ALIKE));
    // 200 Wh of 600 Wh: 166.67 and 33.33, the larger remainder gets the watt-hour.
    assert_eq!((price, fills), (184_000, vec![fill("a", 167), fill("b", 200), fill("d", 33)]));
    let expected = [("a", 167), ("d", 33)].map(|(s, wh)| ("b".into(), s.into(), wh, 30_000, 0, 0));
    assert_eq!(pairs, expected);
}

#[test]
fn a_community_with_surplus_only_clears_nothing() {
    let fees = fees(ALIKE);
    let terms = Terms { tariff: &tariff(), fees: &fees, turn: 3 };
    assert_eq!(close(&[site("a", 0, 500)], &terms), Ok(Closed::default()));
    assert_eq!(close(&[], &terms), Ok(Closed::default()));
}

#[test]
fn members_set_their_own_limits() {
    let mut sites = [site("a", 0, 500), site("b", 0, -200), site("c", 0, -300)];
    sites[0].standing.offer_limit = Some(price(200_000));
    sites[1].standing.bid_limit = Some(price(190_000));
    let (price, fills, _) = closed(&sites, &fees(ALIKE));
    // b pays 19 ct at most and a takes 20 ct at least, so only c buys, between 20 and 28.8 ct.
    assert_eq!((price, fills), (244_000, vec![fill("a", 300), fill("c", 300)]));
}

#[test]
fn energy_pays_the_least_fees_in_total() {
    let sites = [site("a", 0, 300), site("b", 1, 100), site("c", 0, -200), site("d", 1, -200)];
    let (price, _, pairs) = closed(&sites, &fees([[10_000, 50_000], [50_000, 10_000]]));
    // The bound is 32 - 0.2 - 5 ct, whoever meets whom; the price lies halfway between it and 8 ct.
    assert_eq!(price, 174_000);
    let pair = |b: &str, s: &str, wh, fee| (b.to_owned(), s.to_owned(), wh, fee, 0, 0);
    assert_eq!(
        pairs,
        [pair("c", "a", 200, 10_000), pair("d", "a", 100, 50_000), pair("d", "b", 100, 10_000)]
    );
}

#[test]
fn what_is_asked_for_is_sold_first_where_sellers_are_rationed() {
    let plain = [site("a", 0, 400), site("b", 1, 400), site("c", 1, -300)];
    assert_eq!(closed(&plain, &fees(ALIKE)).1, [fill("a", 150), fill("b", 150), fill("c", 300)]);
    let [a, b, c] = plain;
    let (price, fills, pairs) = closed(&[a, b, wishing(c, Preference::Local, 10_000)], &fees(ALIKE));
    assert_eq!((price, fills), (184_000, vec![fill("b", 300), fill("c", 300)]));
    assert_eq!(pairs, [("c".into(), "b".into(), 300, 30_000, 300, 10_000)]);
}

#[test]
fn green_energy_goes_to_those_who_ask_for_it() {
    let green = ClosingSite { green: true, ..site("a", 0, 300) };
    let asking = wishing(site("d", 0, -200), Preference::Green, 20_000);
    let sites = [green, site("b", 0, 300), site("c", 0, -400), asking];
    let (_, fills, pairs) = closed(&sites, &fees(ALIKE));
    assert!(fills.iter().all(|(_, wh)| *wh > 0) && fills.len() == 4);
    let pair = |b: &str, s: &str, wh, met, premium| (b.to_owned(), s.to_owned(), wh, 30_000, met, premium);
    assert_eq!(
        pairs,
        [pair("c", "a", 100, 0, 0), pair("c", "b", 300, 0, 0), pair("d", "a", 200, 200, 20_000)]
    );
}

#[test]
fn where_buyers_are_rationed_a_premium_goes_first_and_a_mere_wish_does_not() {
    let bought = |premium: i64| {
        let asking = wishing(site("c", 0, -300), partner("a"), premium);
        closed(&[site("a", 0, 300), asking, site("d", 0, -300)], &fees(ALIKE)).1
    };
    assert_eq!(bought(0), [fill("a", 300), fill("c", 150), fill("d", 150)]);
    assert_eq!(bought(5_000), [fill("a", 300), fill("c", 300)]);
}

#[test]
fn price_fees_and_premium_stay_within_the_retail_tariff() {
    let asking = wishing(site("b", 0, -100), Preference::Local, 200_000);
    let (price, _, pairs) = closed(&[site("a", 0, 100), asking], &fees(ALIKE));
    // 18.4 ct, 3.2 ct of fees, and of the 20 ct offered what is left up to 32 ct.
    assert_eq!(price, 184_000);
    assert_eq!(pairs, [("b".into(), "a".into(), 100, 30_000, 100, 104_000)]);
}

#[test]
fn the_highest_premium_takes_first() {
    let green = ClosingSite { green: true, ..site("a", 0, 100) };
    let low = wishing(site("c", 0, -100), Preference::Green, 1_000);
    let high = wishing(site("d", 0, -100), Preference::Green, 2_000);
    let (_, _, pairs) = closed(&[green, site("b", 0, 100), low, high], &fees(ALIKE));
    let pair = |b: &str, s: &str, met, premium| (b.to_owned(), s.to_owned(), 100, 30_000, met, premium);
    assert_eq!(pairs, [pair("c", "b", 0, 0), pair("d", "a", 100, 2_000)]);
}

#[test]
fn another_site_is_first_in_the_next_slot() {
    let fees = fees([[10_000, 50_000], [50_000, 10_000]]);
    let sites = [site("a", 0, 100), site("b", 1, 100), site("c", 1, -100), site("d", 1, -100)];
    let near = |turn: usize| {
        let closed = close(&sites, &Terms { tariff: &tariff(), fees: &fees, turn }).unwrap();
        let pair = closed.pairs.iter().find(|pair| pair.network_fee == price(10_000)).unwrap();
        pair.buyer_site.to_string()
    };
    assert_eq!([0, 3].map(near), ["c", "d"]);
    assert_eq!(near(4), near(0));
}
