//! What share of the possible gains each mechanism reaches, on 1,000 bids and 1,000 offers in random
//! order of arrival. The optimum comes from an algorithm of its own: the dearest bids meet the cheapest
//! offers for as long as both gain.

use std::cmp::Reverse;

use domain::ids::MemberId;
use domain::order::Side;
use domain::units::Energy;
use market::auction::AuctionOrder;
use market::clear::{Conditions, ListedOrder, Mechanism, clear};

use crate::Figure;
use crate::auction::orders;

pub(crate) fn print() {
    let list = orders(1_000, 0x0bad_5eed_0bad_5eed);
    let listed: Vec<ListedOrder> = list
        .iter()
        .map(|o| {
            let member = MemberId::new(&format!("m{}", o.id.0)).unwrap();
            ListedOrder::plain(o.id, member, o.side, o.energy, o.limit)
        })
        .collect();
    let optimum = optimum_nano(&list);
    for (name, mechanism) in [
        ("call", Mechanism::CallAuction),
        ("cda", Mechanism::ContinuousDoubleAuction),
        ("cda+call", Mechanism::ContinuousThenCall),
    ] {
        let welfare = clear(&listed, mechanism, &Conditions::default()).unwrap().welfare_nano;
        let bench = format!("welfare_{name}_1000_1000");
        let share = share(welfare, optimum);
        Figure::new(bench, share * 100.0, "% of the optimum").beside("optimum", share).print();
    }
}

#[allow(clippy::cast_precision_loss)] // a figure to be read
fn share(welfare: i128, optimum: i128) -> f64 {
    if welfare == optimum { 1.0 } else { welfare as f64 / optimum as f64 }
}

fn optimum_nano(orders: &[AuctionOrder]) -> i128 {
    let of = |side| orders.iter().filter(move |order| order.side == side);
    let mut bids: Vec<_> = of(Side::Bid).copied().collect();
    let mut offers: Vec<_> = of(Side::Offer).copied().collect();
    bids.sort_by_key(|o| Reverse(o.limit));
    offers.sort_by_key(|o| o.limit);
    let (mut bids, mut offers) = (bids.into_iter().peekable(), offers.into_iter().peekable());
    let mut gains = 0;
    while let (Some(bid), Some(offer)) = (bids.peek_mut(), offers.peek_mut())
        && bid.limit > offer.limit
    {
        let wh = bid.energy.wh().min(offer.energy.wh());
        gains += i128::from(wh) * i128::from(bid.limit.micro_per_kwh() - offer.limit.micro_per_kwh());
        bid.energy = Energy::from_wh(bid.energy.wh() - wh);
        offer.energy = Energy::from_wh(offer.energy.wh() - wh);
        let (bid_done, offer_done) = (bid.energy.is_zero(), offer.energy.is_zero());
        bids.next_if(|_| bid_done);
        offers.next_if(|_| offer_done);
    }
    gains
}
