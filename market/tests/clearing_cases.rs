//! Order sets as other markets' conformance tests have them, in figures of our own, with what the rules of
//! `docs/market.md` make of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use market::clear::{Cleared, Conditions, Mechanism, clear, read};

/// Clears orders written as `side wh@price member`, one after the other: volume, price and trades.
fn cleared(orders: &str, mechanism: Mechanism) -> (i128, Option<i128>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.csv");
    let mut file = String::from("side,id,member,energy_wh,price_micro_per_kwh\n");
    for (number, order) in orders.split(", ").enumerate() {
        let mut words = order.split(' ');
        let side = words.next().unwrap();
        let (wh, price) = words.next().unwrap().split_once('@').unwrap();
        let member = words.next().map_or(format!("m{number}"), str::to_owned);
        file.push_str(&format!("{side},{number},{member},{wh},{price}\n"));
    }
    std::fs::write(&path, file).unwrap();
    let Cleared { volume_wh, price_micro_per_kwh, trades, .. } =
        clear(&read(&path).unwrap(), mechanism, &Conditions::default()).unwrap();
    (volume_wh, price_micro_per_kwh, trades)
}

#[test]
fn continuous_auctions() {
    for (case, orders, expected) in [
        ("touching prices trade", "buy 100@50, sell 100@52, buy 100@52", (100, Some(52), 1)),
        ("the resting price holds, seller first", "sell 12@395, buy 2@398", (2, Some(395), 1)),
        ("the resting price holds, buyer first", "buy 12@398, sell 2@395", (2, Some(398), 1)),
        ("a gap does not trade", "buy 12@395, sell 2@398", (0, None, 0)),
        ("the best price first, whenever it came", "sell 10@7, sell 10@5, buy 10@9", (10, Some(5), 1)),
        ("the rest of an incoming order rests", "sell 3@5, buy 10@6, sell 5@6", (8, Some(5), 2)),
        (
            "what rests is used up in parts",
            "buy 9@5, sell 1@5, sell 3@5, sell 2@5, sell 4@5",
            (9, Some(5), 4),
        ),
        ("levels are walked up to the limit", "sell 2@1, sell 3@2, sell 4@3, buy 9@2", (5, Some(1), 2)),
        ("any price is taken by an order at the bound", "sell 2@10, sell 3@20, buy 5@1000", (5, Some(16), 2)),
        ("nobody sells to himself", "sell 5@3 a, buy 5@3 a", (0, None, 0)),
        ("but to whoever stands behind", "sell 2@3 a, sell 5@3 b, buy 6@3 a", (4, Some(3), 1)),
        ("and nothing of it rests then", "sell 2@3 a, buy 6@3 a, sell 4@3 b", (0, None, 0)),
    ] {
        assert_eq!(cleared(orders, Mechanism::ContinuousDoubleAuction), expected, "{case}: {orders}");
    }
}

#[test]
fn call_auctions() {
    for (case, orders, expected) in [
        ("one of each", "buy 20@5, sell 20@5", (20, Some(5), 2)),
        ("a gap does not trade", "buy 20@5, sell 20@7", (0, None, 0)),
        (
            "the price of the marginal seller",
            "buy 1@3, buy 2@4, buy 5@1, sell 4@2, sell 1@1, sell 5@6",
            (3, Some(2), 4),
        ),
        ("a vertical crossing is halved", "buy 15@9, sell 1@1, sell 2@1, sell 12@1", (15, Some(5), 4)),
        ("plenty of either side leaves the middle", "buy 15@5, sell 900@1", (15, Some(3), 2)),
        (
            "the cheapest sellers serve the dearest buyers",
            "buy 20@30, buy 20@50, sell 20@40, sell 20@45",
            (20, Some(42), 2),
        ),
        (
            "the most volume wins over the middle of the gap",
            "buy 5@10, buy 5@4, sell 5@1, sell 4@4",
            (9, Some(4), 4),
        ),
        ("halves are rounded down", "buy 3@4, sell 3@1", (3, Some(2), 2)),
        ("sites of one member may meet", "buy 3@4 a, sell 3@1 a", (3, Some(2), 2)),
        ("arrival means nothing", "sell 2@3, buy 6@3, sell 4@3", (6, Some(3), 3)),
    ] {
        assert_eq!(cleared(orders, Mechanism::CallAuction), expected, "{case}: {orders}");
    }
}

#[test]
fn a_call_after_a_book_finds_nothing_left_but_a_call_instead_of_it_may_gain() {
    // The early bid takes what the late one would have paid more for.
    let orders = "sell 10@10, buy 10@20, buy 10@90, sell 10@80";
    assert_eq!(cleared(orders, Mechanism::ContinuousDoubleAuction), (20, Some(50), 2));
    assert_eq!(cleared(orders, Mechanism::ContinuousThenCall), (20, Some(50), 2));
    assert_eq!(cleared(orders, Mechanism::CallAuction), (10, Some(50), 2));
}
