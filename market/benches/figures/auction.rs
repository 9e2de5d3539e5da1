//! How long a call auction takes, all rules on, beside a bare sort and sweep that finds a crossing and
//! nothing else: no fills, no rationing, no rule for ties.

use std::cmp::Reverse;
use std::hint::black_box;
use std::time::{Duration, Instant};

use domain::ids::OrderId;
use domain::order::Side;
use domain::units::{Energy, Price};
use market::auction::{AuctionOrder, clear};

use crate::Figure;
use crate::random::Random;

const ORDERS_A_SIDE: usize = 100_000;
const RUNS: usize = 15;

pub(crate) fn print() {
    let orders = orders(ORDERS_A_SIDE, 0x9e37_79b9_7f4a_7c15);
    // A market has cleared before, so the allocator has had such a list back and keeps memory of that size.
    drop(black_box(orders.clone()));
    let ours = best(|| {
        black_box(clear(black_box(&orders)).unwrap());
    });
    let bare = best(|| {
        black_box(sort_and_sweep(black_box(&orders)));
    });
    let value = ours.as_secs_f64() * 1e3;
    let ratio = bare.as_secs_f64() / ours.as_secs_f64();
    Figure::new("call_auction_100k_100k", value, "ms").beside("bare sort and sweep", ratio).print();
}

/// Random bids and offers between the tariffs.
pub(crate) fn orders(a_side: usize, seed: u64) -> Vec<AuctionOrder> {
    let mut random = Random::new(seed);
    (0..2 * i64::try_from(a_side).unwrap())
        .map(|number| AuctionOrder {
            id: OrderId(number),
            side: if random.between(0, 1) == 0 { Side::Bid } else { Side::Offer },
            energy: Energy::from_wh(random.between(1, 2_000)),
            limit: Price::from_micro_per_kwh(random.between(80_000, 288_000)),
        })
        .collect()
}

fn best(run: impl Fn()) -> Duration {
    let once = || {
        let started = Instant::now();
        run();
        started.elapsed()
    };
    (0..RUNS).map(|_| once()).min().unwrap_or_default()
}

fn sort_and_sweep(orders: &[AuctionOrder]) -> (i64, i64) {
    let of = |side| orders.iter().filter(move |order| order.side == side).map(|o| (o.limit, o.energy.wh()));
    let (mut bids, mut offers): (Vec<_>, Vec<_>) = (of(Side::Bid).collect(), of(Side::Offer).collect());
    bids.sort_unstable_by_key(|(limit, _)| Reverse(*limit));
    offers.sort_unstable_by_key(|(limit, _)| *limit);
    let (mut volume_wh, mut price) = (0, 0);
    let (mut bid, mut offer) = (0, 0);
    while bid < bids.len() && offer < offers.len() && bids[bid].0 >= offers[offer].0 {
        let wh = bids[bid].1.min(offers[offer].1);
        volume_wh += wh;
        price = offers[offer].0.micro_per_kwh();
        bids[bid].1 -= wh;
        offers[offer].1 -= wh;
        bid += usize::from(bids[bid].1 == 0);
        offer += usize::from(offers[offer].1 == 0);
    }
    (volume_wh, price)
}
