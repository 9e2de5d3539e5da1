//! The sites as orders of the call auction, and what matching asks of them later: read in one pass, since there may
//! be more of them than the processor's caches hold.

use std::cmp::Reverse;

use domain::fees::NetworkFees;
use domain::order::Side;
use domain::standing::Preference;
use domain::units::{Overflow, Price};

use super::names::Names;
use super::{ClosingSite, Terms};
use crate::auction::{Ranked, Sides};

/// All sites, and what holds for them.
pub(super) struct Market<'a> {
    pub(super) sites: &'a [ClosingSite],
    pub(super) fees: &'a NetworkFees,
    /// The sites with a residual, each tagged with its [`pool`].
    pub(super) sides: Sides,
    /// The buyers that ask for something, in the order of the sites.
    pub(super) wishers: Vec<Wisher>,
    pub(super) names: Names<'a>,
    /// The highest price that a bid may name, by zone.
    pub(super) bounds: Vec<Price>,
    /// The site that comes first in this slot.
    first: u32,
}

/// A buyer that asks for something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wisher {
    pub(super) site: u32,
    pub(super) zone: u32,
    pub(super) asks: Asks,
    /// The most that it pays on top of the price.
    pub(super) premium: Price,
}

/// What a buyer asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asks {
    Local,
    Green,
    /// Energy of the partners that [`Names`] has from and up to these places.
    Partners {
        from: u32,
        to: u32,
    },
}

impl<'a> Market<'a> {
    pub(super) fn read(sites: &'a [ClosingSite], terms: &Terms<'a>) -> Result<Self, Overflow> {
        let Terms { tariff, fees, turn } = *terms;
        let bounds: Vec<Price> =
            (0..fees.count()).map(|zone| fees.highest_limit(tariff, zone)).collect::<Result<_, _>>()?;
        let sides = Sides::with_capacity(sites.len())?;
        // Below the number of sites, which the sides have checked.
        let first = u32::try_from(turn.checked_rem(sites.len()).unwrap_or(0)).unwrap_or(0);
        let (wishers, names) = (Vec::new(), Names::default());
        let mut market = Self { sites, fees, sides, wishers, names, bounds, first };
        for (place, site) in (0..).zip(sites) {
            let (offer, bid) = site.standing.limits(tariff.lowest_limit(), market.bounds[site.zone]);
            let pool = pool(site.zone, site.green);
            if site.residual.is_negative() {
                let wh = site.residual.checked_neg()?.wh();
                market.sides.push(Side::Bid, bid, (wh, place, pool));
                market.read_wish(place, site)?;
            } else if site.residual.is_positive() {
                market.sides.push(Side::Offer, offer, (site.residual.wh(), place, pool));
                if market.names.is_any() {
                    market.names.note_sellers(std::iter::once(&site.member_id));
                }
            }
        }
        Ok(market)
    }

    /// Reads what a buyer asks for.
    fn read_wish(&mut self, place: u32, site: &'a ClosingSite) -> Result<(), Overflow> {
        let wish = &site.standing.wish;
        let asks = match wish.preference() {
            Preference::Any => return Ok(()),
            Preference::Local => Asks::Local,
            Preference::Green => Asks::Green,
            Preference::Partners(members) => {
                if !self.names.is_any() {
                    // The first that names anybody: until here nobody needed to know who the sellers are.
                    let offers = self.sides.of(Side::Offer).iter();
                    self.names.note_sellers(offers.map(|offer| &self.sites[offer.index()].member_id));
                }
                let (from, to) = self.names.name(members)?;
                Asks::Partners { from, to }
            }
        };
        let zone = zone_of(pool(site.zone, false));
        self.wishers.push(Wisher { site: place, zone, premium: wish.premium(), asks });
        Ok(())
    }

    /// The orders of a side in this slot's order, each with its place on the side.
    pub(super) fn in_turn(&self, side: Side) -> impl Iterator<Item = (usize, &Ranked)> {
        let orders = self.sides.of(side);
        let first = orders.partition_point(|order| order.place < self.first);
        (first..orders.len()).chain(0..first).map(|at| (at, &orders[at]))
    }

    /// Takes the buyers that ask for something and trade, which is `most_wh` at most: the highest premium first, then
    /// in this slot's order. The premium of each is what it pays at a price for energy that it asks for: what it
    /// offers, as far as price, fees and premium together stay within the retail tariff, whoever it takes from.
    pub(super) fn take_wishers(&mut self, price: Price, most_wh: &[i64]) -> Result<Vec<Wisher>, Overflow> {
        let mut asking = std::mem::take(&mut self.wishers);
        asking.retain(|wisher| most_wh[wisher.site as usize] > 0);
        for wisher in &mut asking {
            let room = self.bounds[wisher.zone as usize].checked_sub(price)?;
            wisher.premium = wisher.premium.min(room).max(Price::ZERO);
        }
        // Sites before the first come after all others.
        let turn = |wisher: &Wisher| wisher.site.wrapping_sub(self.first);
        asking.sort_unstable_by_key(|wisher| (Reverse(wisher.premium), turn(wisher)));
        Ok(asking)
    }

    /// Whether a buyer asks for anything.
    pub(super) const fn is_anything_asked(&self) -> bool {
        !self.wishers.is_empty()
    }
}

/// The number of a zone's energy of one kind: even, and one further if it is green.
#[allow(clippy::cast_possible_truncation)] // there are sixteen zones
pub(super) const fn pool(zone: usize, is_green: bool) -> u32 {
    2 * zone as u32 + is_green as u32
}

/// The zone of a pool.
pub(super) const fn zone_of(pool: u32) -> u32 {
    pool / 2
}
