//! Who of the last price level is served first, where the level must be rationed.
//!
//! All orders of the level name the same price, so the community gains the same whoever of them is served. Where
//! sellers are rationed, those that a buyer asks for are served first, up to what is asked of them. Where buyers
//! are rationed, those that pay a premium for what they ask for are served first, as far as there is any of it: a
//! wish that costs nothing is no reason to go first, or everybody would have one. What is left of the level is
//! shared pro rata, as ever.

use domain::apportion::pro_rata;
use domain::order::Side;

use super::lots::{Lot, Lots};
use super::market::{Market, Wisher};
use super::names::Names;
use super::sellers::Seller;
use crate::auction::Ranked;

/// A level that must be rationed.
pub(super) struct Level<'a> {
    side: Side,
    /// The sites that share it, in their order.
    orders: &'a [Ranked],
    /// What they share.
    level_wh: i64,
}

impl<'a> Level<'a> {
    /// The level that `orders` share, if there are any, of which `filled_wh` holds the plain shares. From then on it
    /// holds what each site may trade at most, which of these is all that they brought.
    pub(super) fn open(side: Side, orders: &'a [Ranked], filled_wh: &mut [i64]) -> Option<Self> {
        let mut level_wh = 0;
        for order in orders {
            level_wh += std::mem::replace(&mut filled_wh[order.index()], order.energy_wh);
        }
        (!orders.is_empty()).then_some(Self { side, orders, level_wh })
    }

    /// Whether an order of a side shares the level.
    pub(super) fn has(&self, side: Side, order: &Ranked) -> bool {
        self.side == side && self.orders.first().is_some_and(|first| first.is_level_with(order))
    }

    /// Shares the level anew: what sites get ahead of the others, and the rest pro rata.
    pub(super) fn serve_wishes_first(
        &self,
        market: &Market<'_>,
        asking: &[Wisher],
        sellers: &[Seller],
        filled_wh: &mut [i64],
    ) {
        let zones = market.fees.count();
        // Before zones are matched, all may take from all.
        let room_wh = vec![i64::MAX; zones * zones];
        let lots = Lots::new(sellers, &market.names, filled_wh, room_wh, Some(self.level_wh));
        let first_wh = match self.side {
            Side::Bid => self.buyers(asking, &market.names, lots, filled_wh),
            Side::Offer => self.sellers(asking, &market.names, lots, filled_wh),
        };
        let left: Vec<i64> =
            self.orders.iter().zip(&first_wh).map(|(order, first)| order.energy_wh - first).collect();
        // Ties go to the lower number.
        let shares = pro_rata(&left, self.level_wh - first_wh.iter().sum::<i64>());
        for ((order, first), share) in self.orders.iter().zip(&first_wh).zip(shares) {
            filled_wh[order.index()] = first + share;
        }
    }

    /// What is asked of each rationed seller.
    fn sellers(
        &self,
        asking: &[Wisher],
        names: &Names<'_>,
        mut lots: Lots,
        filled_wh: &mut [i64],
    ) -> Vec<i64> {
        for buyer in asking {
            lots.take_wished(buyer, names, filled_wh[buyer.site as usize], &mut |_, _| {});
        }
        for lot in lots.rationed() {
            filled_wh[lot.site as usize] -= lot.left_wh;
        }
        // Lots are taken one after the other, but nobody asked for the first of several that are alike: what was
        // taken of a zone's unnamed sellers of one kind is shared among them pro rata.
        for alike in lots.rationed_unnamed() {
            // Ties go to the lower number.
            let mut alike = alike.to_vec();
            alike.sort_unstable_by_key(|lot| lot.site);
            let asked = |lot: &Lot| filled_wh[lot.site as usize];
            let asked_wh = alike.iter().map(asked).sum();
            let brought_wh: Vec<i64> = alike.iter().map(|lot| asked(lot) + lot.left_wh).collect();
            for (lot, wh) in alike.iter().zip(pro_rata(&brought_wh, asked_wh)) {
                filled_wh[lot.site as usize] = wh;
            }
        }
        self.orders.iter().map(|order| filled_wh[order.index()]).collect()
    }

    /// What each rationed buyer gets ahead of the others.
    fn buyers(&self, asking: &[Wisher], names: &Names<'_>, mut lots: Lots, filled_wh: &[i64]) -> Vec<i64> {
        let mut left_wh = self.level_wh;
        let mut first_wh = vec![0; self.orders.len()];
        for buyer in asking.iter().take_while(|buyer| buyer.premium.is_positive()) {
            let want_wh = filled_wh[buyer.site as usize];
            if let Ok(at) = self.orders.binary_search_by_key(&buyer.site, |order| order.place) {
                let want_wh = want_wh.min(left_wh);
                first_wh[at] = lots.take_wished(buyer, names, want_wh, &mut |_, _| {});
                left_wh -= first_wh[at];
            } else {
                lots.take_wished(buyer, names, want_wh, &mut |_, _| {});
            }
        }
        first_wh
    }
}
