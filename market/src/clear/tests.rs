use domain::ids::{MemberId, OrderId, ZoneId};
use domain::standing::Wish;

use super::*;

fn price(micro: i64) -> Price {
    Price::from_micro_per_kwh(micro)
}

fn order(id: i64, member: &str, side: Side, wh: i64, micro: i64) -> ListedOrder {
    ListedOrder::plain(OrderId(id), MemberId::new(member).unwrap(), side, Energy::from_wh(wh), price(micro))
}

fn zone(id: &str) -> ZoneId {
    ZoneId::new(id).unwrap()
}

fn plainly(orders: &[ListedOrder], mechanism: Mechanism) -> Cleared {
    clear(orders, mechanism, &Conditions::default()).unwrap()
}

/// Each taking as ids of bid and offer, Wh, fee and premium.
fn takings(orders: &[ListedOrder], cleared: &Cleared) -> Vec<(i64, i64, i64, i64, Option<i64>)> {
    let of = |t: &Taking| {
        let premium = t.premium.map(Price::micro_per_kwh);
        (orders[t.bid].id.0, orders[t.offer].id.0, t.energy.wh(), t.network_fee.micro_per_kwh(), premium)
    };
    let mut all: Vec<_> = cleared.taken.as_ref().unwrap().takings.iter().map(of).collect();
    all.sort_unstable();
    all
}

#[test]
fn a_call_reaches_gains_that_random_arrival_misses() {
    let orders = [
        order(1, "a", Side::Bid, 10, 300),
        order(2, "b", Side::Offer, 10, 250),
        order(3, "c", Side::Bid, 10, 200),
        order(4, "d", Side::Offer, 10, 100),
    ];
    let call = plainly(&orders, Mechanism::CallAuction);
    let continuous = plainly(&orders, Mechanism::ContinuousDoubleAuction);
    assert_eq!((call.volume_wh, call.welfare_nano, call.price_micro_per_kwh), (10, 2_000, Some(225)));
    assert_eq!((continuous.volume_wh, continuous.welfare_nano, continuous.trades), (20, 1_500, 2));
    assert_eq!(continuous.price_micro_per_kwh, Some(250));
    assert_eq!((call.taken, continuous.taken), (None, None));
}

#[test]
fn nothing_to_clear_has_no_price() {
    assert_eq!(plainly(&[], Mechanism::CallAuction), Cleared::default());
    let own = [order(1, "a", Side::Bid, 5, 9), order(2, "a", Side::Offer, 5, 9)];
    assert_eq!(plainly(&own, Mechanism::ContinuousDoubleAuction), Cleared::default());
    assert_eq!(plainly(&own, Mechanism::CallAuction).volume_wh, 5, "two sites of a member may meet");
}

/// Two sellers and two buyers in two zones, of which bid 4 asks for green energy.
fn two_zones() -> (Vec<ListedOrder>, Conditions) {
    let wish = Wish::new(Preference::Green, price(20_000)).unwrap();
    let orders = vec![
        ListedOrder { zone: zone("north"), green: true, ..order(1, "a", Side::Offer, 300, 80_000) },
        ListedOrder { zone: zone("south"), ..order(2, "b", Side::Offer, 100, 80_000) },
        ListedOrder { zone: zone("north"), ..order(3, "c", Side::Bid, 200, 250_000) },
        ListedOrder { zone: zone("south"), wish, ..order(4, "d", Side::Bid, 200, 250_000) },
    ];
    let pair = |from, to, fee| (zone(from), zone(to), price(fee));
    let pairs = vec![pair("north", "south", 50_000), pair("south", "north", 50_000)];
    let conditions = Conditions { network_fee: price(10_000), pairs, ..Conditions::default() };
    (orders, conditions)
}

#[test]
fn a_call_matches_zones_at_the_least_fee_and_serves_wishes_within_that() {
    let (orders, conditions) = two_zones();
    let cleared = clear(&orders, Mechanism::CallAuction, &conditions).unwrap();
    assert_eq!((cleared.volume_wh, cleared.price_micro_per_kwh), (400, Some(165_000)));
    assert_eq!((cleared.welfare_nano, cleared.trades), (400 * 170_000, 4));
    assert_eq!(
        takings(&orders, &cleared),
        [(3, 1, 200, 10_000, None), (4, 1, 100, 50_000, Some(20_000)), (4, 2, 100, 10_000, None)]
    );
    let taken = cleared.taken.unwrap();
    assert_eq!(
        (taken.network_fee_nano, taken.preferred_wh, taken.premium_nano),
        (300 * 10_000 + 100 * 50_000, 100, 2_000_000)
    );
    // The same without attributes: nothing that the call decides changes.
    let plain: Vec<ListedOrder> = orders
        .iter()
        .map(|o| ListedOrder::plain(o.id, o.member.clone(), o.side, o.energy, o.limit))
        .collect();
    let plain = plainly(&plain, Mechanism::CallAuction);
    assert_eq!((plain.volume_wh, plain.welfare_nano), (400, cleared.welfare_nano));
}

#[test]
fn the_retail_tariff_caps_premiums_and_bounds_bids() {
    let (orders, conditions) = two_zones();
    let retail = |micro| Conditions { retail: Some(price(micro)), ..conditions.clone() };
    let cleared = clear(&orders, Mechanism::CallAuction, &retail(300_000)).unwrap();
    // The bound is 300,000 - 50,000, which leaves 85,000 above the price.
    assert_eq!(cleared.taken.unwrap().premium_nano, 2_000_000);
    let mut dear = orders.clone();
    dear[3].wish = Wish::new(Preference::Green, price(200_000)).unwrap();
    assert_eq!(
        clear(&dear, Mechanism::CallAuction, &retail(300_000)).unwrap().taken.unwrap().premium_nano,
        8_500_000
    );
    let error = clear(&orders, Mechanism::CallAuction, &retail(299_999)).unwrap_err().to_string();
    assert!(error.contains("order 3") && error.contains("249999 micro-currency"), "{error}");
}

#[test]
fn the_continuous_auction_pays_each_trades_own_fee_and_trades_no_attributes() {
    let (mut orders, conditions) = two_zones();
    let error = clear(&orders, Mechanism::ContinuousThenCall, &conditions).unwrap_err().to_string();
    assert!(error.contains("order 4") && error.contains("trades no attributes"), "{error}");
    orders[3].wish = Wish::default();
    let cleared = clear(&orders, Mechanism::ContinuousDoubleAuction, &conditions).unwrap();
    assert_eq!(
        takings(&orders, &cleared),
        [(3, 1, 200, 10_000, None), (4, 1, 100, 50_000, None), (4, 2, 100, 10_000, None)]
    );
    // What the book leaves is closed under the same fees: bid 5 comes first, and is too low for the book's price.
    orders.insert(0, ListedOrder { zone: zone("south"), ..order(5, "e", Side::Bid, 50, 70_000) });
    let both = clear(&orders, Mechanism::ContinuousThenCall, &conditions).unwrap();
    assert_eq!((both.volume_wh, both.taken.map(|taken| taken.network_fee_nano)), (400, Some(8_000_000)));
}

#[test]
fn pairs_can_be_asked_for_where_nothing_else_does() {
    let orders = [order(9, "a", Side::Bid, 10, 300), order(4, "b", Side::Offer, 7, 100)];
    let conditions = Conditions { pair_up: true, ..Conditions::default() };
    let cleared = clear(&orders, Mechanism::CallAuction, &conditions).unwrap();
    assert_eq!(takings(&orders, &cleared), [(9, 4, 7, 0, None)]);
}

#[test]
fn more_zones_than_there_may_be_are_refused() {
    let of = |number: i64| ListedOrder {
        zone: zone(&format!("z{number}")),
        ..order(number, "a", Side::Bid, 1, 1)
    };
    let orders: Vec<ListedOrder> = (0..17).map(of).collect();
    let error = clear(&orders, Mechanism::CallAuction, &Conditions::default()).unwrap_err().to_string();
    assert!(error.contains("at most 16 zones"), "{error}");
}
